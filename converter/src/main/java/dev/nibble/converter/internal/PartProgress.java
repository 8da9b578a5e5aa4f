package dev.nibble.converter.internal;

import dev.nibble.converter.ProgressListener;

/// Tells the progress of one part of a run as progress of the whole.
///
/// @param listener hears of the whole
/// @param name what to put before a tensor's name
/// @param before bytes of the parts that are done
/// @param bytes of this part
/// @param total bytes of all parts
record PartProgress(ProgressListener listener, String name, long before, long bytes, long total)
    implements ProgressListener {
  @Override
  public void progress(String tensor, long doneBytes, long totalBytes) {
    // What a part reads can differ from what it was counted as: outputs may read a tensor twice.
    double done = totalBytes == 0 ? 0 : (double) doneBytes / totalBytes;
    listener.progress(name + tensor, before + (long) (bytes * done), total);
  }

  @Override
  public void stage(Stage stage) {
    listener.stage(stage);
  }
}
