package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.PipelinePlan;
import dev.nibble.converter.PipelineReport;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.ProgressListener.Stage;
import dev.nibble.formats.io.PendingOutput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;

/// One execution of the plans for one pipeline: component after component, each read once for all
/// outputs; then the files that are copied. Every output appears whole or not at all.
public final class PipelineRun {
  private final List<PipelinePlan> plans;
  private final ProgressListener listener;
  private final Cancellation cancellation;
  private final List<PendingOutput> pending = new ArrayList<>();
  private final Map<String, SourcePass> passes = new HashMap<>();
  private final long totalBytes;
  private long doneBytes;

  /// @param plans for the same pipeline
  public PipelineRun(
      List<PipelinePlan> plans, ProgressListener listener, Cancellation cancellation) {
    this.plans = List.copyOf(plans);
    this.listener = listener;
    this.cancellation = cancellation;
    long total = plans.stream().mapToLong(PipelinePlan::copiedBytes).sum();
    for (String component : components(plans)) {
      total += plansFor(component).getFirst().bytesIn();
    }
    this.totalBytes = total;
  }

  private static Set<String> components(List<PipelinePlan> plans) {
    Set<String> names = new LinkedHashSet<>();
    plans.forEach(plan -> names.addAll(plan.components().keySet()));
    return names;
  }

  private List<ConversionPlan> plansFor(String component) {
    List<ConversionPlan> found = new ArrayList<>();
    for (PipelinePlan plan : plans) {
      ConversionPlan own = plan.components().get(component);
      if (own != null) {
        found.add(own);
      }
    }
    return found;
  }

  /// Runs the plans to their end. Call once.
  ///
  /// @return a report for each plan
  public List<PipelineReport> execute() throws IOException {
    long started = System.nanoTime();
    try {
      for (PipelinePlan plan : plans) {
        pending.add(PendingOutput.directory(plan.target(), plan.request().each().force()));
      }
      requireSpace();
      for (String component : components(plans)) {
        convert(component);
      }
      for (int i = 0; i < plans.size(); i++) {
        copy(plans.get(i), pending.get(i).path());
      }
      listener.stage(Stage.COMMITTING);
      for (PendingOutput output : pending) {
        requireNotCancelled();
        output.commit();
      }
      listener.stage(Stage.DONE);
      return reports(System.nanoTime() - started);
    } finally {
      // The first made the folders that the others lie in.
      pending.reversed().forEach(PendingOutput::close);
    }
  }

  /// Fails before hours of work; each component is counted again, to the byte, when it begins.
  private void requireSpace() throws IOException {
    long needed = 0;
    for (int i = 0; i < plans.size(); i++) {
      needed += plans.get(i).bytesOut();
      long free = Files.getFileStore(pending.get(i).path()).getUsableSpace();
      if (free < needed) {
        throw new ConversionException(
            "%s needs %,d bytes and its disk has %,d free: free some space, or write elsewhere with -o"
                .formatted(plans.get(i).target(), needed, free));
      }
    }
  }

  private void requireNotCancelled() {
    if (cancellation.isCancelled()) {
      throw new ConversionCancelledException();
    }
  }

  private void convert(String component) throws IOException {
    List<ConversionPlan> wanted = plansFor(component);
    long bytes = wanted.getFirst().bytesIn();
    var progress = new PartProgress(listener, component + "/", doneBytes, bytes, totalBytes);
    List<Path> places = new ArrayList<>();
    for (int i = 0; i < plans.size(); i++) {
      if (plans.get(i).components().containsKey(component)) {
        places.add(Files.createDirectory(pending.get(i).path().resolve(component)));
      }
    }
    try (SourcePass pass = new SourcePass(wanted, progress, cancellation)) {
      pass.fill(places);
      passes.put(component, pass);
    }
    doneBytes += bytes;
  }

  private void copy(PipelinePlan plan, Path folder) throws IOException {
    for (Map.Entry<String, Path> file : plan.copied().entrySet()) {
      requireNotCancelled();
      long bytes = Files.size(file.getValue());
      var progress = new PartProgress(listener, "", doneBytes, bytes, totalBytes);
      new FileCopy(progress, cancellation)
          .copy(
              file.getValue(), folder.resolve(file.getKey()), plan.target().resolve(file.getKey()));
      doneBytes += bytes;
    }
  }

  private List<PipelineReport> reports(long nanos) throws IOException {
    List<PipelineReport> reports = new ArrayList<>();
    for (PipelinePlan plan : plans) {
      SequencedMap<String, ConversionReport> components = new LinkedHashMap<>();
      List<Path> outputs = new ArrayList<>();
      for (Map.Entry<String, ConversionPlan> component : plan.components().entrySet()) {
        SourcePass pass = Objects.requireNonNull(passes.get(component.getKey()));
        ConversionReport report = pass.report(component.getValue());
        components.put(component.getKey(), report);
        outputs.addAll(report.outputs());
      }
      plan.copied().keySet().forEach(name -> outputs.add(plan.target().resolve(name)));
      long written = 0;
      for (Path output : outputs) {
        written += Files.size(output);
      }
      reports.add(new PipelineReport(plan, components, outputs, written, nanos));
    }
    return reports;
  }
}
