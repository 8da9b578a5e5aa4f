package dev.nibble.tools;

import dev.nibble.converter.internal.Version;
import picocli.CommandLine.IVersionProvider;

/// What `--version` prints.
final class ToolVersion implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {"nibble " + Version.current()};
  }
}
