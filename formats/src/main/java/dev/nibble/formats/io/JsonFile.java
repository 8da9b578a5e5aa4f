package dev.nibble.formats.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Reads configuration files.
public final class JsonFile {
  private static final ObjectMapper JSON = new ObjectMapper();

  private JsonFile() {}

  /// The JSON object in a file.
  ///
  /// @throws FormatException if it holds anything else
  /// @throws IOException if it can't be read; the message names the file
  public static ObjectNode object(Path file) throws IOException {
    try {
      if (JSON.readTree(Files.readAllBytes(file)) instanceof ObjectNode object) {
        return object;
      }
      throw new FormatException(Where.in(file), "a JSON object", "another value");
    } catch (JsonProcessingException e) {
      throw new FormatException(
          Where.in(file),
          "JSON",
          "an error at line %d, column %d: fetch this file again"
              .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr()));
    } catch (IOException e) {
      throw IoErrors.at(file, e);
    }
  }
}
