package dev.nibble.formats.gguf;

import dev.nibble.formats.DType;
import dev.nibble.formats.FileKind;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.MappedFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// An importance matrix: for each weight, the mean square of what each of its columns was
/// multiplied with when a model ran over sample data. Quantizers weigh their errors with it.
///
/// Two forms, told apart by content:
///
/// | form | holds |
/// |---|---|
/// | GGUF | F32 tensors `NAME.in_sum2` `[matrices, columns]` and `NAME.counts` `[matrices, 1]`: sums and how many rows they are of; newer ones also `NAME.in_sum`, which nothing here needs. Metadata `imatrix.datasets` (texts), `imatrix.chunk_count`, `imatrix.chunk_size` |
/// | legacy `.dat`, also of stable-diffusion.cpp | i32 entries; each i32 length, name, i32 calls, i32 values, F32 values: means times calls. Then, of some writers, i32 chunks, and i32 length, data set |
///
/// Source: llama.cpp, `tools/imatrix/imatrix.cpp` (`save_imatrix`, `save_imatrix_legacy`),
/// `common/imatrix-loader.cpp` and `tools/quantize/quantize.cpp` (`load_imatrix`);
/// stable-diffusion.cpp, `src/runtime/imatrix.cpp`.
public final class ImportanceMatrix {
  private static final String SUMS = ".in_sum2";
  private static final String COUNTS = ".counts";
  private static final int LONGEST_NAME = 4096;

  /// What image models' names may begin with in one tool and not in another.
  private static final String PREFIX = "model.diffusion_model.";

  private final Path path;
  private final Map<String, float[]> columns;
  private final Origin origin;

  private ImportanceMatrix(Path path, Map<String, float[]> columns, Origin origin) {
    this.path = path;
    this.columns = columns;
    this.origin = origin;
  }

  /// What a matrix was computed from, as far as it says.
  ///
  /// @param dataset the first of its sample texts, as its maker called it
  /// @param chunks how many pieces of text
  public record Origin(Optional<String> dataset, OptionalInt chunks) {
    private static final Origin UNKNOWN = new Origin(Optional.empty(), OptionalInt.empty());
  }

  /// Reads a matrix of either form into memory; a few bytes for each column of a model.
  ///
  /// @throws FormatException if it is neither, or holds numbers that are no mean squares
  /// @throws IOException if it is missing or can't be read; the message names the file
  public static ImportanceMatrix read(Path path) throws IOException {
    ImportanceMatrix matrix;
    try (MappedFile file = MappedFile.open(path)) {
      matrix =
          FileKind.of(file.bytes()) == FileKind.GGUF
              ? readGguf(path)
              : readLegacy(path, new GgufCursor(path, file.bytes()));
    }
    if (matrix.columns.isEmpty()) {
      throw new FormatException(Where.in(path), "an importance matrix", "no entry of one");
    }
    return matrix;
  }

