package nodeling;

import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.nio.file.Path;
import java.time.temporal.TemporalAccessor;
import java.time.temporal.TemporalAmount;
import java.util.Collection;
import java.util.Iterator;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** Writes values as JSON, and refuses what would be changed by it. */
final class JsonWriter {
    private static final char[] HEX = "0123456789abcdef".toCharArray();

    private final StringBuilder out = new StringBuilder();
    private final StringBuilder at = new StringBuilder(); // the JSON pointer of what is being written
    private int depth;

    String whole(Object value) {
        value(value);
        return out.toString();
    }

    private void value(Object value) {
        if (value == null || value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof String text) {
            text(text);
        } else if (value instanceof Number number) {
            number(number);
        } else if (value instanceof Map<?, ?> map) {
            object(map);
        } else if (value instanceof Collection<?> list) {
            list(list.iterator());
        } else if (value instanceof Blob blob) {
            object(blob.reference());
        } else if (value instanceof Record record) {
            record(record);
        } else {
            special(value);
        }
    }

    private void special(Object value) {
        if (value instanceof Enum<?> word) {
            text(word.name());
        } else if (value instanceof Optional<?> maybe) {
            value(maybe.orElse(null));
        } else if (value instanceof CharSequence || value instanceof Character || isText(value)) {
            text(value.toString());
        } else if (value.getClass().isArray() && !(value instanceof byte[])) {
            list(new Iterator<Object>() {
                private int next;

                @Override
                public boolean hasNext() {
                    return next < Array.getLength(value);
                }

                @Override
                public Object next() {
                    return Array.get(value, next++);
                }
            });
        } else {
            String advice = value instanceof byte[] ? "; make them a String, or encode them as base64" : "";
            throw refuse("type", "a " + value.getClass().getTypeName() + " is no JSON value" + advice);
        }
    }

    private static boolean isText(Object value) {
        return value instanceof TemporalAccessor
                || value instanceof TemporalAmount
                || value instanceof UUID
                || value instanceof URI
                || value instanceof Path;
    }

    private void number(Number number) {
        if (number instanceof Double || number instanceof Float) {
            if (!Double.isFinite(number.doubleValue())) {
                throw refuse("nan", number + " is no JSON number; use null instead");
            }
            out.append(number); // with a fraction or an exponent, so that nobody takes it for an integer
        } else if (number instanceof BigDecimal decimal) {
            if (!Double.isFinite(decimal.doubleValue())) {
                throw refuse("number", "the number is too large");
            }
            out.append(decimal.doubleValue());
        } else if (number instanceof Long || number instanceof Integer || number instanceof Short || number instanceof Byte) {
            integer(number.longValue(), number);
        } else if (number instanceof BigInteger big) {
            integer(big.bitLength() < 64 ? big.longValue() : Long.MAX_VALUE, number);
        } else {
            integer(number.longValue(), number.longValue()); // counters, as AtomicLong
        }
    }

    private void integer(long value, Number shown) {
        if (value > Json.MAX_INTEGER || value < -Json.MAX_INTEGER) {
            throw Json.tooBig(shown.toString(), at.toString());
        }
        out.append(value);
    }

    private void enter(char bracket) {
        if (depth == Json.MAX_DEPTH) {
            throw Json.tooDeep(at.toString());
        }
        depth++;
        out.append(bracket);
    }

    private void leave(char bracket) {
        depth--;
        out.append(bracket);
    }

    private void object(Map<?, ?> map) {
        enter('{');
        boolean isFirst = true;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (!(entry.getKey() instanceof String key)) {
                throw refuse("key", "the key " + entry.getKey() + " is no String, keys must be text");
            }
            member(key, entry.getValue(), isFirst);
            isFirst = false;
        }
        leave('}');
    }

    private void record(Record record) {
        enter('{');
        boolean isFirst = true;
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            Object value;
            try {
                var accessor = component.getAccessor();
                accessor.setAccessible(true);
                value = accessor.invoke(record);
            } catch (IllegalAccessException | InvocationTargetException e) {
                throw refuse("type", "a " + record.getClass().getTypeName() + " cannot be read: " + e);
            }
            member(component.getName(), value, isFirst);
            isFirst = false;
        }
        leave('}');
    }

    private void member(String key, Object value, boolean isFirst) {
        if (!isFirst) {
            out.append(',');
        }
        text(key);
        out.append(':');
        int length = at.length();
        at.append('/').append(Json.escaped(key));
        value(value);
        at.setLength(length);
    }

    private void list(Iterator<?> items) {
        enter('[');
        int length = at.length();
        for (int i = 0; items.hasNext(); i++) {
            if (i > 0) {
                out.append(',');
            }
            at.append('/').append(i);
            value(items.next());
            at.setLength(length);
        }
        leave(']');
    }

    private void text(String text) {
        int lone = loneSurrogate(text);
        if (lone >= 0) {
            throw Json.loneSurrogate(text.charAt(lone), at.toString());
        }
        out.append('"');
        int start = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= 0x20 && c != '"' && c != '\\') {
                continue;
            }
            out.append(text, start, i);
            start = i + 1;
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else {
                out.append("\\u00").append(HEX[c >> 4]).append(HEX[c & 15]);
            }
        }
        out.append(text, start, text.length()).append('"');
    }

    /** Where a text holds half a character; -1 where it holds none. */
    static int loneSurrogate(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (!Character.isSurrogate(c)) {
                continue;
            }
            boolean isPair = Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1));
            if (!isPair) {
                return i;
            }
            i++;
        }
        return -1;
    }

    private InvalidValueException refuse(String kind, String message) {
        return new InvalidValueException(kind, at.toString(), message);
    }
}
