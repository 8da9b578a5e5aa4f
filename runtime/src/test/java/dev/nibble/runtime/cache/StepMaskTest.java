package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.runtime.cache.StepMask.Preset;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;

/// Masks of cache-dit's `steps_mask`.
class StepMaskTest {
  @Test
  void presetsEqualThePeers() {
    int checked = 0;
    for (var entry : CacheGoldens.MANIFEST.get("masks").get("presets").properties()) {
      int steps = Integer.parseInt(entry.getKey());
      for (Preset preset : Preset.values()) {
        JsonNode mask = entry.getValue().get(preset.text());
        if (mask.isNull()) {
          assertThrows(IllegalArgumentException.class, () -> preset.bits(steps));
        } else {
          assertEquals(mask.asText(), preset.bits(steps), steps + " steps, " + preset);
        }
        checked++;
      }
    }
    assertEquals(58 * 4, checked);
  }

  @Test
  void runsEqualThePeers() {
    JsonNode bins = CacheGoldens.MANIFEST.get("masks").get("bins");
    assertEquals(3, bins.size());
    for (JsonNode entry : bins) {
      String mask = entry.get("mask").asText();
      assertEquals(
          mask,
          StepMask.ofBins(
                  lengths(entry.get("compute_bins")),
                  lengths(entry.get("cache_bins")),
                  mask.length())
              .text());
    }
  }

  private static int[] lengths(JsonNode list) {
    return StreamSupport.stream(list.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
  }

  @Test
  void runsMustCoverTheSteps() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> StepMask.ofBins(new int[] {2, 1}, new int[] {3}, 7));
    assertEquals("the mask's runs cover 6 of 7 steps", e.getMessage());
  }

  @Test
  void textIsAPresetOrBits() {
    assertEquals(Preset.FAST, StepMask.parse("fast"));
    assertEquals("1101", StepMask.parse("1101").bits(20));
    assertThrows(IllegalArgumentException.class, () -> StepMask.parse("110x"));
    assertThrows(IllegalArgumentException.class, () -> StepMask.parse(""));
  }
}
