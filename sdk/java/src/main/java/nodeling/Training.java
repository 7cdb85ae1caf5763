package nodeling;

import java.io.ByteArrayInputStream;
import java.io.OutputStream;
import java.util.Map;
import java.util.Set;

/**
 * Goes through a conversation with nobody, so that a JVM which archives the classes it has loaded ({@code
 * -XX:ArchiveClassesAtExit}) archives those that every node needs. A node's own code is not run by it.
 */
public final class Training {
    private static final String[] CONVERSATION = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node/hello\",\"params\":{\"protocol\":[1],\"features\":[\"log\",\"progress\"]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"node/invoke\",\"params\":{\"input\":{\"a\":[1,2.5,\"x\\n\",null,true]},"
                + "\"secrets\":{\"s\":\"secret\"},\"_meta\":{\"progress\":true}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"node/invoke\",\"params\":{\"input\":null}}",
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"node/shutdown\",\"params\":{}}",
    };

    private Training() {}

    public static void main(String[] args) {
        byte[] said = Json.bytes(String.join("\n", CONVERSATION) + "\n");
        WorkerChannel channel = new WorkerChannel(new ByteArrayInputStream(said), OutputStream.nullOutputStream());
        Nodeling.Options options = new Nodeling.Options("", "0", 1, Set.of());
        Handler<Object, Object> handler = (call, input) -> {
            call.log("trained", Map.of("a", 1));
            call.progress(1, 2, "training");
            return Map.of("output", input);
        };
        new Worker(channel, options, handler).serve();
    }
}
