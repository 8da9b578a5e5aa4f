package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.upload.Uploader;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;

/// Weights on a GPU. A quantized weight stays quantized where kernels read its scheme, and else is
/// decoded as it is loaded, which the log says; a dense weight takes the type of products.
final class CudaWeights implements WeightStore {
  private static final System.Logger LOG = System.getLogger(CudaWeights.class.getName());

  /// Parts of a weight begin at multiples of this.
  private static final long ALIGNMENT = 256;

  private static final int NARROWED_AT_ONCE = 1 << 16;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final String owner;
  private final DeviceArena arena;
  private final KernelModules kernels;
  private final DType product;
  private final Launcher launcher;
  private final AtomicLong openBytes;
  private final WeightQueue queue;
  private final Arena arguments = Arena.ofShared();
  private final List<DeviceBuffer> buffers = new ArrayList<>();
  private final Map<String, Integer> decoded = new TreeMap<>();
  private long deviceBytes;
  private long byteSize;
  private boolean closed;

  /// @param arena of this store; closed with it
  /// @param product type of dense weights
  /// @param uploader borrowed
  CudaWeights(
      String owner,
      CudaDevice device,
      DeviceArena arena,
      KernelModules kernels,
      DType product,
      AtomicLong openBytes,
      Uploader uploader) {
    this.owner = owner;
    this.arena = arena;
    this.kernels = kernels;
    this.product = product;
    this.openBytes = openBytes;
    launcher = new Launcher(device.newStream());
    queue = new WeightQueue(uploader);
  }

  private DeviceBuffer allocate(String name, long bytes) {
    DeviceBuffer buffer = arena.allocate(name, Math.max(1, bytes));
    buffers.add(buffer);
    deviceBytes += buffer.byteSize();
    openBytes.addAndGet(buffer.byteSize());
    return buffer;
  }

  private void free(DeviceBuffer buffer) {
    launcher.stream().synchronize();
    buffers.remove(buffer);
    deviceBytes -= buffer.byteSize();
    openBytes.addAndGet(-buffer.byteSize());
    buffer.close();
  }

  @Override
  public Tensor tensor(float[] values, long... dims) {
    Shape shape = Shape.of(dims);
    DeviceBuffer buffer = allocate("parameter", 4L * values.length);
    try (Arena host = Arena.ofConfined()) {
      MemorySegment bytes = host.allocate(4L * values.length, 4);
      MemorySegment.copy(values, 0, bytes, FLOAT, 0, values.length);
      upload(buffer.address(), bytes);
      launcher.stream().synchronize();
    }
    byteSize += 4L * values.length;
    return new Tensor(DType.F32, shape, new CudaBuffer(buffer, DType.F32), 0);
  }

  private void upload(long target, MemorySegment source) {
    if (source.byteSize() > 0) {
      launcher.stream().copyIn(target, source);
    }
  }

  @Override
  public LinearWeight linear(String name, WeightSource source) {
    Shape shape = source.shape();
    if (shape.rank() != 2) {
      throw new IllegalArgumentException("a linear weight has two axes, not " + shape);
    }
    CudaLinearWeight weight =
        switch (source) {
          case WeightSource.Dense plain -> plain(name, plain);
          case WeightSource.Quantized(QuantizedTensor tensor) -> {
            Optional<WeightFormat> format = WeightFormat.of(tensor.scheme());
            yield format.isPresent()
                ? quantized(name, tensor, format.get())
                : decoded(name, tensor);
          }
        };
    launcher.stream().synchronize();
    byteSize += weight.byteSize();
    return weight;
  }

  private CudaLinearWeight plain(String name, WeightSource.Dense source) {
    return switch (source.dtype()) {
      case F8_E4M3 -> unscaled(name, source.data(), WeightFormat.FP8_E4M3, source.shape());
      case F8_E5M2 -> unscaled(name, source.data(), WeightFormat.FP8_E5M2, source.shape());
      case F64 -> narrowed(name, source.data(), source.shape());
      default -> dense(name, source.data(), source.dtype(), source.shape());
    };
  }

  /// 8-bit floats stay so.
  private CudaLinearWeight unscaled(
      String name, MemorySegment data, WeightFormat format, Shape shape) {
    DeviceBuffer buffer = allocate(name, data.byteSize());
    queue.add(buffer.address(), data);
    return weight(shape, data.byteSize(), format, WeightArgument.dense(buffer.address()));
  }

  /// Doubles, which no kernel reads.
  private CudaLinearWeight narrowed(String name, MemorySegment data, Shape shape) {
    long count = shape.elements();
    float[] some = new float[(int) Math.min(count, NARROWED_AT_ONCE)];
    try (Arena host = Arena.ofShared()) { // the uploader's threads read it
      MemorySegment floats = host.allocate(DType.F32.byteSize(count), 64);
      for (long at = 0; at < count; at += some.length) {
        int length = (int) Math.min(some.length, count - at);
        FloatReader.of(DType.F64).read(data, at, some, length);
        MemorySegment.copy(some, 0, floats, FLOAT, 4 * at, length);
      }
      CudaLinearWeight weight = dense(name, floats, DType.F32, shape);
      queue.arrive(); // while the numbers live
      return weight;
    }
  }

