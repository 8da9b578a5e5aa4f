package dev.nibble.runtime.models;

/// A module of a block whose output joins the residual stream.
public enum Branch {
  /// Attention, all streams at once.
  ATTENTION,
  /// Feed-forward of the hidden stream.
  FEED_FORWARD,
  /// Feed-forward of the text stream of a dual-stream block.
  ENCODER_FEED_FORWARD
}
