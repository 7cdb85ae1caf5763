package nodeling;

/** A value may not travel; it says which, and where in the whole it stands. */
public final class InvalidValueException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The rule that is broken: syntax, encoding, integer, number, nan, depth, surrogate, key, type, circular. */
    final String kind;

    /** A JSON pointer. */
    final String pointer;

    InvalidValueException(String kind, String pointer, String message) {
        super(pointer.isEmpty() ? message : message + " (at " + pointer + ")", null, false, false);
        this.kind = kind;
        this.pointer = pointer;
    }
}
