package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/// All of Z-Image that knows no time: caption tokens, and where every token stands.
///
/// A caption is padded to a multiple of 32 tokens with a learned token that attention sees, as it
/// sees the picture's padding. Only what makes the captions of a batch equally long is hidden.
record CaptionSide(RmsNorm norm, Linear embedder, Tensor pad, List<ZImageBlock> contextRefiner) {

  ZImageConditioning condition(
      List<Tensor> features, int height, int width, ZImageConfig config, Ops ops) {
    try (Region region = ops.region()) {
      int longest =
          features.stream().mapToInt(caption -> padded(caption.dim(0))).max().orElseThrow();
      List<Tensor> captions = new ArrayList<>();
      List<RopeTable> image = new ArrayList<>();
      List<RopeTable> joint = new ArrayList<>();
      List<Integer> lengths = new ArrayList<>();
      int imageTokens = padded(height * width);
      for (Tensor caption : features) {
        int tokens = padded(caption.dim(0));
        int[][] positions = positions(height, width, tokens, longest);
        joint.add(config.rope().table(positions, ops));
        image.add(config.rope().table(Arrays.copyOf(positions, imageTokens), ops));
        captions.add(refined(caption, longest, config, ops));
        lengths.add(imageTokens + tokens);
      }
      boolean equal = lengths.stream().distinct().count() == 1;
      AttentionOptions options =
          equal
              ? AttentionOptions.DEFAULT
              : AttentionOptions.DEFAULT.withBias(new AttentionBias.KeyLengths(lengths));
      ZImageConditioning conditioning =
          new ZImageConditioning(
              features.size(),
              height,
              width,
              ops.concat(0, captions),
              new Sequence(stacked(image, ops), AttentionOptions.DEFAULT),
              new Sequence(stacked(joint, ops), options));
      region.keep(conditioning.captions());
      for (RopeTable table : List.of(conditioning.image().rope(), conditioning.joint().rope())) {
        region.keep(table.cos());
        region.keep(table.sin());
      }
      return conditioning;
    }
  }

  private static int padded(int tokens) {
    return tokens + ZImageTransformer.padding(tokens);
  }

  /// The refined caption, `[1, length, dim]`, with zeros behind its own padding.
  private Tensor refined(Tensor caption, int length, ZImageConfig config, Ops ops) {
    try (Region region = ops.region()) {
      List<Tensor> rows = new ArrayList<>();
      rows.add(embedder.apply(norm.apply(caption, ops), ops));
      rows.addAll(Collections.nCopies(ZImageTransformer.padding(caption.dim(0)), pad));
      Tensor x = ops.concat(0, rows);
      int tokens = x.dim(0);
      x = x.reshape(1, tokens, config.dim());
      Sequence sequence =
          new Sequence(
              config.rope().table(captionPositions(tokens), ops), AttentionOptions.DEFAULT);
      for (int i = 0; i < contextRefiner.size(); i++) {
        x = contextRefiner.get(i).apply(i, x, Optional.empty(), sequence, Branches.COMPUTE, ops);
      }
      if (length > tokens) {
        float[] zeros = new float[(length - tokens) * config.dim()];
        x = ops.concat(1, List.of(x, ops.fromHost(zeros, 1, (long) length - tokens, config.dim())));
      }
      return region.keep(x);
    }
  }

  private static int[][] captionPositions(int tokens) {
    int[][] positions = new int[tokens][];
    for (int k = 0; k < tokens; k++) {
      positions[k] = new int[] {1 + k, 0, 0};
    }
    return positions;
  }

  /// Picture tokens stand behind the caption on the first axis; their padding at the origin.
  private static int[][] positions(int height, int width, int captionTokens, int longest) {
    int imageTokens = padded(height * width);
    int[][] positions = new int[imageTokens + longest][3];
    for (int t = 0; t < height * width; t++) {
      positions[t] = new int[] {captionTokens + 1, t / width, t % width};
    }
    System.arraycopy(captionPositions(captionTokens), 0, positions, imageTokens, captionTokens);
    return positions;
  }

  private static RopeTable stacked(List<RopeTable> tables, Ops ops) {
    return new RopeTable(
        ops.concat(0, tables.stream().map(RopeTable::cos).toList()),
        ops.concat(0, tables.stream().map(RopeTable::sin).toList()),
        tables.getFirst().pairs());
  }
}
