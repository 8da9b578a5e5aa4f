package dev.nibble.formats.internal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.Text;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/// One JSON document of a file that nobody vouches for, read token by token, under limits.
///
/// Accepts what Rust's serde_json accepts (the official safetensors library's parser): strict UTF-8
/// without a byte order mark, nesting up to 127, no lone surrogates in strings, nothing but white
/// space around the one document. Every fault is a {@link FormatException} that gives its byte in
/// the file. Memory in use is a few kilobytes and the longest string.
public final class StrictJson implements AutoCloseable {
  /// serde_json's recursion limit of 128 refuses the 128th level.
  private static final int MAX_NESTING = 127;

  /// No number that a reader here cares for has more than 20 digits.
  private static final int MAX_NUMBER_LENGTH = 1000;

  private final Path file;
  private final MemorySegment text;
  private final long textOffset;
  private final JsonParser parser;
  private Optional<String> tensor = Optional.empty();

  /// @param file the file, for messages
  /// @param text the bytes of the document; borrowed
  /// @param textOffset where the document begins in the file, for messages
  public StrictJson(Path file, MemorySegment text, long textOffset) {
    this.file = file;
    this.text = text;
    this.textOffset = textOffset;
    if (startsWithByteOrderMark()) {
      throw new FormatException(
          Where.in(file).at(textOffset), "a JSON document", "a byte order mark");
    }
    try {
      this.parser = factory(text.byteSize()).createParser(reader(text));
    } catch (IOException e) {
      throw new AssertionError("making a parser reads nothing", e);
    }
  }

