package dev.nibble.tools;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

@Command(name = "dequantize")
final class DequantizeCommand implements Callable<Integer> {
  DequantizeCommand(Session session) {}

  @Override
  public Integer call() {
    return 0;
  }
}
