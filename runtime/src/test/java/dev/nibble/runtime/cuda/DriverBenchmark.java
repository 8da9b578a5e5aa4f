package dev.nibble.runtime.cuda;

import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.cublas.Product;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.runtime.cuda.driver.CudaEvent;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.Kernel;
import dev.nibble.runtime.cuda.driver.KernelArguments;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.cuda.driver.PinnedBuffer;
import dev.nibble.runtime.cuda.upload.Piece;
import dev.nibble.runtime.cuda.upload.Uploader;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/// What the driver layer costs: launches, the ceilings that other numbers are shares of, and ways
/// to bring a file to the device. Argument: a folder for a file of 4 GiB. See PERFORMANCE-gpu.md.
public final class DriverBenchmark {
  private static final long MIB = 1 << 20;
  private static final long FILE_BYTES = 4096 * MIB;

  private final CudaDevice device;
  private final CudaStream stream;
  private final DeviceArena memory;

  private DriverBenchmark(CudaDevice device, CudaStream stream, DeviceArena memory) {
    this.device = device;
    this.stream = stream;
    this.memory = memory;
  }

  /// Argument: a folder.
  public static void main(String[] arguments) throws IOException {
    long begin = System.nanoTime();
    CudaDriver driver = CudaDriver.open();
    long started = System.nanoTime();
    try (CudaDevice device = driver.device(0);
        DeviceArena memory = device.arena("benchmark", Long.MAX_VALUE);
        CudaStream stream = device.newStream()) {
      print("%s%n", device.info().description());
      print(
          "driver started in %.0f ms, context made in %.0f ms%n",
          (started - begin) / 1e6, (System.nanoTime() - started) / 1e6);
      DriverBenchmark benchmark = new DriverBenchmark(device, stream, memory);
      benchmark.launches();
      benchmark.copies();
      benchmark.products();
      benchmark.uploads(Path.of(arguments.length > 0 ? arguments[0] : "."));
    }
  }

  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  private static void print(String format, Object... values) {
    System.out.printf(Locale.ROOT, format, values);
    System.out.flush();
  }

  private double medianMillis(int times, Runnable work) {
    double[] millis = new double[times];
    try (CudaEvent begin = device.newEvent();
        CudaEvent end = device.newEvent()) {
      for (int i = 0; i < times; i++) {
        stream.record(begin);
        work.run();
        stream.record(end);
        end.synchronize();
        millis[i] = end.millisSince(begin);
      }
    }
    Arrays.sort(millis);
    return millis[times / 2];
  }

  private void launches() {
    Kernel fill = KernelModule.load(device, "fill").kernel("fill_words");
    int count = 20_000;
    try (DeviceBuffer target = memory.allocate("target", MIB);
        Arena host = Arena.ofConfined()) {
      KernelArguments arguments = new KernelArguments(host);
      LaunchShape shape = LaunchShape.of(1, 32);
      for (int round = 0; round < 4; round++) {
        long begin = System.nanoTime();
        for (int i = 0; i < count; i++) {
          stream.launch(fill, shape, arguments.clear().address(target.address()).i32(i).i64(32));
        }
        long issued = System.nanoTime();
        stream.synchronize();
        print(
            "launch with three arguments: %.2f us issued, %.2f us done%n",
            (issued - begin) / 1e3 / count, (System.nanoTime() - begin) / 1e3 / count);
      }
      long begin = System.nanoTime();
      for (int i = 0; i < count; i++) {
        device.makeCurrent();
      }
      print("of which entering the context: %.3f us%n", (System.nanoTime() - begin) / 1e3 / count);
    }
  }

  private void copies() {
    Kernel copy = KernelModule.load(device, "fill").kernel("copy_vectors");
    long bytes = 2048 * MIB;
    try (DeviceBuffer one = memory.allocate("one", bytes);
        DeviceBuffer two = memory.allocate("two", bytes);
        PinnedBuffer host = device.newPinned(256 * MIB);
        Arena arena = Arena.ofConfined()) {
      double copied = medianMillis(9, () -> stream.copy(two.address(), one.address(), bytes));
      print("copy on the device: %.0f GB/s read and written%n", 2 * bytes / copied / 1e6);
      KernelArguments arguments = new KernelArguments(arena);
      double kernel =
          medianMillis(
              9,
              () ->
                  stream.launch(
                      copy,
                      LaunchShape.of(132 * 16, 512),
                      arguments
                          .clear()
                          .address(one.address())
                          .address(two.address())
                          .i64(bytes / 16)));
      print("same by a kernel: %.0f GB/s%n", 2 * bytes / kernel / 1e6);
      double in = medianMillis(9, () -> stream.copyIn(one.address(), host.segment()));
      print("pinned memory to the device: %.1f GB/s%n", 256 * MIB / in / 1e6);
      double out = medianMillis(9, () -> stream.copyOut(host.segment(), one.address()));
      print("device to pinned memory: %.1f GB/s%n", 256 * MIB / out / 1e6);
    }
  }

