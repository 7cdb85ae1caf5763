package nodeling;

/** What a node does: an input and what came with it to an output. Calls may overlap, each in a thread of its own. */
@FunctionalInterface
public interface Handler<I, O> {
    O handle(Call call, I input) throws Exception;
}
