package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Blocks that add numbers: each one number to all elements. Writes down which ones ran.
final class FakeTrunk implements Trunk {
  final List<Integer> ran = new ArrayList<>();
  private final float[] added;
  private final float modulation;

  /// @param added what each block adds
  FakeTrunk(float... added) {
    this(1, added);
  }

  private FakeTrunk(float modulation, float... added) {
    this.modulation = modulation;
    this.added = added.clone();
  }

  /// A trunk whose modulated input is one number repeated.
  static FakeTrunk modulated(float modulation, float... added) {
    return new FakeTrunk(modulation, added);
  }

  @Override
  public int blocks() {
    return added.length;
  }

  /// A block has one module, whose output it adds twice: as attention and as feed-forward.
  @Override
  public BlockState run(int block, BlockState in, Branches branches, Ops ops) {
    ran.add(block);
    try (Region region = ops.region()) {
      BlockState attention = branches.output(block, Branch.ATTENTION, () -> half(in, block, ops));
      BlockState feedForward =
          branches.output(block, Branch.FEED_FORWARD, () -> half(in, block, ops));
      Tensor hidden =
          region.keep(ops.add(ops.add(in.hidden(), attention.hidden()), feedForward.hidden()));
      Optional<Tensor> encoder =
          in.encoder().map(text -> region.keep(ops.affine(text, 1, added[block])));
      return new BlockState(hidden, encoder);
    }
  }

  private BlockState half(BlockState in, int block, Ops ops) {
    return BlockState.of(ops.affine(in.hidden(), 0, added[block] / 2));
  }

  @Override
  public Tensor modulatedInput(BlockState in, Ops ops) {
    return ops.affine(in.hidden(), 0, modulation);
  }

  /// `[1, tokens, 4]` of zeros.
  static BlockState zeros(int tokens, Ops ops) {
    return BlockState.of(ops.fromHost(new float[tokens * 4], 1, tokens, 4));
  }
}
