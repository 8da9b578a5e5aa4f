package dev.nibble.formats.gguf;

import java.util.List;
import java.util.stream.Collectors;

/// A value of a GGUF file's metadata.
public sealed interface GgufValue {
  GgufType type();

  /// In one line, for people.
  String text();

  /// A whole number.
  ///
  /// @param value of {@link GgufType#U64} the same 64 bits
  record Whole(GgufType type, long value) implements GgufValue {
    public Whole {
      switch (type) {
        case U8, I8, U16, I16, U32, I32, U64, I64 -> {}
        case F32, BOOL, STRING, ARRAY, F64 ->
            throw new IllegalArgumentException(type + " is no whole number");
      }
    }

    @Override
    public String text() {
      return type == GgufType.U64 ? Long.toUnsignedString(value) : Long.toString(value);
    }
  }

  /// A float, {@link GgufType#F32} or {@link GgufType#F64}.
  record Real(GgufType type, double value) implements GgufValue {
    public Real {
      if (type != GgufType.F32 && type != GgufType.F64) {
        throw new IllegalArgumentException(type + " is no float");
      }
    }

    @Override
    public String text() {
      return type == GgufType.F32 ? Float.toString((float) value) : Double.toString(value);
    }
  }

  record Bool(boolean value) implements GgufValue {
    @Override
    public GgufType type() {
      return GgufType.BOOL;
    }

    @Override
    public String text() {
      return Boolean.toString(value);
    }
  }

  record Text(String value) implements GgufValue {
    @Override
    public GgufType type() {
      return GgufType.STRING;
    }

    @Override
    public String text() {
      return value;
    }
  }

  /// Values of one type, arrays of arrays included.
  record Array(GgufType element, List<GgufValue> values) implements GgufValue {
    private static final int SHOWN = 16;

    public Array {
      values = List.copyOf(values);
    }

    @Override
    public GgufType type() {
      return GgufType.ARRAY;
    }

    /// The first elements, and how many there are where that isn't all.
    @Override
    public String text() {
      String shown =
          values.stream().limit(SHOWN).map(GgufValue::text).collect(Collectors.joining(", "));
      return values.size() > SHOWN
          ? "[" + shown + ", ...] (" + values.size() + " elements)"
          : "[" + shown + "]";
    }
  }

  static GgufValue u32(long value) {
    return new Whole(GgufType.U32, value);
  }

  static GgufValue text(String value) {
    return new Text(value);
  }
}
