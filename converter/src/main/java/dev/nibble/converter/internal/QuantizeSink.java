package dev.nibble.converter.internal;

import dev.nibble.converter.CalibrationResult;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.DType;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.gguf.ImportanceMatrix;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.formats.quant.WeightEncoder;
import dev.nibble.formats.quant.storage.StoredTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Quantizes one weight: codes are written slice by slice, the statistics at the end. Codes that
/// the storage does not keep in the order of the weight are collected in the memory for statistics,
/// which is bounded, and written at the end too.
final class QuantizeSink implements Sink {
  /// Where results go, and what this weight may use.
  ///
  /// @param statistics memory for statistics
  /// @param allowNonFinite accept NaN and infinity
  /// @param imatrix what weights of ggml's types may lean on
  /// @param calibrator what statistics say of weights
  /// @param result receives the error, and the bytes of data-dependent length
  record Context(
      StatisticsPool statistics,
      boolean allowNonFinite,
      Optional<ImportanceMatrix> imatrix,
      Optional<Calibrator> calibrator,
      Consumer<Result> result) {}

  /// What is known only after the data has been read.
  ///
  /// @param calibration what became of a calibrated weight
  record Result(
      TensorPlan.Quantize plan,
      QuantError error,
      long bytesOut,
      Optional<CalibrationResult> calibration) {}

  private final Checkpoint source;
  private final TensorPlan.Quantize plan;
  private final CheckpointWriter target;
  private final Context context;
  private final PartLayout layout;
  private StatisticsPool.@Nullable Lease lease;
  private @Nullable WeightEncoder encoder;
  private Calibrator.@Nullable Prepared prepared;
  private @Nullable MemorySegment collected;

  QuantizeSink(
      Checkpoint source, TensorPlan.Quantize plan, CheckpointWriter target, Context context) {
    this.source = source;
    this.plan = plan;
    this.target = target;
    this.context = context;
    this.layout = plan.storage().layout(plan.quantScheme());
  }

  @Override
  public long alignment() {
    long alignment = layout.sliceAlignment(plan.quantScheme(), plan.source().shape());
    return plan.calibrated().isPresent()
        ? TensorJob.leastCommonMultiple(alignment, plan.source().shape().last())
        : alignment;
  }

  @Override
  public long bufferBytes(long elements) {
    return plan.quantScheme().codeBytes(elements);
  }

  @Override
  public void start() {
    StatisticsPool.Lease memory = context.statistics().lease();
    lease = memory;
    encoder = encoder(memory);
    collected = layout.isInOrder() ? null : memory.allocate(codeBytes(), Integer.BYTES);
  }

  private WeightEncoder encoder(SegmentAllocator memory) {
    Shape shape = plan.source().shape();
    DType dtype = plan.source().dtype();
    if (plan.calibrated().isPresent()) {
      prepared = context.calibrator().orElseThrow().prepare(plan, plan.calibrated().get(), memory);
      return prepared.encoder();
    }
    return plan.quantScheme() instanceof GgmlBlock block
        ? block.encoder(shape, dtype, memory, importance(block, shape))
        : plan.quantScheme().encoder(shape, dtype, memory);
  }

  /// Of the whole weight.
  private long codeBytes() {
    return plan.quantScheme().codeBytes(plan.source().shape().elements());
  }

  /// Of each column; rows that are cut anew have no columns of the weight.
  private Optional<float[]> importance(GgmlBlock block, Shape shape) {
    return block.type().fits(shape)
        ? context.imatrix().flatMap(matrix -> matrix.of(plan.source().name(), shape))
        : Optional.empty();
  }

  @Override
  public boolean surveys() {
    return started(encoder).surveys();
  }

  @Override
  public void survey(long begin, long count, MemorySegment slice) {
    started(encoder).survey(begin, count, slice);
  }

  @Override
  public void accept(long begin, long count, MemorySegment slice, MemorySegment buffer)
      throws IOException {
    WeightEncoder running = started(encoder);
    MemorySegment codes = buffer.asSlice(0, plan.quantScheme().codeBytes(count));
    running.encode(begin, count, slice, codes);
    if (!context.allowNonFinite()) {
      requireFinite(running.nonFinite());
    }
    MemorySegment whole = collected;
    if (whole == null) {
      layout.arrangeInPlace(codes);
      target.write(plan.stored().getFirst().name(), plan.quantScheme().codeBytes(begin), codes);
    } else {
      GroupedInt scheme = (GroupedInt) plan.quantScheme();
      layout.putCodes(scheme, plan.source().shape(), begin, count, codes, whole);
    }
  }

  private void requireFinite(OptionalLong element) {
    if (element.isPresent()) {
      long row = element.getAsLong() / plan.source().shape().last();
      long column = element.getAsLong() % plan.source().shape().last();
      boolean doubleQuant = plan.quantScheme() instanceof FourBit four && four.doubleQuant();
      throw new ConversionException(
          where()
              + " holds a value at row %d, column %d that is not finite, or not in %s's range: repair the checkpoint, keep the layer with --skip, or pass --allow-non-finite%s"
                  .formatted(
                      row,
                      column,
                      plan.quantScheme().id(),
                      doubleQuant ? " and --no-double-quant" : ""));
    }
  }

  private String where() {
    return source.files().get(plan.source().file()).path()
        + ": tensor '"
        + Text.printable(plan.source().name())
        + "'";
  }

  @Override
  public void finish() throws IOException {
    WeightEncoder running = started(encoder);
    Map<Part, MemorySegment> parts;
    try {
      parts = running.finish();
    } catch (NibbleException e) {
      throw new ConversionException(where() + ": " + e.getMessage(), e);
    }
    long bytesOut = codeBytes();
    MemorySegment whole = collected;
    if (whole != null) {
      target.write(plan.stored().getFirst().name(), 0, whole.asSlice(0, bytesOut));
    }
    for (StoredTensor stored : plan.stored()) {
      bytesOut += store(stored, parts);
    }
    Optional<CalibrationResult> calibration =
        Optional.ofNullable(prepared).map(Calibrator.Prepared::result);
    context.result().accept(new Result(plan, running.error(), bytesOut, calibration));
    // After a failure the pool gives back what this lease holds.
    started(lease).close();
    encoder = null;
    prepared = null;
    collected = null;
    lease = null;
  }

  /// Writes one stored tensor other than the codes; returns its size.
  private long store(StoredTensor stored, Map<Part, MemorySegment> parts) throws IOException {
    return switch (stored.content()) {
      case StoredTensor.PartContent part when part.part() == Part.CODES -> 0;
      case StoredTensor.PartContent part -> {
        MemorySegment bytes =
            layout.arrange(
                part.part(),
                plan.quantScheme(),
                plan.source().shape(),
                started(parts.get(part.part())),
                started(lease));
        target.write(stored.name(), 0, bytes);
        yield bytes.byteSize();
      }
      case StoredTensor.Constant constant -> {
        byte[] bytes = new byte[constant.bytes().size()];
        for (int i = 0; i < bytes.length; i++) {
          bytes[i] = constant.bytes().get(i);
        }
        target.write(stored.name(), 0, MemorySegment.ofArray(bytes));
        yield bytes.length;
      }
      case StoredTensor.Document _ -> {
        byte[] bytes =
            plan.storage()
                .document(plan.quantScheme(), plan.source().shape(), plan.source().dtype(), parts);
        target.writeLate(stored.name(), bytes);
        yield bytes.length;
      }
    };
  }

  private static <T> T started(@Nullable T value) {
    if (value == null) {
      throw new AssertionError("slice before start, or a part missing");
    }
    return value;
  }
}
