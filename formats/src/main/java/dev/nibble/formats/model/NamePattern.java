package dev.nibble.formats.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A tensor name with places: `{n}` for a number, `*` for the rest of the name. The places of both
/// sides of a rule correspond in order.
record NamePattern(String text, Pattern regex) {
  private static final Pattern PLACE = Pattern.compile("\\{n}|\\*");

  static NamePattern of(String text) {
    StringBuilder regex = new StringBuilder();
    Matcher place = PLACE.matcher(text);
    int end = 0;
    while (place.find()) {
      regex.append(Pattern.quote(text.substring(end, place.start())));
      regex.append(place.group().equals("*") ? "(.+)" : "(\\d+)");
      end = place.end();
    }
    regex.append(Pattern.quote(text.substring(end)));
    return new NamePattern(text, Pattern.compile(regex.toString()));
  }

  int places() {
    return (int) PLACE.matcher(text).results().count();
  }

  /// What stands in the places, if the name matches.
  Optional<List<String>> match(String name) {
    Matcher matcher = regex.matcher(name);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    List<String> found = new ArrayList<>();
    for (int i = 1; i <= matcher.groupCount(); i++) {
      found.add(matcher.group(i));
    }
    return Optional.of(found);
  }

  /// The name with these in its places.
  String fill(List<String> values) {
    StringBuilder name = new StringBuilder();
    Matcher place = PLACE.matcher(text);
    int end = 0;
    for (int i = 0; place.find(); i++) {
      name.append(text, end, place.start()).append(values.get(i));
      end = place.end();
    }
    return name.append(text, end, text.length()).toString();
  }
}
