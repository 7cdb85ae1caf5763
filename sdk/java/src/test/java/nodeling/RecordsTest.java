package nodeling;

import static nodeling.Runner.same;

import java.util.List;
import java.util.Map;
import java.util.Optional;

final class RecordsTest {
    private enum Kind {
        SMALL,
        LARGE
    }

    private record Item(String name, int many, Optional<Double> price) {}

    private record Order(List<Item> items, Map<String, Long> counts, Kind kind, Object more, boolean isUrgent, Double weight) {}

    private static String refusal(String json, Class<?> type) {
        try {
            Records.convert(Json.read(json), type, "");
            return null;
        } catch (IllegalArgumentException e) {
            return e.getMessage();
        }
    }

    void aRecordIsMadeOfAnObject() {
        String json = "{\"items\":[{\"name\":\"a\",\"many\":2},{\"name\":\"b\",\"many\":3.0,\"price\":1}],\"counts\":{\"x\":1},"
                + "\"kind\":\"LARGE\",\"more\":{\"k\":[null]},\"isUrgent\":true,\"weight\":2,\"unknown\":1}";
        Order order = (Order) Records.convert(Json.read(json), Order.class, "");
        List<Item> items = List.of(new Item("a", 2, Optional.empty()), new Item("b", 3, Optional.of(1.0)));
        same(order, new Order(items, Map.of("x", 1L), Kind.LARGE, Json.read("{\"k\":[null]}"), true, 2.0));
    }

    void whatDoesNotFitIsToldWithItsPlace() {
        same(refusal("{\"name\":\"a\"}", Item.class), "/many is missing, and of type int, which cannot be null");
        same(refusal("{\"name\":\"a\",\"many\":1.5}", Item.class), "/many is 1.5, not of type int");
        same(refusal("{\"name\":\"a\",\"many\":4294967296}", Item.class), "/many is 4294967296, not of type int");
        same(refusal("{\"name\":[],\"many\":1}", Item.class), "/name is a list, not of type String");
        same(refusal("{\"items\":[{\"name\":7,\"many\":1}]}", Order.class), "/items/0/name is 7, not of type String");
        same(refusal("[1]", Item.class), "it is a list, not an object");
    }
}
