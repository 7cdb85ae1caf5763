package nodeling;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One call, from its request to its terminal frame. */
final class WorkerCall {
    private static final long PROGRESS_NANOS = 100_000_000; // at most ten a second for each call
    private static final int LOGS_A_SECOND = 1000;
    private static final int FRAME_AROUND = 64; // more than what a notification has around its params
    private static final List<String> LEVELS = List.of("debug", "info", "warning", "error");

    final Protocol.Invoke asked;
    final Protocol.Greeting host;
    final WorkerMask mask;
    final Path folder; // where the host takes blobs; null where it takes none
    private final Worker worker;
    private final Call call;
    private final boolean isStreaming; // the host wants chunks
    private final boolean wantsProgress;
    private final int minLevel;

    private volatile boolean isCancelled;
    private boolean hasStarted;
    private Thread thread; // that runs the handler now
    private Long credit; // null: as many as there are
    private long chunks;
    private List<String> kept; // parts of a stream that the host does not want as chunks
    private String progress;
    private long progressDue;
    private long logWindow;
    private int logs;
    private long dropped;

    WorkerCall(Worker worker, Protocol.Invoke asked, Protocol.Greeting host, Protocol protocol) {
        this.worker = worker;
        this.asked = asked;
        this.host = host;
        mask = new WorkerMask(asked.secrets().values());
        folder = protocol.uses("blob") ? blobDir() : null;
        Object stream = asked.meta().get("stream");
        isStreaming = protocol.uses("stream") && (stream instanceof Map || Boolean.TRUE.equals(stream));
        credit = isStreaming && protocol.uses("credit") && Protocol.map(stream).get("credit") instanceof Long n ? n : null;
        Object wanted = asked.meta().get("progress");
        wantsProgress = wanted != null && !wanted.equals(false);
        minLevel = levelOf(asked.meta().get("log_level") instanceof String own ? own : host.logLevel());
        progressDue = logWindow = System.nanoTime();
        call = new Call(this, worker.options.reads());
    }

    static int levelOf(String name) {
        int found = LEVELS.indexOf(name);
        return found < 0 ? LEVELS.indexOf("info") : found;
    }

    static Map<String, Object> cancelled() {
        return ProtocolErrors.refusal(NodeException.CANCELLED, "Cancelled", "cancelled");
    }

    Object id() {
        return asked.id();
    }

    boolean isCancelled() {
        return isCancelled;
    }

    Path blobDir() {
        return host.blobDir() == null ? null : Path.of(host.blobDir());
    }

    /** Asks the call to end; what it waits in is interrupted. */
    synchronized void cancel() {
        isCancelled = true;
        if (thread != null) {
            thread.interrupt();
        }
        notifyAll();
    }

    synchronized void grant(long n) {
        if (credit != null) {
            credit += n;
        }
        notifyAll();
    }

    /** Runs the call in this thread. */
    void run() {
        String body = null;
        Throwable thrown = null;
        try {
            enter();
            body = resultBody(worker.handler.handle(call, begin()));
        } catch (Throwable e) { // whatever a handler throws is its call's failure
            thrown = e;
        } finally {
            leave();
        }
        String result = body;
        Map<String, Object> error = thrown == null ? null : mask.error(errorOf(thrown));
        flushProgress();
        call.end();
        worker.end(this, () -> terminal(result, error));
    }

    private byte[] terminal(String body, Map<String, Object> error) {
        Protocol protocol = worker.protocol();
        if (isCancelled) { // whatever it gave comes too late
            return protocol.failure(id(), hasStarted ? cancelled() : ProtocolErrors.unstarted(cancelled()));
        }
        return error != null ? protocol.failure(id(), error) : protocol.result(id(), body);
    }

    private synchronized void enter() throws InterruptedException {
        if (isCancelled) {
            throw new InterruptedException();
        }
        thread = Thread.currentThread();
    }

    private synchronized void leave() {
        thread = null;
        Thread.interrupted(); // one that came too late is not the next call's
    }