  private CudaLinearWeight dense(String name, MemorySegment data, DType dtype, Shape shape) {
    DeviceBuffer buffer = allocate(name, product.byteSize(shape.elements()));
    if (dtype == product) {
      queue.add(buffer.address(), data);
    } else {
      DeviceBuffer stored = allocate(name, data.byteSize());
      upload(stored.address(), data);
      convert(stored.address(), dtype, buffer.address(), shape.elements());
      free(stored);
    }
    return weight(
        shape,
        data.byteSize(),
        product == DType.F32 ? WeightFormat.F32 : WeightFormat.BF16,
        WeightArgument.dense(buffer.address()));
  }

  private void convert(long from, DType dtype, long to, long count) {
    if (dtype == DType.F16) {
      launcher.begin().address(from).address(to).i32(Launcher.type(product)).i64(count);
      launcher.run(kernels.elementwise().convertHalf(), launcher.elements(count, 1));
      return;
    }
    int width = count % Launcher.WIDE == 0 ? Launcher.WIDE : 1;
    launcher
        .begin()
        .address(from)
        .i32(Launcher.type(dtype))
        .f32(1)
        .f32(0)
        .address(to)
        .i32(Launcher.type(product))
        .i64(count)
        .i32(width);
    launcher.run(kernels.elementwise().affine(), launcher.elements(count, width));
  }

  private CudaLinearWeight quantized(String name, QuantizedTensor tensor, WeightFormat format) {
    Map<Part, MemorySegment> parts = new EnumMap<>(tensor.parts());
    if (tensor.scheme() instanceof Fp8 fp8) {
      parts.computeIfPresent(Part.SCALE, (_, scales) -> widened(scales, fp8.scale()));
    }
    Map<Part, Long> places = new EnumMap<>(Part.class);
    long bytes = 0;
    for (var part : parts.entrySet()) {
      places.put(part.getKey(), bytes);
      bytes += Math.ceilDiv(part.getValue().byteSize(), ALIGNMENT) * ALIGNMENT;
    }
    DeviceBuffer buffer = allocate(name, bytes);
    for (var part : parts.entrySet()) {
      queue.add(buffer.address() + places.getOrDefault(part.getKey(), 0L), part.getValue());
    }
    long stored = parts.values().stream().mapToLong(MemorySegment::byteSize).sum();
    return weight(tensor.shape(), stored, format, argument(tensor, places, buffer.address()));
  }

  /// Scales in float32, as kernels read them.
  private static MemorySegment widened(MemorySegment scales, DType dtype) {
    if (dtype == DType.F32) {
      return scales;
    }
    float[] values = new float[Math.toIntExact(scales.byteSize() / dtype.byteSize(1))];
    FloatReader.of(dtype).read(scales, 0, values, values.length);
    // Lives as long as the queue holds it.
    MemorySegment wide = Arena.ofAuto().allocate(DType.F32.byteSize(values.length), 4);
    MemorySegment.copy(values, 0, wide, FLOAT, 0, values.length);
    return wide;
  }

  private static WeightArgument argument(
      QuantizedTensor tensor, Map<Part, Long> places, long base) {
    long scale = at(places, base, Part.SCALE);
    int flip = tensor.layout() == PartLayout.SIGNED ? 0x80 : 0;
    return new WeightArgument(
        at(places, base, Part.CODES),
        scale == 0 ? at(places, base, Part.ABSMAX) : scale,
        at(places, base, Part.ZERO_POINT),
        at(places, base, Part.CODEBOOK),
        at(places, base, Part.NESTED_CODEBOOK),
        at(places, base, Part.NESTED_ABSMAX),
        places.containsKey(Part.NESTED_OFFSET) ? tensor.part(Part.NESTED_OFFSET).get(FLOAT, 0) : 0,
        WeightFormat.blockSize(tensor.scheme(), tensor.shape()),
        flip,
        flip);
  }

  private static long at(Map<Part, Long> places, long base, Part part) {
    Long place = places.get(part);
    return place == null ? 0 : base + place;
  }

  private CudaLinearWeight decoded(String name, QuantizedTensor tensor) {
    if (decoded.merge(tensor.scheme().id(), 1, Integer::sum) == 1) {
      LOG.log(
          System.Logger.Level.INFO,
          "{0}: no kernel reads {1}; its weights are decoded to {2} as they are loaded",
          owner,
          tensor.scheme().id(),
          product);
    }
    Shape shape = tensor.shape();
    try (Arena host = Arena.ofShared()) { // the uploader's threads read it
      MemorySegment numbers = host.allocate(product.byteSize(shape.elements()), 64);
      tensor.scheme().decoder(tensor).decode(0, shape.elements(), numbers, product);
      CudaLinearWeight weight = dense(name, numbers, product, shape);
      queue.arrive(); // while the numbers live
      return weight;
    }
  }

  private CudaLinearWeight weight(
      Shape shape, long stored, WeightFormat format, WeightArgument argument) {
    return new CudaLinearWeight(
        Math.toIntExact(shape.dim(0)),
        Math.toIntExact(shape.dim(1)),
        stored,
        format,
        argument.codes(),
        argument.blockSize(),
        argument.write(arguments),
        queue);
  }

  @Override
  public String remarks() {
    return decoded.entrySet().stream()
        .map(entry -> entry.getKey() + " x " + entry.getValue())
        .reduce((all, more) -> all + ", " + more)
        .map(all -> all + " decoded to " + product + " as they were loaded")
        .orElse("");
  }

  @Override
  public long byteSize() {
    return byteSize;
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    queue.drop();
    launcher.stream().close();
    launcher.close();
    buffers.forEach(DeviceBuffer::close);
    buffers.clear();
    arena.close();
    arguments.close();
    openBytes.addAndGet(-deviceBytes);
    deviceBytes = 0;
    byteSize = 0;
  }
}
