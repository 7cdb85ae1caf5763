import java.io.FileInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import nodeling.Blob;
import nodeling.Call;
import nodeling.NodeException;
import nodeling.Nodeling;

/**
 * The kitchen sink: one node that does, on demand, everything the conformance cases look at. Every SDK ships the same one.
 * {@code do} says what; the rest of the input says how.
 */
public final class KitchenSink {
    private interface Action {
        Object run(Call call, Map<String, Object> in) throws Exception;
    }

    private static final Map<String, Action> ACTIONS = new HashMap<>();

    static {
        System.out.println("kitchen sink imported"); // a node that prints while it is loaded must hurt nobody
        ACTIONS.put("about", KitchenSink::about);
        ACTIONS.put("big", (call, in) -> "z".repeat(whole(in, "bytes", 0)));
        ACTIONS.put("blob", KitchenSink::blob);
        ACTIONS.put("crash", KitchenSink::crash);
        ACTIONS.put("echo", (call, in) -> in.get("value"));
        ACTIONS.put("environment", KitchenSink::environment);
        ACTIONS.put("fail", KitchenSink::fail);
        ACTIONS.put("ignore_cancel", KitchenSink::ignoreCancel);
        ACTIONS.put("leak_child", KitchenSink::leakChild);
        ACTIONS.put("log", KitchenSink::log);
        ACTIONS.put("metric", KitchenSink::metric);
        ACTIONS.put("odd", KitchenSink::odd);
        ACTIONS.put("print", KitchenSink::print);
        ACTIONS.put("progress", KitchenSink::progress);
        ACTIONS.put("read", KitchenSink::read);
        ACTIONS.put("read_stdin", KitchenSink::readStdin);
        ACTIONS.put("sleep", KitchenSink::sleep);
        ACTIONS.put("spawn_print", KitchenSink::spawnPrint);
        ACTIONS.put("spin", KitchenSink::spin);
        ACTIONS.put("stream", KitchenSink::stream);
        ACTIONS.put("sum", KitchenSink::sum);
        ACTIONS.put("work_dir", KitchenSink::workDir);
        ACTIONS.put("write", KitchenSink::write);
    }

    private KitchenSink() {}

    public static void main(String[] args) {
        Nodeling.serve(args, (call, in) -> {
            Action action = ACTIONS.get(in.get("do"));
            if (action == null) {
                throw new IllegalArgumentException("there is no action " + in.get("do"));
            }
            return action.run(call, in);
        });
    }

    private static int whole(Map<String, Object> in, String name, int otherwise) {
        return in.get(name) instanceof Number n ? n.intValue() : otherwise;
    }

    private static String text(Map<String, Object> in, String name, String otherwise) {
        return in.get(name) instanceof String found ? found : otherwise;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Map<String, Object> in, String name) {
        return in.get(name) instanceof Map ? (Map<String, Object>) in.get(name) : Map.of();
    }

    private static List<?> list(Map<String, Object> in, String name) {
        return in.get(name) instanceof List<?> found ? found : List.of();
    }

    /** The sum of {@code values}. */
    private static Object sum(Call call, Map<String, Object> in) {
        return list(in, "values").stream().mapToDouble(value -> ((Number) value).doubleValue()).sum();
    }

    /** Sleeps for {@code ms}, or until it is interrupted. */
    private static Object sleep(Call call, Map<String, Object> in) throws InterruptedException {
        call.log("started");
        Thread.sleep(whole(in, "ms", 0));
        return in.get("value");
    }

    /** Keeps the processor busy for {@code ms}. */
    private static Object spin(Call call, Map<String, Object> in) {
        call.log("started");
        long end = System.nanoTime() + whole(in, "ms", 0) * 1_000_000L;
        while (System.nanoTime() < end) {
            Thread.onSpinWait();
        }
        return null;
    }

