package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;

/// Rounds a tensor to another float type. NaN and infinity stay what they are, since every float
/// type has them; a number that would become infinite is an error.
final class CastSink implements Sink {
  private static final int CHUNK = 4096;

  /// The least magnitudes that round to infinity: half a step above the largest numbers.
  private static final float F16_OVERFLOW = 65520f;

  private static final float BF16_OVERFLOW = 0x1.FFp127f;

  /// What a number is that its new type has no room for.
  ///
  /// @param file the source's, for the message
  /// @param cure what the user can do
  record Overflow(Path file, String cure) {}

  private final TensorPlan.Cast plan;
  private final CheckpointWriter target;
  private final Optional<Overflow> overflow;

  /// @param overflow empty: such numbers become infinite
  CastSink(TensorPlan.Cast plan, CheckpointWriter target, Optional<Overflow> overflow) {
    this.plan = plan;
    this.target = target;
    this.overflow = overflow;
  }

  @Override
  public long alignment() {
    return 1;
  }

  @Override
  public long bufferBytes(long elements) {
    return plan.target().byteSize(elements);
  }

  @Override
  public void accept(long begin, long count, MemorySegment source, MemorySegment buffer)
      throws IOException {
    FloatReader reader = FloatReader.of(plan.source().dtype());
    FloatWriter writer = FloatWriter.of(plan.target());
    float[] chunk = new float[CHUNK];
    for (long done = 0; done < count; done += CHUNK) {
      int length = (int) Math.min(CHUNK, count - done);
      reader.read(source, done, chunk, length);
      if (overflow.isPresent()) {
        requireRoom(overflow.get(), chunk, length, begin + done);
      }
      writer.write(chunk, length, buffer, done);
    }
    MemorySegment bytes = buffer.asSlice(0, plan.target().byteSize(count));
    target.write(plan.source().name(), plan.target().byteSize(begin), bytes);
  }

  private void requireRoom(Overflow rule, float[] values, int count, long first) {
    float limit = limit(plan.target());
    for (int i = 0; i < count; i++) {
      float size = Math.abs(values[i]);
      if (size >= limit && size < Float.POSITIVE_INFINITY) {
        throw tooLarge(rule, values[i], first + i);
      }
    }
  }

  private static float limit(DType target) {
    return switch (target) {
      case F16 -> F16_OVERFLOW;
      case BF16 -> BF16_OVERFLOW;
      default -> Float.POSITIVE_INFINITY;
    };
  }

  private ConversionException tooLarge(Overflow rule, float value, long element) {
    Shape shape = plan.source().shape();
    long width = shape.rank() == 0 ? 1 : shape.last();
    return new ConversionException(
        "%s: tensor '%s' holds %s at row %d, column %d, which is out of %s's range: %s"
            .formatted(
                rule.file(),
                Text.printable(plan.source().name()),
                value,
                element / width,
                element % width,
                plan.target(),
                rule.cure()));
  }
}
