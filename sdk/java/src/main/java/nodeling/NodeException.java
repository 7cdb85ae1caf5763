package nodeling;

import java.time.Duration;

/** Why a call has no output, said so that a workflow can act on it. */
public class NodeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public static final int CANCELLED = -32800;
    /** The author's own; the step decides whether to try again. */
    public static final int USER_ERROR = 4000;

    public static final int INVALID_INPUT = 4001;
    public static final int INVALID_CONFIG = 4002;
    public static final int PERMISSION_DENIED = 4003;
    public static final int UNKNOWN_NODE = 4004;
    public static final int PAYLOAD_TOO_LARGE = 4005;
    public static final int INVALID_OUTPUT = 4006;
    public static final int UNSUPPORTED = 4010;
    public static final int TRANSIENT = 5000;
    public static final int RATE_LIMITED = 5001;
    public static final int OVERLOADED = 5002;
    public static final int DEADLINE_EXCEEDED = 5004;
    public static final int DEPENDENCY_UNAVAILABLE = 5005;

    final int code;
    final String name;
    private Boolean isRetryable;
    private Duration wait;
    private transient Object details;

    /** An error with one of the codes, or a number of your own. */
    public NodeException(int code, String message) {
        this(code, null, message, null);
    }

    /** The same, with its cause. */
    public NodeException(int code, String message, Throwable cause) {
        this(code, null, message, cause);
    }

    /** An error with a dotted name of your own in place of the code, as acme.quota. */
    public NodeException(String name, String message) {
        this(USER_ERROR, name, message, null);
    }

    private NodeException(int code, String name, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.name = name;
    }

    /** Says whether it makes sense to try again; unsaid, the code decides. */
    public NodeException retryable(boolean isRetryable) {
        this.isRetryable = isRetryable;
        return this;
    }

    /** Says when it makes sense to try again. */
    public NodeException retryAfter(Duration wait) {
        this.wait = wait;
        return this;
    }

    /** Adds what a program can read: a JSON value. */
    public NodeException details(Object details) {
        this.details = details;
        return this;
    }

    Boolean isRetryable() {
        return isRetryable;
    }

    Duration retryAfter() {
        return wait;
    }

    Object details() {
        return details;
    }
}
