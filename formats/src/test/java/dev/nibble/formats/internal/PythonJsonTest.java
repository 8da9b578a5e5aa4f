package dev.nibble.formats.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

class PythonJsonTest {
  /// Both expected texts are what CPython 3.11's json.dumps printed for this input.
  private static final String INPUT =
      """
      {"b": [], "a": {}, "list": [1, [2.50, -0.0], {"x": null}], "é": "q\\"\\\\\\n\\u0001\\u007f😀",
       "eps": 1E-6, "big": 12345678901234567890, "yes": true, "no": false}
      """;

  @Test
  void oneLine() throws JsonProcessingException {
    assertEquals(
        "{\"b\": [], \"a\": {}, \"list\": [1, [2.5, -0.0], {\"x\": null}], \"\\u00e9\":"
            + " \"q\\\"\\\\\\n\\u0001\\u007f\\ud83d\\ude00\", \"eps\": 1e-06, \"big\":"
            + " 12345678901234567890, \"yes\": true, \"no\": false}",
        PythonJson.compact(new ObjectMapper().readTree(INPUT)));
  }

  @Test
  void sortedAndIndented() throws JsonProcessingException {
    assertEquals(
        """
        {
          "a": {},
          "b": [],
          "big": 12345678901234567890,
          "eps": 1e-06,
          "list": [
            1,
            [
              2.5,
              -0.0
            ],
            {
              "x": null
            }
          ],
          "no": false,
          "yes": true,
          "\\u00e9": "q\\"\\\\\\n\\u0001\\u007f\\ud83d\\ude00"
        }
        """,
        PythonJson.sortedAndIndented(new ObjectMapper().readTree(INPUT)));
  }
}
