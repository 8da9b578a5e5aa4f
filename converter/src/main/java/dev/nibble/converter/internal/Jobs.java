package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.SourceTensor.Piece;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Collects what is to be done with each tensor of a source, so that outputs that want the same
/// elements get them from one read.
final class Jobs {
  private final OpenModel source;
  private final MemoryBudget budget;
  private final Map<Elements, List<Wish>> wishes = new LinkedHashMap<>();

  private record Wish(SourceTensor tensor, Sink sink) {}

  /// What two wishes have in common whatever the outputs call the tensor.
  private record Elements(DType dtype, List<Piece> pieces, boolean transposed) {
    /// Where the first of them lies.
    TensorInfo first() {
      return pieces.getFirst().stored().getFirst();
    }
  }

  Jobs(OpenModel source, MemoryBudget budget) {
    this.source = source;
    this.budget = budget;
  }

  void add(SourceTensor tensor, Sink sink) {
    wishes
        .computeIfAbsent(
            new Elements(tensor.dtype(), tensor.pieces(), tensor.transposed()),
            _ -> new ArrayList<>())
        .add(new Wish(tensor, sink));
  }

  /// The jobs in the order in which their tensors lie in the files.
  ///
  /// @throws ConversionException if a tensor can't be cut into slices that fit the memory bound
  List<Job> inFileOrder() {
    List<Map.Entry<Elements, List<Wish>>> ordered = new ArrayList<>(wishes.entrySet());
    ordered.sort(
        Comparator.comparing(
            entry -> entry.getKey().first(),
            Comparator.comparingInt(TensorInfo::file).thenComparingLong(TensorInfo::offset)));
    List<Job> jobs = new ArrayList<>();
    for (Map.Entry<Elements, List<Wish>> entry : ordered) {
      jobs.addAll(jobs(entry.getValue()));
    }
    return jobs;
  }

  /// One job for all, unless slices that suit every one of them would be too large: rows of one
  /// scheme and blocks of another that have no common multiple nearby.
  private List<Job> jobs(List<Wish> wanted) {
    Job together = job(wanted);
    if (fits(together) || wanted.size() == 1) {
      return List.of(required(together));
    }
    return wanted.stream().map(wish -> required(job(List.of(wish)))).toList();
  }

  private TensorJob job(List<Wish> wanted) {
    List<Sink> sinks = wanted.stream().map(Wish::sink).toList();
    return new TensorJob(source, wanted.getFirst().tensor(), sinks, budget.sliceBytes());
  }

  private boolean fits(Job job) {
    return job.bufferBytes() <= budget.largestSliceBytes();
  }

  private Job required(Job job) {
    if (!fits(job)) {
      throw new ConversionException(
          "tensor '%s' has rows of %,d bytes, too long for its scheme within the memory bound: raise --memory, or take a scheme with blocks"
              .formatted(Text.printable(job.tensor()), job.bufferBytes()));
    }
    return job;
  }
}
