package nodeling;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Runs the tests, which are methods without arguments; its exit status says whether all passed. */
public final class Runner {
    private static final List<Class<?>> TESTS = List.of(JsonTest.class, RecordsTest.class, ProtocolTest.class, WorkerTest.class);

    private Runner() {}

    public static void main(String[] args) throws ReflectiveOperationException {
        int ran = 0;
        int failed = 0;
        for (Class<?> tests : TESTS) {
            Method[] methods = tests.getDeclaredMethods();
            Arrays.sort(methods, Comparator.comparing(Method::getName));
            for (Method method : methods) {
                if (method.isSynthetic() || method.getParameterCount() > 0 || java.lang.reflect.Modifier.isPrivate(method.getModifiers())) {
                    continue;
                }
                ran++;
                try {
                    method.invoke(tests.getDeclaredConstructor().newInstance());
                } catch (InvocationTargetException e) {
                    failed++;
                    System.out.println("FAILED " + tests.getSimpleName() + "." + method.getName());
                    e.getCause().printStackTrace(System.out);
                }
            }
        }
        System.out.println(ran + " tests, " + failed + " failed");
        System.exit(failed > 0 || ran == 0 ? 1 : 0);
    }

    static void check(boolean holds, Object said) {
        if (!holds) {
            throw new AssertionError(said);
        }
    }

    static void same(Object found, Object wanted) {
        check(wanted == null ? found == null : wanted.equals(found), found + "\n  is not\n" + wanted);
    }
}
