package nodeling;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON text.
 *
 * <p>What is no JSON, or too deep, ends it. A number or text that is JSON but may not travel is kept in {@code fault}, and
 * reading goes on: whoever sent a frame with such a value still gets an answer by its id.
 */
final class JsonReader {
    private final String text;
    private final int limit;
    private int at;
    private final List<Object> path = new ArrayList<>();
    InvalidValueException fault;
    int deepest;
    boolean namesTwice; // whether the outermost object names a member twice

    JsonReader(String text, int limit) {
        this.text = text;
        this.limit = limit;
    }

    /** The one value of the text. */
    Object whole() {
        Object value = value();
        space();
        if (at != text.length()) {
            throw syntax("more than one value");
        }
        return value;
    }

    /** The outermost members that stand whole in the beginning of a text. */
    static Map<String, Object> head(String text, int limit) {
        JsonReader reader = new JsonReader(text, limit);
        Map<String, Object> found = new LinkedHashMap<>();
        try {
            reader.space();
            if (reader.peek() != '{') {
                return found;
            }
            do {
                reader.at++;
                reader.space();
                String key = reader.text();
                reader.space();
                reader.expect(':');
                Object value = reader.value();
                reader.space();
                if (reader.peek() != ',' && reader.peek() != '}') {
                    break; // a number that is cut off reads as a shorter one
                }
                found.put(key, value);
            } while (reader.peek() == ',');
        } catch (InvalidValueException brokenOff) {
            return found; // that it breaks off is why it is only a head
        }
        return found;
    }

    private Object value() {
        space();
        char c = peek();
        if (c == '{') {
            return object();
        }
        if (c == '[') {
            return list();
        }
        if (c == '"') {
            return text();
        }
        if (c == '-' || (c >= '0' && c <= '9')) {
            return number();
        }
        if (text.startsWith("true", at)) {
            at += 4;
            return true;
        }
        if (text.startsWith("false", at)) {
            at += 5;
            return false;
        }
        if (text.startsWith("null", at)) {
            at += 4;
            return null;
        }
        throw syntax("no value");
    }

    private void open() {
        if (path.size() == limit) {
            throw Json.tooDeep("");
        }
        path.add(null);
        deepest = Math.max(deepest, path.size());
        at++;
        space();
    }

    private void close() {
        path.remove(path.size() - 1);
        at++;
    }

    private Object object() {
        open();
        Map<String, Object> found = new LinkedHashMap<>();
        if (peek() == '}') {
            close();
            return found;
        }
        while (true) {
            if (peek() != '"') {
                throw syntax("a key is missing");
            }
            String key = text();
            path.set(path.size() - 1, key);
            space();
            expect(':');
            int before = found.size();
            found.put(key, value());
            namesTwice |= path.size() == 1 && found.size() == before;
            space();
            if (peek() == '}') {
                close();
                return found;
            }
            expect(',');
            space();
        }
    }

    private Object list() {
        open();
        List<Object> found = new ArrayList<>();
        if (peek() == ']') {
            close();
            return found;
        }
        while (true) {
            path.set(path.size() - 1, found.size());
            found.add(value());
            space();
            if (peek() == ']') {
                close();
                return found;
            }
            expect(',');
        }
    }

    private String text() {
        if (peek() != '"') {
            throw syntax("a text is missing");
        }
        int start = ++at;
        StringBuilder found = null;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '"') {
                String part = text.substring(start, at++);
                return found == null ? part : checked(found.append(part).toString());
            }
            if (c < 0x20) {
                throw syntax("a control character in a text");
            }
            if (c != '\\') {
                at++;
                continue;
            }
            found = found == null ? new StringBuilder() : found;
            found.append(text, start, at).append(escape());
            start = at;
        }
        throw syntax("a text does not end");
    }

    private char escape() {
        char kind = at + 1 < text.length() ? text.charAt(at + 1) : ' ';
        at += 2;
        switch (kind) {
            case '"', '\\', '/':
                return kind;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int unit = 0;
                for (int i = 0; i < 4; i++, at++) {
                    int digit = at < text.length() && text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
                    if (digit < 0) {
                        throw syntax("a bad escape");
                    }
                    unit = unit * 16 + digit;
                }
                return (char) unit;
            default:
                throw syntax("a bad escape");
        }
    }

    /** Only escapes can make a lone surrogate: the text itself came out of UTF-8. */
    private String checked(String found) {
        int lone = JsonWriter.loneSurrogate(found);
        if (lone >= 0 && fault == null) {
            fault = Json.loneSurrogate(found.charAt(lone), pointer());
        }
        return found;
    }

    private Object number() {
        int start = at;
        if (peek() == '-') {
            at++;
        }
        int first = at;
        int whole = digits();
        if (whole == 0 || (whole > 1 && text.charAt(first) == '0')) {
            throw syntax("a bad number");
        }
        boolean isInteger = true;
        if (peek() == '.') {
            isInteger = false;
            at++;
            someDigits();
        }
        if (peek() == 'e' || peek() == 'E') {
            isInteger = false;
            at++;
            if (peek() == '+' || peek() == '-') {
                at++;
            }
            someDigits();
        }
        return isInteger ? integer(text.substring(start, at), whole) : real(text.substring(start, at));
    }

    private Object integer(String digits, int whole) {
        long value = whole <= 16 ? Long.parseLong(digits) : Long.MAX_VALUE;
        if (Math.abs(value) > Json.MAX_INTEGER) {
            refuse(Json.tooBig(digits, pointer()));
        }
        return value;
    }

    private Object real(String digits) {
        double value = Double.parseDouble(digits);
        if (Double.isInfinite(value)) {
            String shown = digits.length() <= 24 ? digits : digits.substring(0, 21) + "...";
            refuse(new InvalidValueException("number", pointer(), "the number " + shown + " is too large"));
        }
        return value;
    }

    private int digits() {
        int start = at;
        while (peek() >= '0' && peek() <= '9') {
            at++;
        }
        return at - start;
    }

    private void someDigits() {
        if (digits() == 0) {
            throw syntax("a bad number");
        }
    }

    private void refuse(InvalidValueException found) {
        fault = fault == null ? found : fault;
    }

    private char peek() {
        return at < text.length() ? text.charAt(at) : 0;
    }

    private void expect(char wanted) {
        if (peek() != wanted) {
            throw syntax("'" + wanted + "' is missing");
        }
        at++;
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private String pointer() {
        StringBuilder found = new StringBuilder();
        for (Object step : path) {
            found.append('/').append(Json.escaped(String.valueOf(step)));
        }
        return found.toString();
    }

    private InvalidValueException syntax(String what) {
        return new InvalidValueException("syntax", "", "not JSON: " + what + " at character " + at);
    }
}
