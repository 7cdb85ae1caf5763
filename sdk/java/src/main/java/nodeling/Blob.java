package nodeling;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A value by reference: a file in a folder that the host owns. {@link Call#openBlob} and {@link Call#writeBlob} reach the
 * bytes; returned in an output it stays a reference.
 */
public record Blob(String path, long size, String mediaType, String encoding, String sha256) {
    Map<String, Object> reference() {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("path", path);
        about.put("size", size);
        about.put("media_type", mediaType);
        about.put("encoding", encoding);
        if (sha256 != null) {
            about.put("sha256", sha256);
        }
        return Map.of(ProtocolBlobs.KEY, about);
    }
}