  private static JsonFactory factory(long size) {
    int longest = Math.clamp(size, 1, Integer.MAX_VALUE);
    return JsonFactory.builder()
        // A header may hold a million different names: pooling them costs memory, and its
        // protection against colliding hashes would refuse honest files.
        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
        .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxNestingDepth(MAX_NESTING)
                .maxNumberLength(MAX_NUMBER_LENGTH)
                .maxStringLength(longest)
                .maxNameLength(longest)
                .maxDocumentLength(size + 1)
                .build())
        .build();
  }

  /// A reader of our own: left to itself Jackson guesses at UTF-16 and lets overlong UTF-8 pass.
  private static Reader reader(MemorySegment text) {
    return new InputStreamReader(
        new SegmentInputStream(text),
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT));
  }

  private boolean startsWithByteOrderMark() {
    return text.byteSize() >= 3
        && text.get(ValueLayout.JAVA_BYTE, 0) == (byte) 0xEF
        && text.get(ValueLayout.JAVA_BYTE, 1) == (byte) 0xBB
        && text.get(ValueLayout.JAVA_BYTE, 2) == (byte) 0xBF;
  }

  /// Names the tensor that the next faults concern.
  public void about(Optional<String> tensorName) {
    tensor = tensorName;
  }

  /// The next token, or null at the end of the text.
  public @Nullable JsonToken next() {
    try {
      return parser.nextToken();
    } catch (JsonProcessingException e) {
      // The original message: Jackson's own adds a second line with its idea of the place.
      throw fault("JSON", "a fault in it: " + Text.printable(e.getOriginalMessage()));
    } catch (CharacterCodingException e) {
      throw new FormatException(
          Where.in(file).at(textOffset + firstMalformed()), "UTF-8 text", "other bytes");
    } catch (IOException e) {
      throw new AssertionError("memory does not fail to be read", e);
    }
  }

  /// Takes a token that must be of one kind.
  ///
  /// @param what the thing expected there, for the message
  public void expect(JsonToken token, String what) {
    JsonToken found = next();
    if (found != token) {
      throw fault(what, describe(found));
    }
  }

  /// The text of the current name or string.
  public String string() {
    String string;
    try {
      string = parser.getText();
    } catch (JsonProcessingException e) {
      throw fault("JSON", "a fault in it: " + Text.printable(e.getOriginalMessage()));
    } catch (IOException e) {
      throw fault("UTF-8 text", "other bytes");
    }
    requirePairedSurrogates(string);
    return string;
  }

  /// Takes a string.
  public String nextString(String what) {
    expect(JsonToken.VALUE_STRING, what);
    return string();
  }

  /// The current token as an integer from 0 to 2^63-1; `-0` is not one, nor is `5.0`.
  public long count(@Nullable JsonToken token, String what) {
    if (token != JsonToken.VALUE_NUMBER_INT) {
      throw fault(what, describe(token));
    }
    String digits = string();
    if (digits.startsWith("-")) {
      throw fault(what, Text.printable(digits));
    }
    try {
      return Long.parseLong(digits);
    } catch (NumberFormatException _) {
      throw fault(what + " below 2^63", Text.printable(digits));
    }
  }

  /// Takes a value of any kind: its number if it is one that {@link #count} takes.
  public OptionalLong tryCount() {
    JsonToken token = next();
    if (token == JsonToken.VALUE_NUMBER_INT) {
      String digits = string();
      return digits.length() <= 18 && !digits.startsWith("-")
          ? OptionalLong.of(Long.parseLong(digits))
          : OptionalLong.empty();
    }
    skip(token);
    return OptionalLong.empty();
  }

  /// Takes a value of any kind and drops it. Its strings are still checked.
  public void skipValue() {
    skip(next());
  }

  private void skip(@Nullable JsonToken first) {
    JsonToken token = first;
    if (token == null) {
      throw fault("a value", describe(token));
    }
    int depth = 0;
    do {
      depth += depthChange(token);
      if (token == JsonToken.VALUE_STRING || token == JsonToken.FIELD_NAME) {
        string();
      }
      if (depth > 0) {
        token = next();
      }
    } while (depth > 0 && token != null);
  }

  private static int depthChange(JsonToken token) {
    return token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
  }

  /// Takes the end of the text.
  public void end() {
    JsonToken token = next();
    if (token != null) {
      throw fault("the end of the JSON", describe(token));
    }
  }

  /// A fault at the current token.
  public FormatException fault(String expected, String found) {
    long at = byteOffset(parser.currentTokenLocation().getCharOffset());
    return new FormatException(
        new Where(file, tensor, OptionalLong.of(textOffset + at)), expected, found);
  }

  /// The current token in words.
  public String describe(@Nullable JsonToken token) {
    return switch (token) {
      case null -> "the end of the text";
      case START_OBJECT -> "an object";
      case START_ARRAY -> "an array";
      case END_ARRAY -> "the end of the array";
      case END_OBJECT -> "the end of the object";
      case FIELD_NAME -> "the name '" + Text.printable(string()) + "'";
      case VALUE_STRING -> "the string '" + Text.printable(string()) + "'";
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "the number " + Text.printable(string());
      case VALUE_TRUE, VALUE_FALSE, VALUE_NULL -> string();
      case NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT -> throw new AssertionError(token);
    };
  }

  private void requirePairedSurrogates(String string) {
    int point;
    for (int i = 0; i < string.length(); i += Character.charCount(point)) {
      point = string.codePointAt(i);
      if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
        throw fault("text", "half a surrogate pair in '" + Text.printable(string) + "'");
      }
    }
  }

  /// Jackson counts UTF-16 units, people look for bytes.
  private long byteOffset(long chars) {
    long units = 0;
    for (long at = 0; at < text.byteSize(); at++) {
      int b = text.get(ValueLayout.JAVA_BYTE, at) & 0xFF;
      if ((b & 0xC0) == 0x80) {
        continue;
      }
      if (units >= chars) {
        return at;
      }
      units += b >= 0xF0 ? 2 : 1;
    }
    return text.byteSize();
  }

  private long firstMalformed() {
    var decoder = StandardCharsets.UTF_8.newDecoder();
    var chars = CharBuffer.allocate(4096);
    var bytes = text.asByteBuffer();
    while (true) {
      var result = decoder.decode(bytes, chars, true);
      if (!result.isOverflow()) {
        return bytes.position();
      }
      chars.clear();
    }
  }

  @Override
  public void close() {
    try {
      parser.close();
    } catch (IOException e) {
      throw new AssertionError("closing a reader of memory does nothing", e);
    }
  }
}
