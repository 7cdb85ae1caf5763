package nodeling;

import java.util.Arrays;

/** Cuts a byte stream into lines, in memory bounded by the cap on one line. */
final class ProtocolFrames {
    static final int MAX_FRAME_BYTES = 16 << 20;
    static final int SKIP_FACTOR = 4; // a longer line is not skipped any more: whoever writes it is broken
    static final int HEAD_BYTES = 4 << 10; // what is kept of a line that is skipped, to find its id in

    /** Takes a line; of one over the cap, its head, with its size. */
    interface Sink {
        void line(byte[] data, int from, int to, long size);
    }

    int max = MAX_FRAME_BYTES;
    private byte[] held = new byte[1024]; // of a line that has not ended
    private int kept;
    private long size;

    int heldBytes() {
        return held.length;
    }

    /** Takes the next bytes, gives each line that they end; false when nothing can be read any more. */
    boolean feed(byte[] data, int length, Sink sink) {
        int start = 0;
        for (int i = 0; i < length; i++) {
            if (data[i] != '\n') {
                continue;
            }
            if (size > 0) {
                hold(data, start, i);
                if (!give(held, 0, kept, size, sink)) {
                    return false;
                }
                letGo();
            } else if (!give(data, start, i, i - start, sink)) {
                return false;
            }
            start = i + 1;
        }
        hold(data, start, length);
        return size <= (long) SKIP_FACTOR * max;
    }

    private boolean give(byte[] data, int from, int to, long whole, Sink sink) {
        if (whole > (long) SKIP_FACTOR * max) {
            return false;
        }
        if (whole <= max + 1L && to > from && data[to - 1] == '\r') {
            to--;
            whole--;
        }
        if (whole > max) {
            sink.line(data, from, Math.min(to, from + HEAD_BYTES), whole);
        } else if (!isBlank(data, from, to)) {
            sink.line(data, from, to, whole);
        }
        return true;
    }

    private static boolean isBlank(byte[] data, int from, int to) {
        for (int i = from; i < to; i++) {
            if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r') {
                return false;
            }
        }
        return true;
    }

    private void hold(byte[] data, int from, int to) {
        size += to - from;
        if (size > max + 1L) { // one more, which may be a carriage return
            int wanted = Math.min(HEAD_BYTES - Math.min(kept, HEAD_BYTES), to - from);
            append(data, from, from + wanted);
            kept = Math.min(kept, HEAD_BYTES);
            if (held.length > HEAD_BYTES) {
                held = Arrays.copyOf(held, HEAD_BYTES);
            }
            return;
        }
        append(data, from, to);
    }

    private void append(byte[] data, int from, int to) {
        if (kept + to - from > held.length) {
            held = Arrays.copyOf(held, Math.max(2 * held.length, kept + to - from));
        }
        System.arraycopy(data, from, held, kept, to - from);
        kept += to - from;
    }

    private void letGo() {
        kept = 0;
        size = 0;
        if (held.length > 1 << 20) {
            held = new byte[1024];
        }
    }
}
