package nodeling;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * Runs a Java function as a node: one process, warm between calls.
 *
 * <pre>{@code
 * public final class Node {
 *     record Input(String name) {}
 *     record Output(String greeting) {}
 *
 *     public static void main(String[] args) {
 *         Nodeling.serve(args, Input.class, (call, in) -> new Output("Hello, " + in.name()));
 *     }
 * }
 * }</pre>
 */
public final class Nodeling {
    /** The version of this SDK. */
    public static final String VERSION = "0.1.0";

    private static final int EXIT_USAGE = 64;

    private Nodeling() {}

    /** Answers the host's calls, whose inputs are objects; ends the process when the host is gone or says that it is enough. */
    public static void serve(String[] args, Handler<Map<String, Object>, ?> handler) {
        run(args, (call, input) -> {
            if (!(input instanceof Map)) {
                throw new NodeException(NodeException.INVALID_INPUT, "the input does not fit: it is not an object");
            }
            return handler.handle(call, Protocol.map(input));
        });
    }

    /** The same for inputs of a record type, or any other that {@link Json} gives: {@code Object} takes every value. */
    public static <I> void serve(String[] args, Class<I> type, Handler<I, ?> handler) {
        run(args, (call, input) -> handler.handle(call, converted(input, type)));
    }

    static <I> I converted(Object input, Class<I> type) {
        try {
            @SuppressWarnings("unchecked") // convert gives what the type says
            I found = (I) Records.convert(input, type, "");
            return found;
        } catch (IllegalArgumentException e) {
            throw new NodeException(NodeException.INVALID_INPUT, "the input does not fit: " + e.getMessage(), e.getCause());
        }
    }

    private static void run(String[] args, Handler<Object, ?> handler) {
        int status;
        try {
            Options options = Options.of(args);
            if (!"1".equals(System.getenv("NODELING"))) {
                throw new IOException("this is the side of a node that a host talks to, and there is no host here");
            }
            status = new Worker(WorkerChannel.open(), options, handler).serve();
        } catch (IOException | IllegalArgumentException e) {
            System.err.println("nodeling: " + e.getMessage() + "\nTo run a node by hand: nodectl test DIR, or nodectl run FILE");
            status = EXIT_USAGE;
        }
        System.out.flush();
        System.err.flush();
        Runtime.getRuntime().halt(status); // no handler, and no hook of one, holds up a process whose host is gone
    }

    /** What the host writes on the command line. */
    record Options(String name, String version, int concurrency, Set<String> reads) {
        static Options of(String[] args) {
            Map<String, String> given = new LinkedHashMap<>();
            given.put("--name", "");
            given.put("--version", "0.0.0");
            given.put("--concurrency", "1");
            given.put("--reads", "");
            for (int i = 0; i < args.length; i++) {
                int equals = args[i].indexOf('=');
                String name = equals < 0 ? args[i] : args[i].substring(0, equals);
                if (!given.containsKey(name)) {
                    throw new IllegalArgumentException("'" + name + "' is no option; there are " + String.join(", ", given.keySet()));
                }
                if (equals < 0 && ++i == args.length) {
                    throw new IllegalArgumentException(name + " needs a value");
                }
                given.put(name, equals < 0 ? args[i] : args[i].substring(equals + 1));
            }
            String many = given.get("--concurrency");
            if (!many.matches("[1-9]\\d{0,5}")) {
                throw new IllegalArgumentException("--concurrency is a number from 1 on, not '" + many + "'");
            }
            Set<String> reads = new HashSet<>(Arrays.asList(given.get("--reads").split(",")));
            return new Options(given.get("--name"), given.get("--version"), Integer.parseInt(many), reads);
        }
    }
}