  private static ImportanceMatrix readGguf(Path path) throws IOException {
    Map<String, float[]> columns = new LinkedHashMap<>();
    try (GgufCheckpoint checkpoint = GgufCheckpoint.open(path)) {
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        String name = tensor.name();
        if (name.endsWith(SUMS)) {
          String weight = name.substring(0, name.length() - SUMS.length());
          columns.put(weight, means(checkpoint, tensor, floats(checkpoint, weight + COUNTS)));
        } else if (name.endsWith(COUNTS)) {
          String weight = name.substring(0, name.length() - COUNTS.length());
          requireBeside(checkpoint, weight + SUMS);
        }
      }
      return new ImportanceMatrix(path, columns, origin(checkpoint.header().metadata()));
    }
  }

  /// The sums of each matrix over its count. A matrix that was never run, as happens to experts,
  /// counts as evenly important.
  private static float[] means(GgufCheckpoint checkpoint, TensorInfo sums, float[] counts) {
    Where where = Where.in(checkpoint.path()).tensor(sums.name());
    float[] values = floats(checkpoint, sums.name());
    if (counts.length == 0 || values.length == 0 || values.length % counts.length != 0) {
      throw new FormatException(
          where,
          "as many sums for each count",
          "%,d sums and %,d counts".formatted(values.length, counts.length));
    }
    int perCount = values.length / counts.length;
    for (int i = 0; i < values.length; i++) {
      int count = Math.round(counts[i / perCount]);
      values[i] = count > 0 ? values[i] / count : 1;
    }
    requireMeans(where, values);
    return values;
  }

  private static Origin origin(Map<String, GgufValue> metadata) {
    Optional<String> dataset =
        metadata.get("imatrix.datasets") instanceof GgufValue.Array array
                && array.element() == GgufType.STRING
            ? array.values().stream().map(GgufValue::text).findFirst()
            : Optional.empty();
    OptionalInt chunks =
        metadata.get("imatrix.chunk_count") instanceof GgufValue.Whole count
                && count.value() > 0
                && count.value() <= Integer.MAX_VALUE
            ? OptionalInt.of((int) count.value())
            : OptionalInt.empty();
    return new Origin(dataset, chunks);
  }

  private static ImportanceMatrix readLegacy(Path path, GgufCursor cursor) {
    Map<String, float[]> columns = new LinkedHashMap<>();
    int entries = cursor.int32("the number of entries");
    // The shortest entry has 16 bytes.
    if (entries < 1 || entries > cursor.remaining() / 16) {
      throw cursor.fault(0, "an importance matrix, GGUF or legacy", "a file of another kind");
    }
    for (int i = 0; i < entries; i++) {
      long at = cursor.position();
      int length = cursor.int32("a name's length");
      if (length < 1 || length > LONGEST_NAME) {
        throw cursor.fault(at, "a name of an importance matrix", "a length of " + length);
      }
      String name = cursor.name("a name", length);
      int calls = cursor.int32("a number of calls");
      int count = cursor.int32("a number of values");
      if (count < 1 || count > cursor.remaining() / Float.BYTES) {
        throw cursor.fault(
            at, "values of '" + Text.printable(name) + "' that fit the file", count + " values");
      }
      float[] values = new float[count];
      for (int j = 0; j < count; j++) {
        float value = cursor.float32("a value");
        values[j] = calls > 0 ? value / calls : value;
      }
      requireMeans(cursor.where(at).tensor(name), values);
      columns.put(name, values);
    }
    return new ImportanceMatrix(path, columns, legacyOrigin(cursor));
  }

  /// What stands behind the entries, if anything does.
  private static Origin legacyOrigin(GgufCursor cursor) {
    if (cursor.remaining() < Integer.BYTES) {
      return Origin.UNKNOWN;
    }
    int count = cursor.int32("a number of chunks");
    OptionalInt chunks = count > 0 ? OptionalInt.of(count) : OptionalInt.empty();
    if (cursor.remaining() < Integer.BYTES) {
      return new Origin(Optional.empty(), chunks);
    }
    int length = cursor.int32("the length of a data set's name");
    boolean named = length > 0 && length <= Math.min(LONGEST_NAME, cursor.remaining());
    return new Origin(
        named ? Optional.of(cursor.name("a data set's name", length)) : Optional.empty(), chunks);
  }

  private static TensorInfo requireBeside(GgufCheckpoint checkpoint, String name) {
    TensorInfo tensor = checkpoint.tensors().get(name);
    if (tensor == null) {
      throw new FormatException(
          Where.in(checkpoint.path()).tensor(name),
          "sums and counts of every weight in an importance matrix",
          "no such tensor");
    }
    return tensor;
  }

  private static float[] floats(GgufCheckpoint checkpoint, String name) {
    TensorInfo tensor = requireBeside(checkpoint, name);
    if (tensor.dtype() != DType.F32) {
      throw new FormatException(
          Where.in(checkpoint.path()).tensor(name),
          "F32, as sums and counts are",
          String.valueOf(tensor.dtype()));
    }
    MemorySegment bytes = checkpoint.data(tensor);
    float[] values = new float[Math.toIntExact(bytes.byteSize() / Float.BYTES)];
    MemorySegment.copy(bytes, LittleEndian.FLOAT, 0, values, 0, values.length);
    return values;
  }

  private static void requireMeans(Where where, float[] values) {
    for (float value : values) {
      if (!(value >= 0) || value == Float.POSITIVE_INFINITY) {
        throw new FormatException(where, "means of squares, finite and not negative", "" + value);
      }
    }
  }

  /// The file it was read from.
  public Path path() {
    return path;
  }

  /// What it was computed from.
  public Origin origin() {
    return origin;
  }

  /// Names of the weights that it knows.
  public List<String> names() {
    return List.copyOf(columns.keySet());
  }

  /// The importance of each column of a weight, if the weight is a matrix and known: by its name,
  /// with or without the prefix of a bundle.
  ///
  /// @throws FormatException if it has another number of columns
  public Optional<float[]> of(String weight, Shape shape) {
    if (shape.rank() != 2) {
      return Optional.empty();
    }
    long width = shape.last();
    for (String name : List.of(weight, PREFIX + weight, withoutPrefix(weight))) {
      float[] values = columns.get(name);
      if (values == null) {
        continue;
      }
      if (values.length != width) {
        throw new FormatException(
            Where.in(path).tensor(name),
            "importance of %,d columns, as the model has".formatted(width),
            "%,d: this matrix is another model's".formatted(values.length));
      }
      // Nothing is known of a weight whose inputs were all zero.
      float[] copy = values.clone();
      if (allZero(copy)) {
        Arrays.fill(copy, 1);
      }
      return Optional.of(copy);
    }
    return Optional.empty();
  }

  private static boolean allZero(float[] values) {
    for (float value : values) {
      if (value != 0) {
        return false;
      }
    }
    return true;
  }

  private static String withoutPrefix(String name) {
    return name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name;
  }
}
