package nodeling;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SecureDirectoryStream;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/** Values by reference: how a blob stands in a frame, and how its file is written and read. */
final class ProtocolBlobs {
    static final String KEY = "$blob";
    private static final long LARGEST_JSON = 256L << 20; // a value is decoded whole, so there is an end to it

    private ProtocolBlobs() {}

    /** A blob cannot be read: no such file, another size, or no regular file of the folder. */
    static final class BlobException extends IOException {
        private static final long serialVersionUID = 1L;

        BlobException(String message) {
            super(message);
        }
    }

    /** Opens the file that a reference names, under the folder, following no link. */
    static SeekableByteChannel open(Path folder, Blob blob) throws BlobException {
        String name = blob.path();
        if (folder == null) {
            throw new BlobException("there is a blob, and no blob folder was named");
        }
        if (!isPlain(name)) {
            throw new BlobException("the blob '" + name + "' is not a plain name in the blob folder");
        }
        try (DirectoryStream<Path> listing = Files.newDirectoryStream(folder)) {
            if (!(listing instanceof SecureDirectoryStream<Path> secure)) {
                throw new BlobException("blobs cannot be opened safely on this system");
            }
            Path file = Path.of(name);
            BasicFileAttributes about = secure.getFileAttributeView(file, BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS).readAttributes();
            if (!about.isRegularFile()) { // opening a pipe would wait for its writer
                throw new BlobException("the blob '" + name + "' is no regular file");
            }
            SeekableByteChannel channel = secure.newByteChannel(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
            if (channel.size() != blob.size()) {
                long found = channel.size();
                channel.close();
                throw new BlobException("the blob '" + name + "' has " + found + " bytes, not " + blob.size());
            }
            return channel;
        } catch (BlobException e) {
            throw e;
        } catch (IOException e) {
            throw new BlobException("the blob '" + name + "' cannot be opened: " + e.getClass().getSimpleName());
        }
    }

    /** Puts bytes into the folder, whole or not at all. */
    static Blob write(Path folder, InputStream from, String mediaType, String encoding) throws IOException {
        String name = "n-" + UUID.randomUUID().toString().replace("-", "");
        Path fresh = folder.resolve(name + ".tmp");
        try {
            Files.createFile(fresh, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            long size;
            try (OutputStream out = Files.newOutputStream(fresh)) {
                size = from.transferTo(out);
            }
            Files.move(fresh, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE);
            return new Blob(name, size, mediaType, encoding, null);
        } catch (IOException e) {
            Files.deleteIfExists(fresh);
            throw e;
        }
    }

    /** A value as a node reads it: blobs of JSON in place, others as {@link Blob}, keys unescaped. */
    static Object resolve(Object value, Path folder) throws BlobException {
        if (value instanceof Map<?, ?> map) {
            if (map.size() == 1 && map.get(KEY) instanceof Map<?, ?> about) {
                Blob blob = blobOf(about);
                return "json".equals(blob.encoding()) ? readJson(folder, blob) : blob;
            }
            Map<String, Object> found = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                String key = (String) entry.getKey();
                found.put(isEscaped(key) ? key.substring(1) : key, resolve(entry.getValue(), folder));
            }
            return found;
        }
        if (value instanceof List<?> list) {
            List<Object> found = new ArrayList<>(list.size());
            for (Object item : list) {
                found.add(resolve(item, folder));
            }
            return found;
        }
        return value;
    }

    private static Blob blobOf(Map<?, ?> about) {
        long size = about.get("size") instanceof Long n ? n : -1;
        return new Blob(text(about.get("path")), size, text(about.get("media_type")), text(about.get("encoding")), text(about.get("sha256")));
    }

    private static String text(Object value) {
        return value instanceof String found ? found : null;
    }

    private static Object readJson(Path folder, Blob blob) throws BlobException {
        try (SeekableByteChannel channel = open(folder, blob)) {
            if (blob.size() > LARGEST_JSON) {
                throw new BlobException("the blob is over " + LARGEST_JSON + " bytes; send it with encoding raw");
            }
            byte[] data = Channels.newInputStream(channel).readAllBytes();
            return Json.read(Json.text(data, 0, data.length));
        } catch (BlobException e) {
            throw e;
        } catch (IOException | InvalidValueException e) {
            throw new BlobException("the blob '" + blob.path() + "' cannot be read: " + e.getMessage());
        }
    }

    /** Whether an object is a reference to a file that is in the folder: nobody guesses such a name. */
    private static boolean namesFile(Object value, Path folder) {
        if (folder == null || !(value instanceof Map<?, ?> map) || map.size() != 1 || !(map.get(KEY) instanceof Map<?, ?> about)) {
            return false;
        }
        return about.get("path") instanceof String name && isPlain(name) && Files.exists(folder.resolve(name), LinkOption.NOFOLLOW_LINKS);
    }

    private static boolean isPlain(String name) {
        return name != null && !name.isEmpty() && !name.equals(".") && !name.equals("..") && name.indexOf('/') < 0 && name.indexOf(0) < 0;
    }

    /** What makes an item of a container anew. */
    private interface Step {
        Object of(Object item) throws IOException;
    }

    /** A container with its items made anew and its own keys escaped; a reference stays as it is. */
    private static Object inner(Object value, Path folder, Step step) throws IOException {
        if (value instanceof Map<?, ?> map && !namesFile(value, folder)) {
            Map<String, Object> found = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                String key = (String) entry.getKey();
                found.put(key.equals(KEY) || isEscaped(key) ? "$" + key : key, step.of(entry.getValue()));
            }
            return found;
        }
        if (value instanceof List<?> list) {
            List<Object> found = new ArrayList<>(list.size());
            for (Object item : list) {
                found.add(step.of(item));
            }
            return found;
        }
        return value;
    }

    /** A JSON value for the wire: a key $blob that is no reference gets one more $. */
    static Object escape(Object value, Path folder) throws IOException {
        return inner(value, folder, item -> escape(item, folder));
    }

    /** A JSON value for the wire, with whatever in it is long and holds no reference in a file. */
    static Object putAside(Object value, Path folder, int limit) throws IOException {
        if (namesFile(value, folder)) {
            return value;
        }
        byte[] data = Json.bytes(Json.write(value));
        if (data.length < limit) {
            return escape(value, folder);
        }
        return holdsReference(value, folder) ? inner(value, folder, item -> putAside(item, folder, limit)) : writeJson(folder, data);
    }

    private static boolean holdsReference(Object value, Path folder) {
        if (value instanceof Map<?, ?> map) {
            return namesFile(value, folder) || map.values().stream().anyMatch(item -> holdsReference(item, folder));
        }
        return value instanceof List<?> list && list.stream().anyMatch(item -> holdsReference(item, folder));
    }

    /** Puts a long value into a file. */
    static Blob writeJson(Path folder, byte[] data) throws IOException {
        return write(folder, new ByteArrayInputStream(data), "application/json", "json");
    }

    /** Whether a key is $blob behind at least one more $. */
    static boolean isEscaped(String key) {
        if (!key.endsWith(KEY) || key.length() == KEY.length()) {
            return false;
        }
        return key.chars().limit(key.length() - KEY.length()).allMatch(c -> c == '$');
    }
}
