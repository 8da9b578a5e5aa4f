package dev.nibble.tools;

import dev.nibble.runtime.ComputeDevice;
import dev.nibble.tools.report.ByteSize;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/// Where the process starts. {@link #run} is the whole command line, less the process.
public final class NibbleMain {
  static final int WRONG_USAGE = 2;

  private NibbleMain() {}

  public static void main(String[] args) {
    ResultStream results = new ResultStream(new FileOutputStream(FileDescriptor.out));
    PrintStream out = new PrintStream(results, false, System.out.charset());
    Session session = Session.ofProcess(out);
    Interrupts interrupts = Interrupts.install(session);
    int code = run(args, session);
    out.flush();
    if (code == 0) {
      code = results.exitCode(session);
    }
    interrupts.ended(code);
    if (code != 0) {
      System.exit(code); // not after a success: it looks for a logger first, which takes its time
    }
  }

  /// Runs one command line off any terminal and returns its exit code.
  public static int run(String[] args, PrintStream out, PrintStream err) {
    return run(args, Session.plain(out, err));
  }

  static int run(String[] args, Session session) {
    try {
      return commandLine(session).execute(args);
    } catch (Throwable e) { // the last resort: even a failure of the machine ends in one line
      return ErrorRenderer.render(e, session, isDebug(args));
    }
  }

  /// The parser with all commands.
  static CommandLine commandLine(Session session) {
    CommandLine line = new CommandLine(new NibbleCommand(session));
    line.addSubcommand(new QuantizeCommand(session));
    line.addSubcommand(new GenerateCommand(session));
    line.addSubcommand(new CalibrateCommand(session));
    line.addSubcommand(new EvaluateCommand(session));
    line.addSubcommand(new BenchCommand(session));
    line.addSubcommand(new InspectCommand(session));
    line.addSubcommand(new DequantizeCommand(session));
    line.addSubcommand(new VerifyCommand(session));
    line.addSubcommand(new CompletionCommand(session));
    line.setOut(new PrintWriter(session.out(), true, session.out().charset()));
    line.setErr(new PrintWriter(session.err(), true, session.err().charset()));
    line.setColorScheme(
        CommandLine.Help.defaultColorScheme(
            session.outTerminal() && session.colour() ? Ansi.ON : Ansi.OFF));
    line.setExpandAtFiles(false); // a path may begin with @
    line.registerConverter(ByteSize.class, NibbleMain::byteSize);
    line.registerConverter(PictureSize.class, NibbleMain::pictureSize);
    line.registerConverter(ComputeDevice.class, NibbleMain::device);
    line.registerConverter(Path.class, NibbleMain::path);
    line.setParameterExceptionHandler((e, args) -> usageError(e, session));
    line.setExecutionExceptionHandler(
        (e, command, parsed) -> ErrorRenderer.render(e, session, isDebug(parsed.originalArgs())));
    return line;
  }

  private static Path path(String text) {
    if (text.isBlank()) {
      throw new TypeConversionException("an empty text names no file");
    }
    return Path.of(text);
  }

  private static ComputeDevice device(String text) {
    try {
      return ComputeDevice.parse(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("'" + text + "' " + e.getMessage());
    }
  }

  private static PictureSize pictureSize(String text) {
    try {
      return PictureSize.parse(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("'" + text + "' " + e.getMessage());
    }
  }

  private static ByteSize byteSize(String text) {
    try {
      return ByteSize.parse(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("'" + text + "' " + e.getMessage());
    }
  }

  private static boolean isDebug(Iterable<String> args) {
    for (String arg : args) {
      if (arg.equals("--debug")) {
        return true;
      }
    }
    return false;
  }

  private static boolean isDebug(String[] args) {
    return isDebug(List.of(args));
  }

  private static int usageError(ParameterException e, Session session) {
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    StringBuilder hint = new StringBuilder();
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> names = new ArrayList<>(e.getCommandLine().getSubcommands().keySet());
      names.addAll(e.getCommandLine().getCommandSpec().optionsMap().keySet());
      List<String> suggestions = Spelling.near(unmatched.getUnmatched().getFirst(), names);
      if (!suggestions.isEmpty()) {
        hint.append("did you mean ").append(String.join(" or ", suggestions)).append("? ");
      }
    }
    session.err().println(hint + "Try '" + command + " --help'.");
    String message = String.valueOf(e.getMessage());
    ErrorRenderer.printLine(session, message.replaceFirst("^Error: ", "")); // some of picocli's
    return WRONG_USAGE;
  }
}
