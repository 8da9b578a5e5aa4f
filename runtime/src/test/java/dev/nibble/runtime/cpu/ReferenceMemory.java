package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/// What the operations of {@link ReferenceOps} have their results in.
abstract class ReferenceMemory implements Ops {
  private final AtomicLong openBytes;
  private final Deque<ReferenceRegion> regions = new ArrayDeque<>();

  ReferenceMemory(AtomicLong openBytes) {
    this.openBytes = openBytes;
    regions.push(new ReferenceRegion());
  }

  private final class ReferenceRegion implements Region {
    final Set<Buffer> buffers = Collections.newSetFromMap(new IdentityHashMap<>());

    @Override
    public Tensor keep(Tensor tensor) {
      if (buffers.remove(tensor.buffer())) {
        var it = regions.iterator();
        while (it.next() != this) {}
        it.next().buffers.add(tensor.buffer());
      }
      return tensor;
    }

    @Override
    public void close() {
      if (regions.pop() != this) {
        throw new IllegalStateException("regions close in reverse order of opening");
      }
      for (Buffer buffer : buffers) {
        openBytes.addAndGet(-4 * buffer.capacity());
      }
      buffers.clear();
    }
  }

  private Tensor make(float[] values, Shape shape, ReferenceRegion owner) {
    CpuBuffer buffer = new CpuBuffer(values);
    owner.buffers.add(buffer);
    openBytes.addAndGet(4 * buffer.capacity());
    return new Tensor(DType.F32, shape, buffer, 0);
  }

  final Tensor make(float[] values, long... dims) {
    return make(values, Shape.of(dims), regions.element());
  }

  final Tensor like(Tensor x, float[] values) {
    return make(values, x.shape(), regions.element());
  }

  @Override
  public Region region() {
    ReferenceRegion region = new ReferenceRegion();
    regions.push(region);
    return region;
  }

  @Override
  public Tensor persist(Tensor tensor) {
    return make(toHost(tensor), tensor.shape(), regions.getLast());
  }

  @Override
  public void release(Tensor tensor) {
    for (ReferenceRegion region : regions) {
      if (region.buffers.remove(tensor.buffer())) {
        openBytes.addAndGet(-4 * tensor.buffer().capacity());
        return;
      }
    }
    throw new IllegalStateException("released twice, or not of this session");
  }

  @Override
  public Tensor fromHost(float[] values, long... dims) {
    return make(values.clone(), dims);
  }

  @Override
  public float[] toHost(Tensor x) {
    int at = CpuBuffer.offset(x);
    return Arrays.copyOfRange(CpuBuffer.array(x), at, at + x.elements());
  }

  static long[] dims(Tensor x) {
    return x.shape().dims().stream().mapToLong(Long::longValue).toArray();
  }

  static long[] withLast(Tensor x, long last) {
    long[] dims = dims(x);
    dims[dims.length - 1] = last;
    return dims;
  }

  @Override
  public void close() {
    while (!regions.isEmpty()) {
      regions.element().close();
    }
  }
}
