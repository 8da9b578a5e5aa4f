package dev.nibble.formats;

/// The input is well-formed, but asks for something that nibble, or the tool it writes for, can't
/// do.
public final class UnsupportedException extends NibbleException {
  private static final long serialVersionUID = 1L;

  private final String subject;

  /// @param subject the file, tensor or model in question
  /// @param feature what it would need, and what would work instead
  public UnsupportedException(String subject, String feature) {
    super(subject + ": " + feature);
    this.subject = subject;
  }

  /// The file, tensor or model in question.
  public String subject() {
    return subject;
  }
}
