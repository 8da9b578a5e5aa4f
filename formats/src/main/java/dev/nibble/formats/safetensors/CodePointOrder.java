package dev.nibble.formats.safetensors;

import java.util.Comparator;

/// The order of the strings' UTF-8 bytes, which Rust and Python sort by. Java compares UTF-16
/// units, which differs for characters beyond U+FFFF.
enum CodePointOrder implements Comparator<String> {
  INSTANCE;

  @Override
  public int compare(String left, String right) {
    int length = Math.min(left.length(), right.length());
    for (int i = 0; i < length; i++) {
      char a = left.charAt(i);
      char b = right.charAt(i);
      if (a != b) {
        boolean oneSurrogate = Character.isSurrogate(a) != Character.isSurrogate(b);
        return oneSurrogate ? (Character.isSurrogate(a) ? 1 : -1) : Character.compare(a, b);
      }
    }
    return Integer.compare(left.length(), right.length());
  }
}
