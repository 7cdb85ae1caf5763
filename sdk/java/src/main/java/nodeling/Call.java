package nodeling;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * What a handler sees of the call it answers, beside its input. It serves any thread of the handler until the handler returns.
 *
 * <p>A cancel interrupts the thread that runs the handler, and {@link #isCancelled} is true from then on.
 */
public final class Call {
    private final WorkerCall worker; // null in a unit test of a handler
    private final Protocol.Invoke asked;
    private final Set<String> reads;
    private final Map<String, String> delta = new LinkedHashMap<>(); // JSON by key; null where it is deleted
    private final Map<String, Double> metrics = new TreeMap<>();
    private Path madeDir;

    Call(WorkerCall worker, Set<String> reads) {
        this.worker = worker;
        this.asked = worker.asked;
        this.reads = reads;
    }

    private Call() {
        worker = null;
        reads = Set.of("vars.*", "request");
        asked = new Protocol.Invoke(0L, "", null, Map.of(), Map.of(), Map.of(), null, Map.of(), false);
    }

    /** A call that nothing came with and that reports to nobody, for unit tests of a handler. */
    public static Call detached() {
        return new Call();
    }

    /** Names the run that the call is part of. */
    public String runId() {
        return text("run_id");
    }

    /** Names the step of the workflow. */
    public String step() {
        return text("step");
    }

    /** Counts the tries of this step, from 1. */
    public int attempt() {
        return asked.context().get("attempt") instanceof Long n ? n.intValue() : 1;
    }

    /** The same over all attempts of a step, and different for any other. */
    public String idempotencyKey() {
        return text("idempotency_key");
    }

    private String text(String name) {
        return asked.context().get(name) instanceof String found ? found : "";
    }

    /** The step's config, which the manifest's schema has been held against. */
    public Map<String, Object> config() {
        return asked.config();
    }

    /** The same as a record. */
    public <T> T config(Class<T> type) {
        try {
            return type.cast(Records.convert(asked.config(), type, ""));
        } catch (IllegalArgumentException e) {
            throw new NodeException(NodeException.INVALID_CONFIG, "the config does not fit: " + e.getMessage(), e);
        }
    }

    /** The secrets that the manifest declares. */
    public Map<String, String> secrets() {
        return asked.secrets();
    }

    /** When the call ends at the latest. */
    public Optional<Instant> deadline() {
        return Optional.ofNullable(asked.deadline()).map(ms -> Instant.ofEpochMilli(ms.longValue()));
    }

    /** What is left until then. */
    public Optional<Duration> remaining() {
        return deadline().map(due -> Duration.between(Instant.now(), due));
    }

    /** Whether the call should end soon; work that no interrupt reaches looks here now and then. */
    public boolean isCancelled() {
        return worker != null && worker.isCancelled();
    }

    /** A variable of the run's context; null when nobody wrote it. The manifest says in its reads which variables travel. */
    public synchronized Object get(String key) {
        if (delta.containsKey(key)) {
            return delta.get(key) == null ? null : Json.read(delta.get(key));
        }
        Map<String, Object> sent = Protocol.map(asked.context().get("vars"));
        if (!sent.containsKey(key)) {
            declared("vars." + key, "vars.*");
        }
        return sent.get(key);
    }

    /** Writes a variable; later steps see it when this call succeeds. */
    public synchronized void set(String key, Object value) {
        delta.put(checked(key), Json.write(value));
    }

    /** Removes a variable for later steps. */
    public synchronized void delete(String key) {
        delta.put(checked(key), null);
    }

    private static String checked(String key) {
        if (key == null || key.isEmpty()) {
            throw new NodeException("context.key", "a context key is a text that is not empty");
        }
        return key;
    }

    /** A part of what started the run: body, headers, query, params, method or path. */
    public Object request(String part) {
        Map<String, Object> sent = Protocol.map(asked.context().get("request"));
        if (!sent.containsKey(part)) {
            declared("request." + part, "request.*", "request");
        }
        return sent.get(part);
    }

    /** In steps that handle errors: the code, step, message and others of what failed. */
    public Optional<Map<String, Object>> failure() {
        return asked.context().get("error") instanceof Map<?, ?> found ? Optional.of(Protocol.map(found)) : Optional.empty();
    }

    private void declared(String... words) {
        for (String word : words) {
            if (reads.contains(word)) {
                return;
            }
        }
        String said = "this node does not declare that it reads '" + words[0] + "'; add it to `reads` in its config.json";
        throw new NodeException("context.not_sent", said);
    }

    /** Logs a line. */
    public void log(String message) {
        log(Level.INFO, message, Map.of());
    }

    /** Logs a line with data. */
    public void log(String message, Map<String, ?> data) {
        log(Level.INFO, message, data);
    }

    /** Logs a line of a level with data. */
    public void log(Level level, String message, Map<String, ?> data) {
        if (worker != null) {
            worker.log(level.name().toLowerCase(java.util.Locale.ROOT), message, data);
        }
    }

    /** How much a log line matters. */
    public enum Level {
        DEBUG,
        INFO,
        WARNING,
        ERROR
    }

    /** Tells how far the call has come, where the total is not known. */
    public void progress(double done, String message) {
        if (worker != null) {
            worker.progress(done, null, message);
        }
    }

    /** Tells how far the call has come. */
    public void progress(double done, double total, String message) {
        if (worker != null) {
            worker.progress(done, total, message);
        }
    }

    /** Records a figure; it stands in the step's metrics. */
    public synchronized void metric(String name, double value) {
        metrics.put(name, value);
    }

    synchronized Map<String, Double> metrics() {
        return new TreeMap<>(metrics);
    }

    /**
     * Makes the call's output a stream. A handler that sends parts and returns null has the list of them as its output; what
     * it returns otherwise is the output.
     */
    public Stream stream() {
        if (worker == null) {
            return part -> Json.write(part);
        }
        worker.openStream();
        return worker::chunk;
    }

    /** Sends a call's output in parts. */
    @FunctionalInterface
    public interface Stream {
        /** Sends one part. It waits until the host can take it. */
        void send(Object part) throws Exception;
    }

    /** Opens the bytes of a value that came by reference. */
    public InputStream openBlob(Blob blob) throws IOException {
        return Channels.newInputStream(ProtocolBlobs.open(worker == null ? null : worker.blobDir(), blob));
    }

    /** Makes a file of what is read, and gives the reference to return in the output. */
    public Blob writeBlob(InputStream from, String mediaType) throws IOException {
        if (worker == null || worker.folder == null) {
            throw new IOException("the host takes no blobs");
        }
        return ProtocolBlobs.write(worker.folder, from, mediaType, "raw");
    }

    /** A private folder for this call, which is removed when the call ends. */
    public synchronized Path workDir() throws IOException {
        if (asked.context().get("work_dir") instanceof String given && !given.isEmpty()) {
            return Files.createDirectories(Path.of(given), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
        if (madeDir == null) {
            madeDir = Files.createTempDirectory("call-");
        }
        return madeDir;
    }

    /** The members of the result that hold what was written to the context. */
    synchronized String written() {
        List<String> written = new ArrayList<>();
        List<String> deleted = new ArrayList<>();
        delta.forEach((key, data) -> {
            if (data == null) {
                deleted.add(key);
            } else {
                written.add(Json.write(key) + ":" + data);
            }
        });
        String found = written.isEmpty() ? "" : ",\"vars\":{" + String.join(",", written) + "}";
        return deleted.isEmpty() ? found : found + ",\"deleted\":" + Json.write(deleted);
    }

    /** Removes what the call left lying about. */
    synchronized void end() {
        if (madeDir == null) {
            return;
        }
        try {
            Files.walkFileTree(madeDir, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes about) throws IOException {
                    Files.delete(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path folder, IOException trouble) throws IOException {
                    Files.delete(folder);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException | UncheckedIOException e) {
            System.err.println("nodeling: the folder " + madeDir + " is left: " + e);
        }
    }
}