  private void products() {
    CublasLt.open(device)
        .ifPresentOrElse(
            library -> {
              try (library) {
                print("cuBLASLt %s%n", library.version());
                for (int m : new int[] {8192, 4352, 256, 16, 1}) {
                  int n = m == 8192 ? 8192 : 3840;
                  product(library, m, n, n);
                }
                product(library, 4352, 10240, 3840);
                product(library, 4352, 3840, 10240);
              }
            },
            () -> print("cuBLASLt is not installed%n"));
  }

  private void product(CublasLt library, int m, int n, int k) {
    Product product = new Product(m, n, k, Product.Type.BF16, Product.Type.BF16, false);
    try (DeviceBuffer a = memory.allocate("A", 2L * m * k);
        DeviceBuffer b = memory.allocate("B", 2L * n * k);
        DeviceBuffer c = memory.allocate("C", 2L * m * n);
        DeviceBuffer workspace = memory.allocate("workspace", CublasLt.WORKSPACE_BYTES)) {
      randomize(a);
      randomize(b);
      Runnable run =
          () ->
              library.multiply(
                  stream, product, a.address(), b.address(), c.address(), 0, workspace.address());
      run.run();
      stream.synchronize();
      double millis = medianMillis(15, run);
      print("%s: %.1f us, %.0f TFLOP/s%n", product, millis * 1e3, product.flops() / millis / 1e9);
      int count = 2000;
      long begin = System.nanoTime();
      if (m == 1) {
        for (int i = 0; i < count; i++) {
          run.run();
        }
        print("  issued in %.2f us each%n", (System.nanoTime() - begin) / 1e3 / count);
        stream.synchronize();
      }
    }
  }

  /// Bfloat16 numbers below 1, of both signs: zeros would cost less power.
  private void randomize(DeviceBuffer buffer) {
    SplittableRandom random = new SplittableRandom(3);
    try (Arena arena = Arena.ofConfined()) {
      byte[] bytes = new byte[(int) Math.min(buffer.byteSize(), 8 * MIB)];
      random.nextBytes(bytes);
      for (int i = 1; i < bytes.length; i += 2) {
        bytes[i] = (byte) ((bytes[i] & 0x80) | 0x3d);
      }
      MemorySegment host = arena.allocate(bytes.length, 16).copyFrom(MemorySegment.ofArray(bytes));
      for (long at = 0; at < buffer.byteSize(); at += bytes.length) {
        stream.copyIn(
            buffer.address() + at, host.asSlice(0, Math.min(bytes.length, buffer.byteSize() - at)));
      }
      stream.synchronize();
    }
  }

  private void uploads(Path folder) throws IOException {
    Path path = folder.resolve("nibble-upload.bin");
    write(path);
    try (Arena arena = Arena.ofShared();
        FileChannel file = FileChannel.open(path);
        DeviceBuffer target = memory.allocate("weights", FILE_BYTES)) {
      MemorySegment mapped = file.map(FileChannel.MapMode.READ_ONLY, 0, FILE_BYTES, arena);
      for (int threads : new int[] {1, 4, 8, 12, 16}) {
        for (long buffer : new long[] {1, 2, 4, 8}) {
          upload(mapped, target, threads, buffer * MIB);
        }
      }
    } finally {
      Files.delete(path);
    }
  }

  private void upload(MemorySegment file, DeviceBuffer target, int threads, long bufferBytes) {
    List<Piece> pieces = List.of(new Piece(file, target.address()));
    double[] seconds = new double[5];
    double first;
    try (Uploader uploader = new Uploader(device, threads, bufferBytes)) {
      for (int i = 0; i < seconds.length; i++) {
        long begin = System.nanoTime();
        uploader.upload(pieces, Uploader.Progress.NONE, () -> false);
        seconds[i] = (System.nanoTime() - begin) / 1e9;
      }
      first = seconds[0];
    }
    Arrays.sort(seconds);
    print(
        "upload by %2d threads, buffers of %d MiB: %.1f GB/s, the first time %.1f%n",
        threads, bufferBytes / MIB, FILE_BYTES / seconds[2] / 1e9, FILE_BYTES / first / 1e9);
  }

  private static void write(Path path) throws IOException {
    byte[] random = new byte[(int) (16 * MIB)];
    new SplittableRandom(3).nextBytes(random);
    try (FileChannel file =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.allocateDirect(random.length).put(random);
      for (long at = 0; at < FILE_BYTES; at += random.length) {
        bytes.clear();
        while (bytes.hasRemaining()) {
          file.write(bytes);
        }
      }
    }
  }
}