    /** Sleeps for {@code ms} whatever happens. */
    private static Object ignoreCancel(Call call, Map<String, Object> in) {
        call.log("started");
        long end = System.nanoTime() + whole(in, "ms", 0) * 1_000_000L;
        while (System.nanoTime() < end) {
            try {
                TimeUnit.NANOSECONDS.sleep(end - System.nanoTime());
            } catch (InterruptedException e) {
                continue; // that is the point
            }
        }
        return "ignored";
    }

    /** Bears the name that every kitchen sink's errors have. */
    private static final class RuntimeError extends RuntimeException {
        private static final long serialVersionUID = 1L;

        RuntimeError(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** The same. */
    private static final class ValueError extends RuntimeException {
        private static final long serialVersionUID = 1L;

        ValueError(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Throws: a plain exception, one with {@code causes}, or a NodeException with a {@code code}. */
    private static Object fail(Call call, Map<String, Object> in) {
        String message = text(in, "message", "failed");
        if (in.containsKey("code")) {
            NodeException found = in.get("code") instanceof String name
                    ? new NodeException(name, message)
                    : new NodeException(whole(in, "code", 0), message);
            if (in.get("retryable") instanceof Boolean isRetryable) {
                found.retryable(isRetryable);
            }
            if (in.containsKey("retry_after_ms")) {
                found.retryAfter(Duration.ofMillis(whole(in, "retry_after_ms", 0)));
            }
            throw found.details(in.get("details"));
        }
        Throwable cause = null;
        for (int depth = whole(in, "causes", 0); depth > 0; depth--) {
            cause = new ValueError("cause " + depth, cause);
        }
        throw new RuntimeError(message, cause);
    }

    /** Ends the process: with the status {@code exit}, or by a {@code signal}. */
    private static Object crash(Call call, Map<String, Object> in) throws Exception {
        if (in.containsKey("signal")) {
            String pid = String.valueOf(ProcessHandle.current().pid());
            new ProcessBuilder("kill", "-" + whole(in, "signal", 9), pid).start().waitFor();
            Thread.sleep(Long.MAX_VALUE);
        }
        Runtime.getRuntime().halt(whole(in, "exit", 0));
        return null;
    }

    /** Prints {@code text} on stdout {@code how}: line, bare (no newline), native (straight to fd 1) or stderr. */
    private static Object print(Call call, Map<String, Object> in) throws IOException {
        String text = text(in, "text", "");
        int times = whole(in, "times", 1);
        FileOutputStream stdout = new FileOutputStream(FileDescriptor.out);
        for (int i = 0; i < times; i++) {
            switch (text(in, "how", "line")) {
                case "native" -> stdout.write((text + "\n").getBytes(StandardCharsets.UTF_8));
                case "stderr" -> System.err.write(text.getBytes(StandardCharsets.ISO_8859_1));
                case "line" -> System.out.println(text);
                default -> System.out.print(text);
            }
        }
        System.out.flush();
        System.err.flush();
        return times;
    }

    /** Lets a grandchild flood fd 1 with {@code lines} lines while a value of so many bytes is returned. */
    private static Object spawnPrint(Call call, Map<String, Object> in) throws Exception {
        String script = "i=0; while [ $i -lt " + whole(in, "lines", 0) + " ]; do echo grandchild $i " + "x".repeat(80) + "; i=$((i+1)); done";
        Process child = new ProcessBuilder("sh", "-c", script).inheritIO().start();
        return Map.of("text", "y".repeat(whole(in, "bytes", 0)), "exit", child.waitFor());
    }

    /** How many bytes the blob {@code value} holds. */
    private static Object blob(Call call, Map<String, Object> in) throws IOException {
        try (var file = call.openBlob((Blob) in.get("value"))) {
            return Map.of("bytes", file.readAllBytes().length);
        }
    }

    /** Logs {@code message} at {@code level}, {@code times} times. */
    private static Object log(Call call, Map<String, Object> in) {
        Call.Level level = Call.Level.valueOf(text(in, "level", "info").toUpperCase(java.util.Locale.ROOT));
        for (int i = 0; i < whole(in, "times", 1); i++) {
            call.log(level, text(in, "message", ""), object(in, "data"));
        }
        return null;
    }

    /** Reports progress {@code times} times. */
    private static Object progress(Call call, Map<String, Object> in) {
        int times = whole(in, "times", 1);
        for (int i = 1; i <= times; i++) {
            call.progress(i, times, "working");
        }
        return times;
    }

    /** What a library that reads stdin gets. */
    private static Object readStdin(Call call, Map<String, Object> in) throws IOException {
        String text = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        byte[] rest = new FileInputStream(FileDescriptor.in).readNBytes(100);
        return Map.of("java", text, "native", new String(rest, StandardCharsets.UTF_8));
    }

    /** Starts a child that outlives the call and holds every descriptor it was given. */
    private static Object leakChild(Call call, Map<String, Object> in) throws IOException {
        return new ProcessBuilder("sleep", String.valueOf(whole(in, "seconds", 1))).inheritIO().start().pid();
    }

    /** What came with the call. */
    private static Object about(Call call, Map<String, Object> in) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("config", call.config());
        found.put("secrets", call.secrets());
        found.put("run_id", call.runId());
        found.put("step", call.step());
        found.put("attempt", call.attempt());
        found.put("idempotency_key", call.idempotencyKey());
        found.put("deadline", call.deadline().map(due -> due.toEpochMilli() / 1000.0));
        return found;
    }

    /** Writes a file into the call's folder. */
    private static Object workDir(Call call, Map<String, Object> in) throws IOException {
        Files.writeString(call.workDir().resolve("made.txt"), "here");
        return call.workDir();
    }

    /** Writes and deletes context variables. */
    private static Object write(Call call, Map<String, Object> in) {
        object(in, "set").forEach(call::set);
        list(in, "delete").forEach(key -> call.delete((String) key));
        return null;
    }

    /** Reads context variables and the body of the request. */
    private static Object read(Call call, Map<String, Object> in) {
        Map<String, Object> vars = new LinkedHashMap<>();
        list(in, "vars").forEach(key -> vars.put((String) key, call.get((String) key)));
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("vars", vars);
        if (Boolean.TRUE.equals(in.get("body"))) {
            found.put("body", call.request("body"));
        }
        return found;
    }

    /** Records a figure. */
    private static Object metric(Call call, Map<String, Object> in) {
        call.metric(text(in, "name", ""), ((Number) in.get("value")).doubleValue());
        return null;
    }

    /** An output that cannot travel. */
    private static Object odd(Call call, Map<String, Object> in) {
        return switch (text(in, "what", "")) {
            case "nan" -> Double.NaN;
            case "infinity" -> Map.of("deep", List.of(Double.POSITIVE_INFINITY));
            case "integer" -> 1L << 53;
            case "object" -> new Object();
            case "bytes" -> new byte[] {'x'};
            case "surrogate" -> "\ud800";
            case "key" -> Map.of(1, 2);
            default -> BigDecimal.TEN.pow(400);
        };
    }

    /** The environment variables, and the descriptors that a child inherits, standard ones aside. */
    private static Object environment(Call call, Map<String, Object> in) throws Exception {
        List<String> names = new ArrayList<>(System.getenv().keySet());
        Collections.sort(names);
        // A child looks for its own: what the JVM holds and hands to nobody does not count.
        String script = "n=3; while [ $n -lt 1024 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done";
        Process child = new ProcessBuilder("sh", "-c", script).start();
        List<Integer> inherited = new ArrayList<>();
        new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().map(Integer::valueOf).forEach(inherited::add);
        child.waitFor();
        return Map.of("names", names, "inheritable", inherited);
    }

    /** Sends {@code n} parts, each {@code {"n": i, "text": …}}, and returns {@code returns}. */
    private static Object stream(Call call, Map<String, Object> in) throws Exception {
        Call.Stream parts = call.stream();
        for (int i = 0; i < whole(in, "n", 0); i++) {
            parts.send(Map.of("n", i, "text", "c".repeat(whole(in, "bytes", 0))));
        }
        return in.get("returns");
    }
}
