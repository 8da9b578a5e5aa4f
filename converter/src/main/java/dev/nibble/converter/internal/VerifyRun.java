package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.VerifyReport;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// One comparison of two checkpoints.
public final class VerifyRun {
  private final MemoryBudget budget;
  private final ProgressListener listener;
  private final Cancellation cancellation;

  public VerifyRun(MemoryBudget budget, ProgressListener listener, Cancellation cancellation) {
    this.budget = budget;
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /// Runs to the end. Call once.
  public VerifyReport compare(Path firstPath, Path secondPath) throws IOException {
    long started = System.nanoTime();
    try (OpenModel first = OpenModel.open(firstPath);
        OpenModel second = OpenModel.open(secondPath)) {
      List<CompareJob> jobs = new ArrayList<>();
      List<String> onlyFirst = new ArrayList<>();
      List<VerifyReport.Reshaped> reshaped = new ArrayList<>();
      for (Map.Entry<String, LogicalTensor> entry : first.tensors().entrySet()) {
        String name = entry.getKey();
        LogicalTensor other = second.tensors().get(name);
        if (other == null) {
          onlyFirst.add(name);
          continue;
        }
        Side a = Side.of(first, entry.getValue());
        Side b = Side.of(second, other);
        if (a.shape().equals(b.shape())) {
          jobs.add(new CompareJob(name, a, b, budget));
        } else {
          reshaped.add(new VerifyReport.Reshaped(name, a.shape(), b.shape()));
        }
      }
      List<String> onlySecond =
          second.tensors().keySet().stream()
              .filter(name -> !first.tensors().containsKey(name))
              .toList();
      new SlicePipeline(budget.threads(), listener, cancellation).run(jobs);
      return new VerifyReport(
          files(first),
          files(second),
          jobs.stream().map(CompareJob::result).toList(),
          onlyFirst,
          onlySecond,
          reshaped,
          System.nanoTime() - started);
    }
  }

  private static List<Path> files(OpenModel model) {
    return model.checkpoint().files().stream().map(CheckpointFile::path).toList();
  }
}
