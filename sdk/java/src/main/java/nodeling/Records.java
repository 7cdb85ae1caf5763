package nodeling;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Makes what a handler declares of what {@link Json#read} gives: records, and what their components may be. */
final class Records {
    private Records() {}

    /**
     * @throws IllegalArgumentException the value does not fit; it says where
     */
    static Object convert(Object value, Type type, String at) {
        if (type instanceof ParameterizedType generic) {
            return generic(value, generic, at);
        }
        if (!(type instanceof Class<?> kind)) {
            throw new IllegalArgumentException("a component of type " + type.getTypeName() + " cannot be read from JSON");
        }
        if (value == null) {
            if (kind.isPrimitive()) {
                throw misfit(at, "missing, and of type " + kind.getName() + ", which cannot be null");
            }
            return kind == Optional.class ? Optional.empty() : null;
        }
        if (kind.isRecord() && !(value instanceof Blob)) {
            return record(value, kind, at);
        }
        if (kind.isEnum()) {
            return word(value, kind, at);
        }
        return scalar(value, kind, at);
    }

    private static Object scalar(Object value, Class<?> kind, String at) {
        if (kind.isInstance(value)) {
            return value;
        }
        if (value instanceof Number number && (kind == double.class || kind == Double.class)) {
            return number.doubleValue();
        }
        if (value instanceof Number number && (kind == float.class || kind == Float.class)) {
            return number.floatValue();
        }
        Long whole = value instanceof Long n ? n : value instanceof Double d && d == Math.rint(d) && Math.abs(d) < 1L << 53 ? d.longValue() : null;
        if (whole != null && (kind == long.class || kind == Long.class)) {
            return whole;
        }
        if (whole != null && whole == whole.intValue() && (kind == int.class || kind == Integer.class)) {
            return whole.intValue();
        }
        if (value instanceof Boolean && kind == boolean.class) {
            return value;
        }
        throw misfit(at, shown(value) + ", not of type " + kind.getSimpleName());
    }

    private static Object generic(Object value, ParameterizedType type, String at) {
        Type[] inner = type.getActualTypeArguments();
        Class<?> kind = (Class<?>) type.getRawType();
        if (kind == Optional.class) {
            return Optional.ofNullable(value == null ? null : convert(value, inner[0], at));
        }
        if (value == null) {
            return null;
        }
        if (value instanceof List<?> list && kind.isAssignableFrom(List.class)) {
            List<Object> found = new ArrayList<>(list.size());
            for (Object item : list) {
                found.add(convert(item, inner[0], at + "/" + found.size()));
            }
            return found;
        }
        if (value instanceof Map<?, ?> map && kind.isAssignableFrom(Map.class)) {
            Map<Object, Object> found = new LinkedHashMap<>();
            map.forEach((key, item) -> found.put(key, convert(item, inner[1], at + "/" + Json.escaped((String) key))));
            return found;
        }
        throw misfit(at, shown(value) + ", not of type " + kind.getSimpleName());
    }

    private static Object record(Object value, Class<?> kind, String at) {
        if (!(value instanceof Map<?, ?> map)) {
            throw misfit(at, shown(value) + ", not an object");
        }
        RecordComponent[] components = kind.getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        Object[] values = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            String name = components[i].getName();
            types[i] = components[i].getType();
            values[i] = convert(map.get(name), components[i].getGenericType(), at + "/" + Json.escaped(name));
        }
        try {
            Constructor<?> constructor = kind.getDeclaredConstructor(types);
            constructor.setAccessible(true);
            return constructor.newInstance(values);
        } catch (InvocationTargetException e) {
            throw misfit(at, "refused: " + e.getCause().getMessage());
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException("a " + kind.getName() + " cannot be made: " + e, e);
        }
    }

    private static Object word(Object value, Class<?> kind, String at) {
        for (Object constant : kind.getEnumConstants()) {
            if (((Enum<?>) constant).name().equals(value)) {
                return constant;
            }
        }
        throw misfit(at, shown(value) + ", not one of " + Set.of(kind.getEnumConstants()));
    }

    private static String shown(Object value) {
        if (value instanceof Map) {
            return "an object";
        }
        if (value instanceof List) {
            return "a list";
        }
        String text = String.valueOf(value);
        return text.length() <= 60 ? text : text.substring(0, 57) + "...";
    }

    private static IllegalArgumentException misfit(String at, String what) {
        return new IllegalArgumentException((at.isEmpty() ? "it" : at) + " is " + what);
    }
}
