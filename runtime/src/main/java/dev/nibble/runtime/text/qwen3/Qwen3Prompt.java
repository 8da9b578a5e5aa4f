package dev.nibble.runtime.text.qwen3;

import dev.nibble.runtime.text.Tokenizer;
import java.util.Arrays;

/// A prompt as Z-Image's pipeline puts it to Qwen3.
public final class Qwen3Prompt {
  /// Tokens that a prompt may have, those of the template included; the rest is cut.
  public static final int MAX_TOKENS = 512;

  private Qwen3Prompt() {}

  /// The chat template of Qwen3 for one message of the user, with the beginning of an answer that
  /// may think.
  public static String template(String prompt) {
    return "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n";
  }

  /// Ids of the templated prompt, at most {@link #MAX_TOKENS}. An empty prompt has ids as well.
  public static int[] tokens(Tokenizer tokenizer, String prompt) {
    int[] ids = tokenizer.encode(template(prompt));
    return ids.length <= MAX_TOKENS ? ids : Arrays.copyOf(ids, MAX_TOKENS);
  }
}
