package nodeling;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * JSON as every language reads it alike: UTF-8, no NaN, no lone surrogates, integers within ±(2^53 - 1), at most 64 levels.
 *
 * <p>A value is a {@code Map<String, Object>}, a {@code List<Object>}, a {@code String}, a {@code Boolean}, a {@code Long} (what
 * was written as an integer), a {@code Double}, or null.
 */
public final class Json {
    static final int MAX_DEPTH = 64;
    static final long MAX_INTEGER = (1L << 53) - 1;

    private Json() {}

    /**
     * The value that JSON text holds; of a key given twice the last wins.
     *
     * @throws InvalidValueException the text is no JSON, or something in it may not travel
     */
    public static Object read(String text) {
        JsonReader reader = new JsonReader(text, MAX_DEPTH);
        Object value = reader.whole();
        if (reader.fault != null) {
            throw reader.fault;
        }
        return value;
    }

    /**
     * A value as compact JSON on one line. Beside what {@link #read} gives it takes records, arrays, collections, enums (by
     * name), the other numbers, and the times, identifiers and paths of the JDK as their text.
     *
     * @throws InvalidValueException something in it may not travel
     */
    public static String write(Object value) {
        return new JsonWriter().whole(value);
    }

    static String text(byte[] data, int from, int to) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(data, from, to - from))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new InvalidValueException("encoding", "", "the text is not UTF-8");
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Refuses a value that has more levels than may travel, whatever is around it. */
    static void checkDepth(Object value, String pointer, int depth) {
        if (depth > MAX_DEPTH) {
            throw tooDeep(pointer);
        }
        if (value instanceof Map<?, ?> map) {
            map.forEach((key, item) -> checkDepth(item, pointer + "/" + escaped((String) key), depthOf(item, depth)));
        } else if (value instanceof List<?> list) {
            for (int i = 0; i < list.size(); i++) {
                checkDepth(list.get(i), pointer + "/" + i, depthOf(list.get(i), depth));
            }
        }
    }

    private static int depthOf(Object item, int depth) {
        return item instanceof Map || item instanceof List ? depth + 1 : depth;
    }

    static InvalidValueException tooDeep(String pointer) {
        return new InvalidValueException("depth", pointer, "the value is more than " + MAX_DEPTH + " levels deep");
    }

    static InvalidValueException tooBig(String digits, String pointer) {
        String shown = digits.length() <= 24 ? digits : "of " + digits.length() + " digits";
        String said = "the integer " + shown + " is beyond ±(2^53 - 1), where languages differ; send it as text";
        return new InvalidValueException("integer", pointer, said);
    }

    static InvalidValueException loneSurrogate(char unit, String pointer) {
        String said = String.format("the text holds the lone surrogate U+%04X, which is no character", (int) unit);
        return new InvalidValueException("surrogate", pointer, said);
    }

    static String escaped(String key) {
        return key.indexOf('~') < 0 && key.indexOf('/') < 0 ? key : key.replace("~", "~0").replace("/", "~1");
    }
}
