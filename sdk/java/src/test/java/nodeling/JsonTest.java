package nodeling;

import static nodeling.Runner.check;
import static nodeling.Runner.same;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

final class JsonTest {
    private static String kindOf(Runnable what) {
        try {
            what.run();
            return null;
        } catch (InvalidValueException e) {
            return e.kind + " " + e.pointer;
        }
    }

    void theSharedVectorsAreTakenOrRefusedAsEverywhere() throws IOException {
        Path file = Path.of("../../tests/unit/value_vectors.json");
        if (!Files.exists(file)) {
            System.out.println("skipped: the shared vectors are not beside this copy of the SDK");
            return;
        }
        // Written for readers that take anything, the file itself holds escaped halves of characters.
        JsonReader reader = new JsonReader(Files.readString(file), Json.MAX_DEPTH + 8);
        List<?> all = (List<?>) Protocol.map(reader.whole()).get("decode");
        check(all.size() > 50, all.size());
        for (Object one : all) {
            Map<String, Object> vector = Protocol.map(one);
            String found = kindOf(() -> {
                byte[] data = dataOf(vector);
                Json.read(Json.text(data, 0, data.length));
            });
            String name = (String) vector.get("name");
            if (!vector.containsKey("kind")) {
                check(found == null, name + ": " + found);
            } else if (vector.get("kind").equals("nan")) { // no JSON at all; other readers know the word
                check("syntax ".equals(found), name + ": " + found);
            } else if (name.equals("a lone surrogate in a key")) {
                check(found.startsWith("surrogate"), name + ": " + found);
            } else {
                same(name + ": " + found, name + ": " + vector.get("kind") + " " + vector.get("pointer"));
            }
        }
    }

    private static byte[] dataOf(Map<String, Object> vector) {
        if (vector.get("hex") instanceof String hex) {
            return HexFormat.of().parseHex(hex);
        }
        if (vector.get("text") instanceof String text) {
            return Json.bytes(text);
        }
        StringBuilder found = new StringBuilder();
        for (Object piece : (List<?>) vector.get("text")) {
            List<?> pair = (List<?>) piece;
            found.append(((String) pair.get(0)).repeat(((Long) pair.get(1)).intValue()));
        }
        return Json.bytes(found.toString());
    }

    private record Inner(double f) {}

    void whatCannotTravelIsRefusedWhereItStands() {
        Map<String, Object> self = new LinkedHashMap<>();
        self.put("self", self);
        Map<String, Object> cases = new LinkedHashMap<>();
        cases.put("nan /0/f", List.of(new Inner(Double.NaN)));
        cases.put("nan /a~1b", Map.of("a/b", Float.NEGATIVE_INFINITY));
        cases.put("integer /n", Map.of("n", 1L << 53));
        cases.put("integer /0", List.of(BigInteger.TWO.pow(64)));
        cases.put("number /0", List.of(BigDecimal.TEN.pow(400)));
        cases.put("key /a", Map.of("a", Map.of(1, 2)));
        cases.put("type /0", Arrays.asList(new Object()));
        cases.put("type /b", Map.of("b", new byte[] {1}));
        cases.put("surrogate /s", Map.of("s", "a\ud800"));
        cases.put("surrogate ", Map.of("\udc00", 1));
        cases.put("depth " + "/self".repeat(Json.MAX_DEPTH), self);
        cases.forEach((wanted, value) -> same(kindOf(() -> Json.write(value)), wanted));
    }

    private enum Colour {
        RED
    }

    private record Point(int x, Double y) {}

    void whatTheJdkHasIsWrittenAsOneWouldExpect() {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("a", new int[] {1, 2});
        value.put("b", new Point(3, null));
        value.put("c", Colour.RED);
        value.put("d", java.time.LocalDate.of(2024, 2, 3));
        value.put("e", java.util.Optional.of("x"));
        value.put("f", new java.util.concurrent.atomic.AtomicLong(7));
        value.put("g", 1e17);
        value.put("h", 5.0);
        value.put("i", "\"\\\n\u0001\u2028é😀");
        same(
                Json.write(value),
                "{\"a\":[1,2],\"b\":{\"x\":3,\"y\":null},\"c\":\"RED\",\"d\":\"2024-02-03\",\"e\":\"x\",\"f\":7,\"g\":1.0E17,\"h\":5.0,"
                        + "\"i\":\"\\\"\\\\\\u000a\\u0001\u2028é😀\"}");
    }

    private static Object random(Random random, int depth) {
        int kind = random.nextInt(depth > 0 ? 9 : 7);
        switch (kind) {
            case 0:
                return null;
            case 1:
                return random.nextBoolean();
            case 2:
                return random.nextLong() % (Json.MAX_INTEGER + 1);
            case 3:
                return random.nextGaussian() * Math.pow(10, random.nextInt(600) - 300);
            case 4:
                return (double) random.nextInt();
            case 5, 6:
                StringBuilder text = new StringBuilder("$".repeat(random.nextInt(3)) + (random.nextBoolean() ? "blob" : ""));
                random.ints(random.nextInt(5), 0, 0x11000).filter(c -> c < 0xD800 || c > 0xDFFF).forEach(text::appendCodePoint);
                return text.toString();
            case 7:
                Object[] items = new Object[random.nextInt(4)];
                Arrays.setAll(items, i -> random(random, depth - 1));
                return Arrays.asList(items);
            default:
                Map<String, Object> members = new LinkedHashMap<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    members.put("$".repeat(random.nextInt(4)) + (random.nextBoolean() ? "blob" : "k" + i), random(random, depth - 1));
                }
                return members;
        }
    }

    void everyValueComesBackAsItWentAndNoneIsTakenForABlob() throws IOException {
        Random random = new Random(5);
        for (int i = 0; i < 20_000; i++) {
            Object value = random(random, 4);
            same(Json.read(Json.write(value)), value);
            Object wire = Json.read(Json.write(ProtocolBlobs.escape(value, null)));
            same(ProtocolBlobs.resolve(wire, null), value);
        }
    }

    void onlyWholeMembersOfABeginningAreKnown() {
        String whole = "{\"jsonrpc\":\"2.0\",\"id\":1234,\"params\":{\"a\":[1,{\"b\":\"}\"}]},\"method\":\"x\"}";
        for (int cut = 0; cut < whole.length(); cut++) {
            Object id = JsonReader.head(whole.substring(0, cut), Json.MAX_DEPTH).get("id");
            check(id == null || id.equals(1234L), "cut at " + cut + " the id is " + id);
        }
        same(JsonReader.head(whole, Json.MAX_DEPTH).keySet(), new java.util.LinkedHashSet<>(List.of("jsonrpc", "id", "params", "method")));
    }

    void secretsAreMaskedTheLongestFirst() {
        WorkerMask mask = new WorkerMask(List.of("abc", "abcdef", "first-line-x\nno", " "));
        Map<String, Object> found = Protocol.map(mask.value(Map.of("k abcdef", Arrays.asList("abc", "first-line-x", "no", 1, null))));
        same(found, Collections.singletonMap("k ***", Arrays.asList("***", "***", "no", 1, null)));
    }
}
