package dev.nibble.converter.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Memory for the statistics (absmax and the like) of the weights in work. Blocks are used again by
/// later weights, since closing a shared arena per weight would stop all threads each time. What
/// would exceed the limit is mapped from an unnamed scratch file instead: such memory is not
/// anonymous, so the bound holds whatever the largest tensor of a checkpoint is.
final class StatisticsPool implements AutoCloseable {
  private static final long SMALLEST_BLOCK = 4096;
  private static final long CACHE_LINE = 64;

  private final Arena arena = Arena.ofShared();
  private final Path scratchFolder;
  private final long limitBytes;
  private final Set<Lease> leases = new HashSet<>();
  private final NavigableMap<Long, List<MemorySegment>> free = new TreeMap<>();
  private long allocatedBytes;

  /// @param limitBytes bound on anonymous memory
  /// @param scratchFolder where a scratch file may be made
  StatisticsPool(long limitBytes, Path scratchFolder) {
    this.limitBytes = limitBytes;
    this.scratchFolder = scratchFolder;
  }

  /// An allocator for one weight, and the owner of what it allocated.
  final class Lease implements SegmentAllocator, AutoCloseable {
    private final List<MemorySegment> blocks = new ArrayList<>();
    private final List<ScratchFile> scratch = new ArrayList<>();

    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
      long size = blockSize(byteSize);
      MemorySegment block = take(size);
      if (block == null) {
        ScratchFile file = new ScratchFile(scratchFolder, size);
        scratch.add(file);
        return file.memory().asSlice(0, byteSize);
      }
      blocks.add(block);
      return block.asSlice(0, byteSize).fill((byte) 0);
    }

    @Override
    public void close() {
      giveBack(this);
      scratch.forEach(ScratchFile::close);
      scratch.clear();
    }
  }

  synchronized Lease lease() {
    Lease lease = new Lease();
    leases.add(lease);
    return lease;
  }

  private static long blockSize(long byteSize) {
    long wanted = Math.max(byteSize, SMALLEST_BLOCK);
    return Long.highestOneBit(wanted) == wanted ? wanted : Long.highestOneBit(wanted) << 1;
  }

  private synchronized @Nullable MemorySegment take(long size) {
    MemorySegment block = reuse(size, size);
    if (block != null) {
      return block;
    }
    if (allocatedBytes + size <= limitBytes) {
      allocatedBytes += size;
      return arena.allocate(size, CACHE_LINE);
    }
    return reuse(size, Long.MAX_VALUE);
  }

  private @Nullable MemorySegment reuse(long atLeast, long atMost) {
    var fitting = free.ceilingEntry(atLeast);
    if (fitting == null || fitting.getKey() > atMost) {
      return null;
    }
    MemorySegment block = fitting.getValue().removeLast();
    if (fitting.getValue().isEmpty()) {
      free.remove(fitting.getKey());
    }
    return block;
  }

  private synchronized void giveBack(Lease lease) {
    leases.remove(lease);
    for (MemorySegment block : lease.blocks) {
      free.computeIfAbsent(block.byteSize(), size -> new ArrayList<>()).add(block);
    }
    lease.blocks.clear();
  }

  /// Frees everything, also what a failed weight never gave back.
  @Override
  public void close() {
    List.copyOf(leases).forEach(Lease::close);
    arena.close();
  }
}
