package nodeling;

import static nodeling.Runner.check;
import static nodeling.Runner.same;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

final class WorkerTest {
    private static final long PATIENCE = 30; // seconds; a slow machine is no fault

    /** Talks to a worker in this process. */
    private static final class Host implements AutoCloseable {
        private final PipedOutputStream in = new PipedOutputStream();
        private final BlockingQueue<Map<String, Object>> frames = new LinkedBlockingQueue<>();
        private final FutureTask<Integer> status;

        Host(int concurrency, Handler<Object, ?> handler) throws IOException {
            PipedInputStream toNode = new PipedInputStream(in, 1 << 16);
            PipedOutputStream fromNode = new PipedOutputStream();
            PipedInputStream out = new PipedInputStream(fromNode, 1 << 16);
            Nodeling.Options options = new Nodeling.Options("", "1", concurrency, Set.of("vars.known"));
            Worker worker = new Worker(new WorkerChannel(toNode, fromNode), options, handler);
            status = new FutureTask<>(worker::serve);
            start(status);
            start(() -> read(new BufferedReader(new InputStreamReader(out, StandardCharsets.UTF_8))));
        }

        void send(String frame) throws IOException {
            in.write(Json.bytes(frame + "\n"));
            in.flush();
        }

        void hello() throws Exception {
            send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node/hello\",\"params\":{\"protocol\":[1],\"features\":[\"log\",\"stream\",\"credit\",\"cancel\"]}}");
            same(next().get("id"), 1L);
        }

        void invoke(int id, String params) throws IOException {
            send("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"method\":\"node/invoke\",\"params\":{" + params + "}}");
        }

        private static void start(Runnable work) {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            thread.start();
        }

        private void read(BufferedReader out) {
            try {
                for (String line = out.readLine(); line != null; line = out.readLine()) {
                    frames.add(Protocol.map(Json.read(line)));
                }
            } catch (IOException e) {
                return; // the writing thread is gone, which ends a pipe of this kind
            }
        }

        Map<String, Object> next() throws InterruptedException {
            Map<String, Object> frame = frames.poll(PATIENCE, TimeUnit.SECONDS);
            check(frame != null, "nothing came");
            return frame;
        }

        Map<String, Object> result() throws Exception {
            Map<String, Object> frame = next();
            check(frame.containsKey("result"), frame);
            return Protocol.map(frame.get("result"));
        }

        Map<String, Object> error() throws Exception {
            Map<String, Object> frame = next();
            check(frame.containsKey("error"), frame);
            return Protocol.map(frame.get("error"));
        }

