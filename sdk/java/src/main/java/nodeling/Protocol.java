package nodeling;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The node's end of one conversation with a host, without I/O: lines in, events and answers out.
 *
 * <p>Every request gets exactly one terminal frame, and nothing is said of a call after it. What the host gets wrong is answered
 * or ignored; it never stops the reader.
 */
final class Protocol {
    static final int VERSION = 1;
    static final int SPILL_BYTES = 1 << 20;
    static final List<String> CLAIMED = List.of("blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream");
    private static final int ENVELOPE_DEPTH = 8; // the levels a frame may add around a value of the full depth
    private static final Map<String, Object> EMPTY = Map.of();

    /** What a host asks for. */
    sealed interface Event permits Greeting, Invoke, Cancel, Credit, Shutdown {}

    record Greeting(String blobDir, int spillBytes, int maxFrameBytes, String logLevel) implements Event {}

    record Invoke(
            Object id,
            String node,
            Object input,
            Map<String, Object> config,
            Map<String, String> secrets,
            Map<String, Object> context,
            Double deadline,
            Map<String, Object> meta,
            boolean mayHoldBlobs)
            implements Event {}

    record Cancel(Object id) implements Event {}

    record Credit(Object id, long n) implements Event {}

    record Shutdown(Object id) implements Event {}

    private final String about;
    private final ProtocolFrames frames = new ProtocolFrames();
    private final Set<Object> open = new java.util.HashSet<>();
    private final StringBuilder out = new StringBuilder();
    private Set<String> features = Set.of();
    private boolean isDraining;

