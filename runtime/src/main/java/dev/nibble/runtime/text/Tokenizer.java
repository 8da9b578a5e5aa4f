package dev.nibble.runtime.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// Text to token ids by a `tokenizer.json`, as transformers' fast tokenizers do it: the same native
/// code. Holds native memory until closed. Thread-safe.
public final class Tokenizer implements AutoCloseable {
  private final TokenizersLibrary library;
  private final long handle;

  /// Readers encode; the writer frees what they use.
  private final ReadWriteLock lock = new ReentrantReadWriteLock();

  private boolean closed;

  private Tokenizer(TokenizersLibrary library, long handle) {
    this.library = library;
    this.handle = handle;
  }

  /// Reads a `tokenizer.json`.
  ///
  /// @throws FormatException if it holds anything else
  /// @throws IOException if it can't be read; the message names the file
  public static Tokenizer open(Path file) throws IOException {
    TokenizersLibrary library = NativeTokenizers.library();
    try {
      String json = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
      long handle = library.createTokenizerFromString(json);
      // The file may say how a trainer cut and padded; callers do that.
      library.disableTruncation(handle);
      library.disablePadding(handle);
      return new Tokenizer(library, handle);
    } catch (IOException e) {
      throw IoErrors.at(file, e);
    } catch (RuntimeException e) {
      throw new FormatException(
          Where.in(file),
          "a tokenizer.json of Hugging Face's tokenizers",
          "another or a damaged one (%s); fetch this file again".formatted(e.getMessage()));
    }
  }

  /// The ids of a text, with those that the tokenizer adds around every text, if any. A text that
  /// holds an added token's name gets that token's id, as in the peer.
  ///
  /// @param text half of a surrogate pair counts as `?`
  /// @throws IllegalStateException if the tokenizer is closed
  public int[] encode(String text) {
    Lock reading = lock.readLock();
    reading.lock();
    try {
      if (closed) {
        throw new IllegalStateException("the tokenizer is closed");
      }
      long encoding = library.encode(handle, wellFormed(text), true);
      try {
        long[] ids = library.getTokenIds(encoding);
        int[] result = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
          result[i] = Math.toIntExact(ids[i]);
        }
        return result;
      } finally {
        library.deleteEncoding(encoding);
      }
    } finally {
      reading.unlock();
    }
  }

  private static String wellFormed(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
  }

  /// Frees the native memory, after the calls that run have ended.
  @Override
  public void close() {
    Lock writing = lock.writeLock();
    writing.lock();
    try {
      if (!closed) {
        closed = true;
        library.deleteTokenizer(handle);
      }
    } finally {
      writing.unlock();
    }
  }
}