        @Override
        public void close() throws Exception {
            in.close();
            status.get(PATIENCE, TimeUnit.SECONDS);
        }
    }

    void aCancelInterruptsTheHandlerAndTheNextCallIsNotHurt() throws Exception {
        try (Host host = new Host(1, (call, input) -> {
            if ("wait".equals(input)) {
                call.log("started");
                new CountDownLatch(1).await();
            }
            Thread.sleep(1);
            return input;
        })) {
            host.hello();
            host.invoke(2, "\"input\":\"wait\"");
            same(host.next().get("method"), "node/log");
            host.send("{\"jsonrpc\":\"2.0\",\"method\":\"node/cancel\",\"params\":{\"id\":2}}");
            same(host.error().get("code"), -32800L);
            host.invoke(3, "\"input\":\"next\"");
            same(host.result().get("output"), "next");
        }
    }

    void callsOverlapAsFarAsThereArePlaces() throws Exception {
        CountDownLatch both = new CountDownLatch(2);
        try (Host host = new Host(2, (call, input) -> {
            both.countDown();
            check(both.await(PATIENCE, TimeUnit.SECONDS), "alone");
            return input;
        })) {
            host.invoke(2, "\"input\":1");
            host.invoke(3, "\"input\":2");
            same(Set.of(host.result().get("output"), host.result().get("output")), Set.of(1L, 2L));
        }
    }

    void whateverIsThrownFailsItsOwnCallAlone() throws Exception {
        try (Host host = new Host(1, (call, input) -> {
            if (input instanceof String) {
                throw new StackOverflowError("deep");
            }
            return Nodeling.converted(input, Long.class);
        })) {
            host.invoke(2, "\"input\":\"x\"");
            Map<String, Object> error = host.error();
            same(error.get("code"), 4000L);
            same(ProtocolErrors.data(error).get("type"), "StackOverflowError");
            check(((String) ProtocolErrors.data(error).get("traceback")).contains("WorkerTest"), error);
            host.invoke(3, "\"input\":[]");
            same(host.error().get("code"), 4001L);
            host.invoke(4, "\"input\":7");
            same(host.result().get("output"), 7L);
        }
    }

    void chunksWaitForCreditAndAreCounted() throws Exception {
        try (Host host = new Host(1, (call, input) -> {
            Call.Stream parts = call.stream();
            for (int i = 0; i < 3; i++) {
                parts.send(i);
            }
            return null;
        })) {
            host.hello();
            host.invoke(2, "\"_meta\":{\"stream\":{\"credit\":1}}");
            same(Protocol.map(host.next().get("params")).get("seq"), 0L);
            host.send("{\"jsonrpc\":\"2.0\",\"method\":\"node/credit\",\"params\":{\"id\":2,\"n\":5}}");
            host.next();
            host.next();
            Map<String, Object> result = host.result();
            same(result.get("chunks"), 3L);
            same(result.get("output"), null);
            host.invoke(3, "");
            same(host.result().get("output"), List.of(0L, 1L, 2L));
        }
    }

    void theContextIsReadAsFarAsItWasSentAndWrittenAsADelta() throws Exception {
        try (Host host = new Host(1, (call, input) -> {
            call.set("made", Map.of("$blob", 1));
            call.delete("gone");
            return java.util.Arrays.asList(call.get((String) input), call.get("made"), call.get("gone"));
        })) {
            host.invoke(2, "\"input\":\"sent\",\"context\":{\"vars\":{\"sent\":null}}");
            Map<String, Object> result = host.result();
            same(result.get("vars"), Map.of("made", Map.of("$blob", 1L)));
            same(result.get("deleted"), List.of("gone"));
            host.invoke(3, "\"input\":\"known\"");
            host.result();
            host.invoke(4, "\"input\":\"other\"");
            same(ProtocolErrors.data(host.error()).get("code"), "context.not_sent");
        }
    }

    void aLongValueThatHoldsAReferenceIsPutAsideInParts() throws Exception {
        Path folder = Files.createTempDirectory("blobs-");
        Files.writeString(folder.resolve("given"), "x");
        String given = "{\"$blob\":{\"path\":\"given\",\"size\":1,\"media_type\":\"text/plain\",\"encoding\":\"raw\"}}";
        try (Host host = new Host(1, (call, input) -> {
            same(((Blob) input).path(), "given");
            return Map.of("given", input, "long", List.of("z".repeat(500), Map.of("$blob", 1)), "$blob", "mine");
        })) {
            host.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node/hello\",\"params\":{\"protocol\":[1],\"features\":[\"blob\"],\"limits\":"
                    + "{\"spill_bytes\":300},\"blob_dir\":" + Json.write(folder) + "}}");
            host.next();
            host.invoke(2, "\"input\":" + given);
            Map<String, Object> output = Protocol.map(host.result().get("output"));
            same(output.get("given"), Json.read(given));
            same(output.get("$$blob"), "mine");
            String name = (String) Protocol.map(Protocol.map(output.get("long")).get("$blob")).get("path");
            same(Files.readString(folder.resolve(name)), "[\"" + "z".repeat(500) + "\",{\"$blob\":1}]");
            Files.delete(folder.resolve(name));
        }
        Files.delete(folder.resolve("given"));
        Files.delete(folder);
    }

    void aShutdownWaitsForTheLastCallAndRefusesNewOnes() throws Exception {
        CountDownLatch release = new CountDownLatch(1);
        Host host = new Host(1, (call, input) -> {
            call.log("started");
            release.await();
            return 1;
        });
        host.hello();
        host.invoke(2, "");
        same(host.next().get("method"), "node/log");
        host.send("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"node/shutdown\",\"params\":{\"grace_ms\":1}}");
        host.invoke(4, "");
        same(host.error().get("code"), 5002L);
        release.countDown();
        same(host.result().get("output"), 1L);
        same(host.result(), Map.of());
        same(host.status.get(PATIENCE, TimeUnit.SECONDS), 0);
    }

    void theChannelsEndEndsAWorkerWhoseHandlerIsBusy() throws Exception {
        CountDownLatch release = new CountDownLatch(1);
        Host host = new Host(1, (call, input) -> {
            call.log("started");
            while (release.getCount() > 0) {
                Thread.onSpinWait();
            }
            return null;
        });
        host.hello();
        host.invoke(2, "");
        host.next();
        host.in.close();
        same(host.status.get(PATIENCE, TimeUnit.SECONDS), 0);
        release.countDown();
    }

    void aHandlerRunsInAUnitTestWithoutAHost() throws Exception {
        Call call = Call.detached();
        call.log("nobody reads this", Map.of("a", 1));
        call.progress(1, 2, "x");
        call.metric("rows", 1);
        call.stream().send(1);
        call.set("y", 1);
        same(call.get("y"), 1L);
        same(call.get("x"), null);
    }

    void optionsAreReadInBothForms() {
        Nodeling.Options found = Nodeling.Options.of(new String[] {"--name=a=b", "--concurrency", "3", "--reads", "vars.a,vars.b"});
        same(found, new Nodeling.Options("a=b", "0.0.0", 3, Set.of("vars.a", "vars.b")));
        for (String[] wrong : new String[][] {{"--nmae=x"}, {"name"}, {"--name"}, {"--concurrency=0"}}) {
            try {
                Nodeling.Options.of(wrong);
            } catch (IllegalArgumentException e) {
                continue;
            }
            check(false, List.of(wrong) + " was taken");
        }
    }
}