    Protocol(String name, String version, int concurrency) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("protocol", VERSION);
        found.put("node", Map.of("name", name, "version", version));
        found.put("sdk", Map.of("name", "nodeling", "version", Nodeling.VERSION, "language", "java"));
        found.put("features", CLAIMED);
        found.put("max_concurrency", concurrency);
        about = Json.write(found);
    }

    boolean uses(String feature) {
        return features.contains(feature);
    }

    /** The answers that are to be written. */
    byte[] take() {
        byte[] found = Json.bytes(out.toString());
        out.setLength(0);
        return found;
    }

    /** Takes the next bytes from the host; null when nothing can be read any more. */
    List<Event> receive(byte[] data, int length) {
        List<Event> events = new ArrayList<>();
        boolean ok = frames.feed(data, length, (bytes, from, to, size) -> {
            Event event = size > frames.max ? oversize(bytes, from, to, size) : line(bytes, from, to);
            if (event != null) {
                events.add(event);
            }
        });
        return ok ? events : null;
    }

    private Event oversize(byte[] data, int from, int to, long size) {
        String said = "a frame of " + size + " bytes is over the cap of " + frames.max;
        String head = new String(data, from, to - from, java.nio.charset.StandardCharsets.UTF_8);
        Object id = JsonReader.head(head, Json.MAX_DEPTH + ENVELOPE_DEPTH).get("id");
        if (isId(id) && !open.contains(id)) {
            return refuse(id, ProtocolErrors.refusal(NodeException.PAYLOAD_TOO_LARGE, "ProtocolError", said));
        }
        return refuse(null, -32600, said);
    }

    private Event refuse(Object id, Map<String, Object> error) {
        out.append("{\"jsonrpc\":\"2.0\",\"id\":").append(Json.write(id)).append(",\"error\":").append(Json.write(error)).append("}\n");
        return null;
    }

    private Event refuse(Object id, int code, String message) {
        return refuse(id, ProtocolErrors.refusal(code, "ProtocolError", message));
    }

    void reply(Object id, String result) {
        out.append("{\"jsonrpc\":\"2.0\",\"id\":").append(Json.write(id)).append(",\"result\":").append(result).append("}\n");
    }

    // --- What comes in ------------------------------------------------------------------------------------------------

    private Event line(byte[] data, int from, int to) {
        JsonReader reader;
        Object message;
        String text;
        try {
            text = Json.text(data, from, to);
            reader = new JsonReader(text, Json.MAX_DEPTH + ENVELOPE_DEPTH);
            message = reader.whole();
        } catch (InvalidValueException e) {
            return noFrame(data, from, to, e);
        }
        if (!(message instanceof Map)) {
            return refuse(null, -32600, "a frame is one object, and there are no arrays of frames");
        }
        if (reader.namesTwice) {
            return refuse(null, -32600, "the envelope names a member twice");
        }
        Map<String, Object> members = map(message);
        InvalidValueException fault = reader.fault;
        if (fault == null && reader.deepest > Json.MAX_DEPTH) {
            fault = tooDeep(members);
        }
        boolean mayHoldBlobs = text.contains("blob") || text.contains("\\u00");
        return frame(members, fault, mayHoldBlobs);
    }

    private Event noFrame(byte[] data, int from, int to, InvalidValueException found) {
        if (found.kind.equals("depth")) {
            String head = new String(data, from, Math.min(to - from, ProtocolFrames.HEAD_BYTES), java.nio.charset.StandardCharsets.UTF_8);
            Map<String, Object> members = JsonReader.head(head, Json.MAX_DEPTH + ENVELOPE_DEPTH);
            if (!members.isEmpty()) {
                return frame(members, found, false);
            }
        }
        return refuse(null, -32700, found.getMessage());
    }

    private Event frame(Map<String, Object> message, InvalidValueException fault, boolean mayHoldBlobs) {
        Object id = message.get("id");
        if (!"2.0".equals(message.get("jsonrpc")) || !(message.get("method") instanceof String method)) {
            if (!message.containsKey("result") && !message.containsKey("error")) {
                refuse(isId(id) && !open.contains(id) ? id : null, -32600, "a frame has \"jsonrpc\":\"2.0\" and a method");
            }
            return null;
        }
        Object params = message.getOrDefault("params", EMPTY);
        if (!message.containsKey("id")) {
            return fault == null && params instanceof Map ? notification(method, map(params)) : null;
        }
        if (!isId(id)) {
            return refuse(null, -32600, "the id of a request is an integer or a text");
        }
        if (open.contains(id)) {
            return null; // an answer would be a second one for the call of this id
        }
        if (fault != null) {
            String said = "the call holds what cannot travel: " + ProtocolErrors.clean(fault.getMessage());
            return refuse(id, ProtocolErrors.unstarted(ProtocolErrors.refusal(NodeException.INVALID_INPUT, "ProtocolError", said)));
        }
        if (!(params instanceof Map)) {
            return refuse(id, -32602, "params is an object");
        }
        return request(id, method, map(params), mayHoldBlobs);
    }

    /** Looks for a value that is too deep by itself: the levels of the envelope do not count. */
    private static InvalidValueException tooDeep(Map<String, Object> message) {
        Map<String, Object> params = map(message.get("params"));
        Map<String, Object> values = new HashMap<>(map(map(params.get("context")).get("vars")));
        for (String name : List.of("input", "config", "secrets", "_meta")) {
            values.put("params/" + name, params.get(name));
        }
        for (Map.Entry<String, Object> one : values.entrySet()) {
            try {
                Json.checkDepth(one.getValue(), "/" + one.getKey(), 1);
            } catch (InvalidValueException e) {
                return e;
            }
        }
        return null;
    }

    private Event notification(String method, Map<String, Object> params) {
        Object id = params.get("id");
        if (!open.contains(id)) {
            return null;
        }
        if (method.equals("node/cancel")) {
            return new Cancel(id);
        }
        boolean isCredit = method.equals("node/credit") && params.get("n") instanceof Long n && n > 0;
        return isCredit ? new Credit(id, (Long) params.get("n")) : null;
    }

    private Event request(Object id, String method, Map<String, Object> params, boolean mayHoldBlobs) {
        switch (method) {
            case "node/invoke":
                return invoke(id, params, mayHoldBlobs);
            case "node/hello":
                return hello(id, params);
            case "node/ping":
                reply(id, "{\"inflight\":" + open.size() + "}");
                return null;
            case "node/shutdown":
                isDraining = true;
                return new Shutdown(id);
            default:
                String shown = method.length() <= 100 ? method : method.substring(0, 100);
                return refuse(id, -32601, "this node does not know '" + ProtocolErrors.clean(shown) + "'");
        }
    }

    private Event hello(Object id, Map<String, Object> params) {
        if (!(params.get("protocol") instanceof List<?> versions) || !versions.contains((long) VERSION)) {
            String said = "this node speaks protocol " + VERSION + ", the host " + Json.write(params.get("protocol"));
            Map<String, Object> error = ProtocolErrors.refusal(4100, "ProtocolError", said);
            ProtocolErrors.data(error).put("supported", List.of(VERSION));
            return refuse(id, error);
        }
        Set<String> used = new TreeSet<>(CLAIMED);
        used.retainAll(params.get("features") instanceof List<?> offered ? offered : List.of());
        features = used;
        Map<String, Object> limits = map(params.get("limits"));
        frames.max = positive(limits.get("max_frame_bytes"), frames.max);
        String blobDir = params.get("blob_dir") instanceof String given ? given : null;
        String level = params.get("log_level") instanceof String given ? given : "info";
        reply(id, about);
        return new Greeting(blobDir, positive(limits.get("spill_bytes"), SPILL_BYTES), frames.max, level);
    }

    private static int positive(Object value, int otherwise) {
        return value instanceof Long n && n > 0 && n <= Integer.MAX_VALUE / 8 ? n.intValue() : otherwise;
    }

    private Event invoke(Object id, Map<String, Object> params, boolean mayHoldBlobs) {
        if (isDraining) {
            String said = "this process takes no more calls";
            return refuse(id, ProtocolErrors.unstarted(ProtocolErrors.error(NodeException.OVERLOADED, "ProtocolError", said)));
        }
        for (String name : List.of("config", "secrets", "context", "_meta")) {
            if (params.get(name) != null && !(params.get(name) instanceof Map)) {
                return refuse(id, -32602, name + " has the wrong type");
            }
        }
        if (!(params.getOrDefault("node", "") instanceof String node)) {
            return refuse(id, -32602, "node has the wrong type");
        }
        Map<String, String> secrets = new LinkedHashMap<>();
        for (Map.Entry<String, Object> secret : map(params.get("secrets")).entrySet()) {
            if (!(secret.getValue() instanceof String text)) {
                return refuse(id, -32602, "secrets has the wrong type");
            }
            secrets.put(secret.getKey(), text);
        }
        open.add(id);
        return new Invoke(
                id,
                node,
                params.get("input"),
                map(params.get("config")),
                secrets,
                map(params.get("context")),
                params.get("deadline") instanceof Number n ? n.doubleValue() : null,
                map(params.get("_meta")),
                mayHoldBlobs);
    }

    // --- What goes out ------------------------------------------------------------------------------------------------

    /** The terminal frame of a call that succeeded; a frame over the cap becomes the error 4005 of the call. */
    byte[] result(Object id, String body) {
        return end(id, "\"result\":{" + body + "}");
    }

    /** The terminal frame of a call that failed. */
    byte[] failure(Object id, Map<String, Object> error) {
        return end(id, "\"error\":" + Json.write(error));
    }

    private byte[] end(Object id, String body) {
        if (!open.remove(id)) {
            return new byte[0];
        }
        String head = "{\"jsonrpc\":\"2.0\",\"id\":" + Json.write(id) + ",";
        byte[] frame = Json.bytes(head + body + "}\n");
        if (frame.length - 1 <= frames.max) {
            return frame;
        }
        String said = "the answer is a frame of " + (frame.length - 1) + " bytes, over the cap of " + frames.max;
        Map<String, Object> error = ProtocolErrors.refusal(NodeException.PAYLOAD_TOO_LARGE, "PayloadTooLarge", said);
        return Json.bytes(head + "\"error\":" + Json.write(error) + "}\n");
    }

    /** A notification; null when the host did not offer the feature, the call has ended, or it is over the cap. */
    byte[] tell(String feature, String event, Object id, String params) {
        byte[] frame = Json.bytes("{\"jsonrpc\":\"2.0\",\"method\":\"node/" + event + "\",\"params\":" + params + "}\n");
        return uses(feature) && open.contains(id) && frame.length - 1 <= frames.max ? frame : null;
    }

    static boolean isId(Object value) {
        return value instanceof Long || value instanceof String;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return value instanceof Map ? (Map<String, Object>) value : EMPTY;
    }
}
