package nodeling;

import static nodeling.Runner.check;
import static nodeling.Runner.same;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

final class ProtocolTest {
    private static List<String> lines(byte[] data, int step) {
        ProtocolFrames frames = new ProtocolFrames();
        frames.max = 8;
        List<String> found = new ArrayList<>();
        for (int at = 0; at < data.length; at += step) {
            byte[] piece = Arrays.copyOfRange(data, at, Math.min(data.length, at + step));
            boolean ok = frames.feed(piece, piece.length, (bytes, from, to, size) -> {
                found.add(new String(bytes, from, Math.min(to - from, 8), StandardCharsets.UTF_8) + " " + size);
            });
            if (!ok) {
                found.add("lost");
                break;
            }
        }
        return found;
    }

    void linesAreTheSameHoweverTheyAreCut() {
        Random random = new Random(1);
        for (int i = 0; i < 3000; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = random.nextInt(6); n >= 0; n--) {
                text.append("x".repeat(random.nextInt(14))).append(List.of("\n", "\r\n", "\n\n").get(random.nextInt(3)));
            }
            byte[] data = Json.bytes(text.toString());
            same(lines(data, 1 + random.nextInt(4)), lines(data, data.length));
        }
    }

    void anEndlessLineIsGivenUpInBoundedMemory() {
        ProtocolFrames frames = new ProtocolFrames();
        frames.max = 100_000;
        byte[] piece = Json.bytes("x".repeat(10_000));
        int n = 0;
        while (frames.feed(piece, piece.length, (bytes, from, to, size) -> check(false, "a line came"))) {
            check(frames.heldBytes() <= 210_000 && ++n < 100, frames.heldBytes() + " bytes after " + n);
        }
        same(n, 40);
    }

    private static String answer(Protocol protocol, String line) {
        byte[] data = Json.bytes(line + "\n");
        List<Protocol.Event> events = protocol.receive(data, data.length);
        String said = new String(protocol.take(), StandardCharsets.UTF_8);
        return events.isEmpty() ? said : events.get(0).getClass().getSimpleName() + " " + said;
    }

    void theEnvelopeNamesNothingTwiceAndOfAPayloadsKeysTheLastWins() {
        Protocol protocol = new Protocol("n", "1", 1);
        String twice = answer(protocol, "{\"jsonrpc\":\"2.0\",\"id\":2,\"id\":3,\"method\":\"node/ping\"}");
        check(twice.contains("\"id\":null") && twice.contains("-32600"), twice);
        byte[] data = Json.bytes("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"node/invoke\",\"params\":{\"input\":{\"a\":1,\"a\":2}}}\n");
        Protocol.Invoke invoke = (Protocol.Invoke) protocol.receive(data, data.length).get(0);
        same(invoke.input(), Map.of("a", 2L));
    }

    void whatIsOutsideTheProfileIsRefusedByItsId() {
        Protocol protocol = new Protocol("n", "1", 1);
        for (String value : List.of("9007199254740992", "\"\\ud800\"", "1e999", "[".repeat(65) + "]".repeat(65), "[".repeat(100_000) + "]".repeat(100_000))) {
            String said = answer(protocol, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"node/invoke\",\"params\":{\"input\":" + value + "}}");
            check(said.contains("\"id\":7") && said.contains("4001"), said);
        }
    }

    void noAnswerIsGivenTwice() {
        Protocol protocol = new Protocol("n", "1", 1);
        String call = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"node/invoke\",\"params\":{}}";
        same(answer(protocol, call), "Invoke ");
        same(answer(protocol, call), "");
        same(new String(protocol.result(7L, "\"output\":1"), StandardCharsets.UTF_8), "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"output\":1}}\n");
        same(protocol.result(7L, "\"output\":2").length, 0);
    }

    void anErrorFitsItsLimits() {
        String trace = ProtocolErrors.lastBytes("x" + "é".repeat(ProtocolErrors.MAX_TRACEBACK), ProtocolErrors.MAX_TRACEBACK);
        check(Json.bytes(trace).length <= ProtocolErrors.MAX_TRACEBACK && trace.charAt(0) == 'é', trace.length());
        Throwable deep = null;
        for (int i = 9; i > 0; i--) {
            deep = new IllegalStateException("cause " + i, deep);
        }
        Object cause = ProtocolErrors.data(ProtocolErrors.of(new RuntimeException("x", deep))).get("cause");
        int levels = 0;
        for (; cause != null; levels++) {
            cause = Protocol.map(cause).get("cause");
        }
        same(levels, 5);
        same(ProtocolErrors.of(new NodeException(9003, "x")).get("code"), 4000);
        Map<String, Object> odd = ProtocolErrors.of(new NodeException(4000, "x\ud800").details(new Object()));
        check(((String) odd.get("message")).contains("cannot travel"), odd);
        Json.write(odd);
    }
}
