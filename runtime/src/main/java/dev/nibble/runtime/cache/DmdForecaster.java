package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The values that {@link Dmd} remembers of one tensor. Its propagators are found once for each set
/// of values.
final class DmdForecaster implements Forecaster {
  private static final int LEAST = 4;

  private final Dmd dmd;
  private final Ops session;
  private final List<Snapshot> snapshots = new ArrayList<>();
  private List<Optional<DmdFit>> fits = List.of();
  private int first;

  private record Snapshot(int step, Tensor value) {}

  DmdForecaster(Dmd dmd, Ops session) {
    this.dmd = dmd;
    this.session = session;
  }

  @Override
  public void observe(int step, Tensor value) {
    if (!snapshots.isEmpty() && !snapshots.getLast().value.shape().equals(value.shape())) {
      clear();
    }
    if (snapshots.isEmpty()) {
      first = step;
    }
    if (snapshots.size() == dmd.history()) {
      session.release(snapshots.removeFirst().value);
    }
    snapshots.add(new Snapshot(step, session.persist(value)));
    fits = List.of();
  }

  @Override
  public Tensor predict(int step, Ops ops) {
    if (snapshots.isEmpty()) {
      throw new IllegalStateException("nothing was computed yet");
    }
    List<Snapshot> tail = tail();
    if (tail.size() < LEAST) {
      return taylor(step, ops);
    }
    int spacing = tail.getLast().step - tail.get(tail.size() - 2).step;
    double horizon = (double) (step - tail.getLast().step) / spacing;
    int batch = tail.getLast().value.rank() > 1 ? tail.getLast().value.dim(0) : 1;
    if (fits.isEmpty()) {
      List<Optional<DmdFit>> found = new ArrayList<>();
      for (int item = 0; item < batch; item++) {
        found.add(DmdFit.of(products(tail, item, batch, ops), dmd.rank(), dmd.ridge()));
      }
      fits = found;
    }
    List<float[]> coefficients =
        fits.stream().flatMap(fit -> fit.flatMap(f -> f.coefficients(horizon)).stream()).toList();
    if (coefficients.size() < batch) {
      return ops.linearCombination(new float[] {1}, List.of(tail.getLast().value));
    }
    List<Tensor> base = tail.stream().skip(1).map(Snapshot::value).toList();
    if (batch == 1) {
      return ops.linearCombination(coefficients.getFirst(), base);
    }
    try (Region region = ops.region()) {
      List<Tensor> items = new ArrayList<>();
      for (int i = 0; i < batch; i++) {
        int item = i;
        items.add(
            ops.linearCombination(
                coefficients.get(i),
                base.stream().map(value -> value.rows(item, item + 1)).toList()));
      }
      return region.keep(ops.concat(0, items));
    }
  }

  /// The longest run of equally spaced values that ends with the last.
  private List<Snapshot> tail() {
    int size = snapshots.size();
    if (size < 2) {
      return snapshots;
    }
    int spacing = snapshots.get(size - 1).step - snapshots.get(size - 2).step;
    int begin = size - 2;
    while (begin > 0 && snapshots.get(begin).step - snapshots.get(begin - 1).step == spacing) {
      begin--;
    }
    return snapshots.subList(begin, size);
  }

  private static double[][] products(List<Snapshot> tail, int item, int batch, Ops ops) {
    double[][] products = new double[tail.size()][tail.size()];
    for (int i = 0; i < products.length; i++) {
      for (int j = 0; j <= i; j++) {
        Tensor a = tail.get(i).value;
        Tensor b = tail.get(j).value;
        double product =
            batch == 1 ? ops.dot(a, b) : ops.dot(a.rows(item, item + 1), b.rows(item, item + 1));
        products[i][j] = product;
        products[j][i] = product;
      }
    }
    return products;
  }

  /// The source's series: the change from the last but two, over the last spacing.
  private Tensor taylor(int step, Ops ops) {
    Snapshot now = snapshots.getLast();
    int size = snapshots.size();
    if (size < 3 || now.step - first <= TaylorSeer.QUIET_STEPS) {
      return ops.linearCombination(new float[] {1}, List.of(now.value));
    }
    float slope = (float) (step - now.step) / (now.step - snapshots.get(size - 2).step);
    try (Region region = ops.region()) {
      Tensor change = ops.sub(now.value, snapshots.get(size - 3).value);
      return region.keep(ops.linearCombination(new float[] {1, slope}, List.of(now.value, change)));
    }
  }

  @Override
  public void clear() {
    snapshots.forEach(snapshot -> session.release(snapshot.value));
    snapshots.clear();
    fits = List.of();
  }
}