    /** The call is refused before the node sees it. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;
        private final transient Map<String, Object> error;

        Refused(Map<String, Object> error) {
            this.error = ProtocolErrors.unstarted(error);
        }
    }

    private static Map<String, Object> errorOf(Throwable thrown) {
        return thrown instanceof Refused refused ? refused.error : ProtocolErrors.of(thrown);
    }

    private Object begin() throws Exception {
        if (asked.deadline() != null && asked.deadline() <= System.currentTimeMillis()) {
            String said = "the deadline had passed when the call arrived";
            throw new Refused(ProtocolErrors.error(NodeException.DEADLINE_EXCEEDED, "NotStarted", said));
        }
        String name = worker.options.name();
        if (!name.isEmpty() && !asked.node().isEmpty() && !asked.node().equals(name)) {
            String shown = asked.node().length() <= 200 ? asked.node() : asked.node().substring(0, 200);
            String said = "this process runs '" + name + "', not '" + shown + "'";
            throw new Refused(ProtocolErrors.refusal(NodeException.UNKNOWN_NODE, "NotStarted", said));
        }
        Object input = asked.mayHoldBlobs() ? ProtocolBlobs.resolve(asked.input(), blobDir()) : asked.input();
        hasStarted = true;
        return input;
    }

    private String resultBody(Object output) throws Exception {
        String data = Json.write(output);
        if (kept != null && chunks == 0 && data.equals("null")) {
            data = "[" + String.join(",", kept) + "]";
            Json.read(data); // the list is one level more
        }
        StringBuilder body = new StringBuilder("\"output\":").append(wire(data));
        body.append(call.written());
        if (chunks > 0) {
            body.append(",\"chunks\":").append(chunks);
        }
        Map<String, Double> metrics = call.metrics();
        if (dropped > 0) {
            metrics.put("dropped", (double) dropped);
        }
        if (!metrics.isEmpty()) {
            body.append(",\"metrics\":").append(Json.write(metrics));
        }
        return body.toString();
    }

    /** What travels: what is long goes into a file, and a node's own keys are told from references. */
    private String wire(String data) throws IOException {
        byte[] bytes = folder != null && data.length() >= host.spillBytes() / 3 ? Json.bytes(data) : null; // 3 bytes a character
        boolean isLong = bytes != null && bytes.length >= host.spillBytes();
        if (!data.contains("blob")) {
            return isLong ? Json.write(ProtocolBlobs.writeJson(folder, bytes)) : data;
        }
        Object value = Json.read(data);
        return Json.write(folder == null ? ProtocolBlobs.escape(value, null) : ProtocolBlobs.putAside(value, folder, host.spillBytes()));
    }

    // --- What a call says on its way ----------------------------------------------------------------------------------

    synchronized void openStream() {
        kept = kept == null ? new ArrayList<>() : kept;
    }

    void chunk(Object value) throws Exception {
        String data = Json.write(value);
        if (!isStreaming) {
            synchronized (this) {
                kept.add(data);
            }
            return;
        }
        data = wire(data);
        awaitCredit();
        String params = "{\"id\":" + Json.write(id()) + ",\"seq\":" + chunks + ",\"data\":" + data + "}";
        if (!worker.tell("stream", "chunk", id(), params)) {
            String said = "a chunk of " + data.length() + " characters is over the cap of a frame";
            throw new NodeException(NodeException.PAYLOAD_TOO_LARGE, said).retryable(false);
        }
        synchronized (this) {
            chunks++;
        }
    }

    private synchronized void awaitCredit() throws InterruptedException {
        while (credit != null && chunks >= credit && !isCancelled) {
            wait();
        }
        if (isCancelled) {
            throw new InterruptedException("the call is to end");
        }
    }

    void log(String level, String message, Map<String, ?> data) {
        if (levelOf(level) < minLevel || !mayLog()) {
            return;
        }
        Map<String, Object> params = new LinkedHashMap<>();
        params.put("id", id());
        params.put("level", level);
        params.put("message", ProtocolErrors.clean(mask.text(String.valueOf(message))));
        if (data != null && !data.isEmpty()) {
            params.put("data", shown(data));
        }
        worker.tell("log", "log", id(), Json.write(params));
    }

    private Object shown(Map<String, ?> data) {
        try {
            return mask.value(Json.read(Json.write(data)));
        } catch (InvalidValueException e) {
            String text = ProtocolErrors.clean(mask.text(String.valueOf(data)));
            return text.length() <= 1000 ? text : ProtocolErrors.clean(text.substring(0, 1000));
        }
    }

    private synchronized boolean mayLog() {
        long now = System.nanoTime();
        if (now - logWindow >= 1_000_000_000L) {
            logWindow = now;
            logs = 0;
        }
        if (++logs > LOGS_A_SECOND) {
            dropped++;
            return false;
        }
        return true;
    }

    void progress(double done, Double total, String message) {
        if (!wantsProgress) {
            return;
        }
        boolean isDue;
        synchronized (this) {
            if (!Double.isFinite(done) || (total != null && !Double.isFinite(total))) {
                dropped++;
                return;
            }
            Map<String, Object> params = new LinkedHashMap<>();
            params.put("id", id());
            params.put("progress", done);
            if (total != null) {
                params.put("total", total);
            }
            if (message != null) {
                params.put("message", ProtocolErrors.clean(mask.text(message)));
            }
            progress = Json.write(params);
            isDue = System.nanoTime() - progressDue >= 0;
        }
        if (isDue) {
            flushProgress();
        }
    }

    private void flushProgress() {
        String told;
        synchronized (this) {
            told = progress;
            progress = null;
            progressDue = System.nanoTime() + PROGRESS_NANOS;
        }
        if (told != null) {
            worker.tell("progress", "progress", id(), told);
        }
    }
}
