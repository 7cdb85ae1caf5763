package nodeling;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * The process's private line to its host.
 *
 * <p>Java cannot adopt a descriptor by its number, so it opens the pipe again through {@code /proc/self/fd}. The numbers come in
 * the property {@code nodeling.fds} from the launcher, or in {@code NODELING_FDS}; without either, stdin and stdout are the
 * channel, and {@code System.in} and {@code System.out} are replaced.
 */
final class WorkerChannel {
    private static final int READ_BYTES = 64 << 10;

    final byte[] buffer = new byte[READ_BYTES];
    private final InputStream in;
    private final OutputStream out;

    WorkerChannel(InputStream in, OutputStream out) {
        this.in = in;
        this.out = out;
    }

    static WorkerChannel open() throws IOException {
        String named = System.getProperty("nodeling.fds", System.getenv("NODELING_FDS"));
        if (named == null) {
            WorkerChannel found = new WorkerChannel(new FileInputStream(FileDescriptor.in), new FileOutputStream(FileDescriptor.out));
            System.setIn(InputStream.nullInputStream());
            System.setOut(System.err);
            return found;
        }
        if (!named.matches("\\d+,\\d+")) {
            throw new IOException("NODELING_FDS=" + named + " names no two descriptors");
        }
        String[] numbers = named.split(",");
        try {
            return new WorkerChannel(new FileInputStream("/proc/self/fd/" + numbers[0]), new FileOutputStream("/proc/self/fd/" + numbers[1]));
        } catch (IOException e) {
            throw new IOException("NODELING_FDS=" + named + " names no two open pipes: " + e.getMessage(), e);
        }
    }

    /** Reads into the buffer: how many bytes; none when the host is gone. */
    int read() {
        try {
            return Math.max(0, in.read(buffer));
        } catch (IOException e) {
            return 0;
        }
    }

    /** Writes whole frames; false when nobody listens any more. */
    boolean write(byte[] data) {
        try {
            out.write(data);
            out.flush();
            return true;
        } catch (IOException e) {
            return false;
        }
    }
}
