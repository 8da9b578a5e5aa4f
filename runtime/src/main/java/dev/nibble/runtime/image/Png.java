package dev.nibble.runtime.image;

import dev.nibble.formats.io.IoErrors;
import dev.nibble.formats.io.PendingOutput;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/// Writes PNG files: 8-bit RGB, with text. After the PNG specification, third edition (W3C 2025).
///
/// ```
/// signature | IHDR | tEXt or iTXt, one a text | IDAT ... | IEND
/// chunk = length, type, data, CRC-32 of type and data
/// ```
///
/// An encoder of our own, for `javax.imageio` loads the classes and libraries of the desktop: 60 to
/// 90 ms at every start for what takes 12 here. Equal pictures and texts give equal bytes.
public final class Png {
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  private static final int IDAT_BYTES = 1 << 16;
  private static final int MAX_KEYWORD = 79;

  private Png() {}

  /// Writes a file that appears whole under its name, or not at all.
  ///
  /// @param texts text chunks by keyword
  /// @param force replace a file that is there
  /// @throws dev.nibble.formats.NibbleException if the file exists and is not to be replaced
  /// @throws IOException if it can't be written; the message names the file
  public static void write(
      Path file, RgbImage image, SequencedMap<String, String> texts, boolean force)
      throws IOException {
    try (PendingOutput output = PendingOutput.file(file, force)) {
      write(output, image, texts);
      output.commit();
    }
  }

  /// Fills an output that the caller commits.
  ///
  /// @throws IOException if it can't be written; the message names the file
  public static void write(PendingOutput output, RgbImage image, SequencedMap<String, String> texts)
      throws IOException {
    try (OutputStream out = Files.newOutputStream(output.path())) {
      write(out, image, texts);
    } catch (IOException e) {
      throw IoErrors.at(output.target(), e);
    }
  }

  /// Writes a picture and leaves the stream open.
  ///
  /// @param texts text chunks by keyword; characters beyond Latin-1 are kept, as UTF-8
  /// @throws IllegalArgumentException if a keyword is not of 1 to 79 Latin-1 characters without
  ///   spaces at its ends
  public static void write(OutputStream stream, RgbImage image, SequencedMap<String, String> texts)
      throws IOException {
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(stream));
    out.write(SIGNATURE);
    chunk(out, "IHDR", header(image));
    for (Map.Entry<String, String> text : texts.sequencedEntrySet()) {
      text(out, text.getKey(), text.getValue());
    }
    byte[] pixels = deflate(PngFilter.apply(image));
    for (int at = 0; at < pixels.length; at += IDAT_BYTES) {
      chunk(out, "IDAT", pixels, at, Math.min(IDAT_BYTES, pixels.length - at));
    }
    chunk(out, "IEND", new byte[0]);
    out.flush();
  }

  private static byte[] header(RgbImage image) {
    byte[] header = new byte[13];
    putInt(header, 0, image.width());
    putInt(header, 4, image.height());
    header[8] = 8; // bits a channel
    header[9] = 2; // red, green, blue
    return header; // compression, filter method and interlacing: the only, the only, none
  }

  private static void putInt(byte[] bytes, int at, int value) {
    for (int i = 0; i < 4; i++) {
      bytes[at + i] = (byte) (value >>> (24 - 8 * i));
    }
  }

  /// `tEXt` where Latin-1 can say it, for more programs read that; else `iTXt`, uncompressed.
  private static void text(DataOutputStream out, String keyword, String text) throws IOException {
    requireKeyword(keyword);
    String safe = text.replace('\0', '\uFFFD'); // NUL ends a text
    boolean latin = safe.chars().allMatch(c -> c == '\n' || isLatin(c));
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    data.writeBytes(keyword.getBytes(StandardCharsets.ISO_8859_1));
    data.write(0);
    if (latin) {
      data.writeBytes(safe.getBytes(StandardCharsets.ISO_8859_1));
    } else {
      data.writeBytes(new byte[4]); // not compressed, by no method; no language, no other keyword
      data.writeBytes(safe.getBytes(StandardCharsets.UTF_8));
    }
    chunk(out, latin ? "tEXt" : "iTXt", data.toByteArray());
  }

  private static void requireKeyword(String keyword) {
    boolean good =
        !keyword.isEmpty()
            && keyword.length() <= MAX_KEYWORD
            && keyword.equals(keyword.strip())
            && keyword.chars().allMatch(Png::isLatin);
    if (!good) {
      throw new IllegalArgumentException("'" + keyword + "' is no keyword of a PNG text");
    }
  }

  /// Whether a character is printable Latin-1.
  private static boolean isLatin(int c) {
    return (c >= 32 && c <= 126) || (c >= 161 && c <= 255);
  }

  private static byte[] deflate(byte[] raw) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    Deflater deflater = new Deflater();
    try (DeflaterOutputStream out = new DeflaterOutputStream(packed, deflater)) {
      out.write(raw);
    } finally {
      deflater.end();
    }
    return packed.toByteArray();
  }

  private static void chunk(DataOutputStream out, String type, byte[] data) throws IOException {
    chunk(out, type, data, 0, data.length);
  }

  private static void chunk(DataOutputStream out, String type, byte[] data, int from, int length)
      throws IOException {
    byte[] name = type.getBytes(StandardCharsets.ISO_8859_1);
    CRC32 crc = new CRC32();
    crc.update(name);
    crc.update(data, from, length);
    out.writeInt(length);
    out.write(name);
    out.write(data, from, length);
    out.writeInt((int) crc.getValue());
  }
}
