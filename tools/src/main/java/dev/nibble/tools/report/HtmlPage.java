package dev.nibble.tools.report;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/// What nibble's pages have in common: their head, with all style in it.
final class HtmlPage {
  static final String END = "</main>\n</body>\n</html>";

  private HtmlPage() {}

  /// Everything up to the page's content.
  ///
  /// @param title as text, not yet HTML
  /// @param sheets names of the style sheets beside this class
  static String head(String title, String... sheets) throws IOException {
    StringBuilder head = new StringBuilder();
    head.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    head.append(HtmlReport.MARK);
    head.append(
        """

        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        """);
    head.append("<title>").append(Html.name(title)).append("</title>\n<style>\n");
    for (String sheet : sheets) {
      head.append(style(sheet));
    }
    return head.append("</style>\n</head>\n<body>\n<main>\n").toString();
  }

  private static String style(String sheet) throws IOException {
    try (InputStream css = HtmlPage.class.getResourceAsStream(sheet)) {
      if (css == null) {
        throw new AssertionError("the build leaves " + sheet + " beside this class");
      }
      return new String(css.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
