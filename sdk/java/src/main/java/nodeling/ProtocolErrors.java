package nodeling;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** How an error looks on the wire; one that leaves a node fits its limits and bears no code of the host's. */
final class ProtocolErrors {
    static final int MAX_TRACEBACK = 32 << 10; // bytes
    private static final int MAX_MESSAGE = 64 << 10; // characters
    private static final int MAX_CAUSES = 5;

    private ProtocolErrors() {}

    /** An error that trying again does not change. */
    static Map<String, Object> refusal(int code, String type, String message) {
        Map<String, Object> error = error(code, type, message);
        data(error).put("retryable", false);
        return error;
    }

    static Map<String, Object> error(int code, String type, String message) {
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("type", type);
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("code", code);
        error.put("message", bounded(clean(message == null || message.isEmpty() ? type : message)));
        error.put("data", data);
        return error;
    }

    static Map<String, Object> unstarted(Map<String, Object> error) {
        data(error).put("started", false);
        return error;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> data(Map<String, Object> error) {
        return (Map<String, Object>) error.get("data");
    }

    /** What a handler threw. */
    static Map<String, Object> of(Throwable thrown) {
        if (thrown instanceof InvalidValueException) {
            return refusal(NodeException.INVALID_OUTPUT, "InvalidOutput", "the output is no JSON value: " + thrown.getMessage());
        }
        if (thrown instanceof ProtocolBlobs.BlobException) {
            return refusal(NodeException.INVALID_INPUT, "BlobError", thrown.getMessage());
        }
        if (thrown instanceof NodeException author) {
            return authored(author);
        }
        Map<String, Object> error = error(NodeException.USER_ERROR, typeName(thrown), messageOf(thrown));
        data(error).put("traceback", trace(thrown));
        return withCause(error, thrown);
    }

    private static Map<String, Object> authored(NodeException thrown) {
        boolean isHosts = thrown.code >= 9000 && thrown.code <= 9999;
        Map<String, Object> error = error(isHosts ? NodeException.USER_ERROR : thrown.code, "NodeError", messageOf(thrown));
        Map<String, Object> data = data(error);
        if (thrown.name != null) {
            data.put("code", thrown.name);
        }
        if (thrown.isRetryable() != null) {
            data.put("retryable", thrown.isRetryable());
        }
        if (thrown.retryAfter() != null) {
            data.put("retry_after_ms", thrown.retryAfter().toMillis());
        }
        Object details = isHosts ? Map.of("code", thrown.code) : details(thrown.details(), error);
        if (details != null) {
            data.put("details", details instanceof Map ? details : Map.of("details", details));
        }
        return withCause(error, thrown);
    }

    /** Details as plain JSON values; those that cannot travel are named in the message. */
    private static Object details(Object details, Map<String, Object> error) {
        try {
            return Json.read(Json.write(details));
        } catch (InvalidValueException e) {
            error.put("message", error.get("message") + " (its details cannot travel: " + clean(e.getMessage()) + ")");
            return null;
        }
    }

    private static Map<String, Object> withCause(Map<String, Object> error, Throwable thrown) {
        Map<String, Object> cause = cause(thrown.getCause(), MAX_CAUSES);
        if (cause != null) {
            data(error).put("cause", cause);
        }
        return error;
    }

    private static Map<String, Object> cause(Throwable thrown, int depth) {
        if (thrown == null || depth == 0) {
            return null;
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("type", typeName(thrown));
        found.put("message", clean(messageOf(thrown)));
        Map<String, Object> inner = cause(thrown.getCause(), depth - 1);
        if (inner != null) {
            found.put("cause", inner);
        }
        return found;
    }

    private static String messageOf(Throwable thrown) {
        try {
            return thrown.getMessage() == null ? typeName(thrown) : thrown.getMessage();
        } catch (RuntimeException e) { // a message that cannot be made must not hide the error
            return "(its message cannot be read: " + typeName(e) + ")";
        }
    }

    private static String typeName(Throwable thrown) {
        String name = thrown.getClass().getSimpleName();
        return name.isEmpty() ? thrown.getClass().getName() : name;
    }

    private static String trace(Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text, true));
        return lastBytes(clean(text.toString()), MAX_TRACEBACK);
    }

    /** The end of a text, so many bytes of UTF-8 at the most. */
    static String lastBytes(String text, int limit) {
        byte[] data = text.getBytes(StandardCharsets.UTF_8);
        if (data.length <= limit) {
            return text;
        }
        int start = data.length - limit;
        while ((data[start] & 0xC0) == 0x80) {
            start++;
        }
        return new String(data, start, data.length - start, StandardCharsets.UTF_8);
    }

    private static String bounded(String text) {
        return text.length() <= MAX_MESSAGE ? text : clean(text.substring(0, MAX_MESSAGE));
    }

    /** A text with what is no character in it shown as such. */
    static String clean(String text) {
        if (JsonWriter.loneSurrogate(text) < 0) {
            return text;
        }
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8); // which writes ? in its place
    }
}
