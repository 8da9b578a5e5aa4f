package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// A text file with a prompt a line.
final class PromptFile {
  private PromptFile() {}

  /// The prompts, at least one; empty lines are left out.
  ///
  /// @throws NibbleException if there is none
  /// @throws IOException if the file can't be read; the message names it
  static List<String> read(Path file) throws IOException {
    List<String> prompts;
    try {
      prompts = Files.readAllLines(file).stream().filter(line -> !line.isBlank()).toList();
    } catch (CharacterCodingException e) {
      throw new NibbleException(file + ": is no UTF-8 text: save the prompts as UTF-8", e);
    } catch (IOException e) {
      throw IoErrors.at(file, e);
    }
    if (prompts.isEmpty()) {
      throw new NibbleException(file + ": holds no prompt: write one a line");
    }
    return prompts;
  }
}
