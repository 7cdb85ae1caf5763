package nodeling;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * What the calls of one process share. Its monitor covers the conversation and what is written, so that nothing is said of a
 * call behind its terminal frame.
 */
final class Worker {
    private static final long EXIT_GRACE_MS = 1000; // what running handlers get, once told, to clean up behind themselves

    final Nodeling.Options options;
    final Handler<Object, ?> handler;
    private final WorkerChannel channel;
    private final Protocol protocol;
    private final Map<Object, WorkerCall> calls = new HashMap<>(); // those that have not ended
    private final Deque<WorkerCall> queue = new ArrayDeque<>(); // of them, those that wait for a thread
    private Protocol.Greeting host = new Protocol.Greeting(null, Protocol.SPILL_BYTES, ProtocolFrames.MAX_FRAME_BYTES, "info");
    private int threads;
    private int idle;
    private boolean isGone; // the host is; nothing is written any more
    private Protocol.Shutdown drain; // what to answer with the end of the last call
    private final CountDownLatch finished = new CountDownLatch(1);

    Worker(WorkerChannel channel, Nodeling.Options options, Handler<Object, ?> handler) {
        this.channel = channel;
        this.options = options;
        this.handler = handler;
        protocol = new Protocol(options.name(), options.version(), options.concurrency());
    }

    Protocol protocol() {
        return protocol;
    }

    /** Serves until the host is gone or says that it is enough; the exit status. */
    int serve() {
        int[] status = {0};
        Thread reader = new Thread(() -> status[0] = read(), "nodeling-reader");
        reader.setDaemon(true);
        reader.start();
        await(Long.MAX_VALUE);
        return status[0];
    }

    private int read() {
        while (true) {
            int length = channel.read();
            if (length == 0) {
                hungUp();
                return 0;
            }
            if (!receive(length)) {
                finish(null);
                return 1;
            }
        }
    }

    private synchronized boolean receive(int length) {
        List<Protocol.Event> events = protocol.receive(channel.buffer, length);
        write(protocol.take());
        if (events != null) {
            events.forEach(this::heed);
        }
        return events != null;
    }

    private void heed(Protocol.Event event) {
        if (event instanceof Protocol.Greeting greeting) {
            host = greeting;
        } else if (event instanceof Protocol.Invoke invoke) {
            WorkerCall call = new WorkerCall(this, invoke, host, protocol);
            calls.put(invoke.id(), call);
            queue.add(call);
            if (queue.size() <= idle) {
                notify(); // the idle threads alone wait here
            } else if (threads < options.concurrency()) {
                threads++;
                Thread thread = new Thread(this::work, "nodeling-call-" + threads);
                thread.setDaemon(true);
                thread.start();
            }
        } else if (event instanceof Protocol.Cancel cancel) {
            cancel(cancel.id());
        } else if (event instanceof Protocol.Credit credit && calls.containsKey(credit.id())) {
            calls.get(credit.id()).grant(credit.n());
        } else if (event instanceof Protocol.Shutdown shutdown) {
            drain = shutdown;
            settle();
        }
    }

    private void cancel(Object id) {
        WorkerCall call = calls.get(id);
        if (call == null) {
            return;
        }
        call.cancel();
        if (queue.remove(call)) {
            calls.remove(id);
            write(protocol.failure(id, ProtocolErrors.unstarted(WorkerCall.cancelled())));
            settle();
        }
    }

    /** The life of a thread that runs calls. */
    private void work() {
        while (true) {
            next().run();
        }
    }

    private synchronized WorkerCall next() {
        idle++;
        while (queue.isEmpty()) {
            try {
                wait();
            } catch (InterruptedException e) {
                continue; // a cancel that came too late; there is no call to end
            }
        }
        idle--;
        return queue.remove();
    }

    /** Writes a call's terminal frame. */
    synchronized void end(WorkerCall call, Supplier<byte[]> frame) {
        write(frame.get());
        calls.remove(call.id());
        settle();
    }

    /** Answers node/shutdown when nothing is left to do. */
    private void settle() {
        if (calls.isEmpty() && (drain != null || isGone)) {
            finish(drain);
            drain = null;
        }
    }

    private synchronized void finish(Protocol.Shutdown asked) {
        if (asked != null) {
            protocol.reply(asked.id(), "{}");
            write(protocol.take());
        }
        finished.countDown();
    }

    /** Writes a notification of a call; whether it went out. */
    synchronized boolean tell(String feature, String event, Object id, String params) {
        byte[] frame = protocol.tell(feature, event, id, params);
        if (frame != null) {
            write(frame);
        }
        return frame != null;
    }

    private void write(byte[] data) {
        if (data.length > 0 && !isGone && !channel.write(data)) {
            Runtime.getRuntime().halt(1); // nobody listens any more
        }
    }

    /** Ends what still runs: the host is gone. A handler that does not end goes with the process. */
    private void hungUp() {
        synchronized (this) {
            isGone = true;
            queue.forEach(call -> calls.remove(call.id()));
            queue.clear();
            new ArrayList<>(calls.values()).forEach(WorkerCall::cancel);
            settle();
        }
        await(EXIT_GRACE_MS);
        finish(null);
    }

    private void await(long ms) {
        try {
            finished.await(ms, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // whoever does that wants this thread to go on
        }
    }
}
