package nodeling;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Knows the secrets of one call: none stands in a text that leaves the process as an error or a log line. */
final class WorkerMask {
    private static final String MASKED = "***";
    private static final int SHORTEST_LINE = 8; // a shorter line of a longer secret tells nothing and stands everywhere

    private final Pattern pattern;

    WorkerMask(Collection<String> secrets) {
        TreeSet<String> words = new TreeSet<>(Comparator.comparing((String word) -> -word.length()).thenComparing(Comparator.naturalOrder()));
        for (String secret : secrets) {
            if (secret.isBlank()) {
                continue;
            }
            words.add(secret);
            List<String> lines = secret.lines().map(String::strip).toList();
            if (lines.size() > 1) {
                lines.stream().filter(line -> line.length() >= SHORTEST_LINE).forEach(words::add);
            }
        }
        pattern = words.isEmpty() ? null : Pattern.compile(String.join("|", words.stream().map(Pattern::quote).toList()));
    }

    String text(String text) {
        return pattern == null || text == null ? text : pattern.matcher(text).replaceAll(Matcher.quoteReplacement(MASKED));
    }

    /** A JSON value, masked in every text and key of it. */
    Object value(Object value) {
        if (pattern == null) {
            return value;
        }
        if (value instanceof String text) {
            return text(text);
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> found = new LinkedHashMap<>();
            map.forEach((key, item) -> found.put(text(String.valueOf(key)), value(item)));
            return found;
        }
        if (value instanceof Collection<?> list) {
            List<Object> found = new ArrayList<>(list.size());
            list.forEach(item -> found.add(value(item)));
            return found;
        }
        return value;
    }

    Map<String, Object> error(Map<String, Object> error) {
        return Protocol.map(value(error));
    }
}
