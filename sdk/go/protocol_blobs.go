package nodeling

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Blob is a value by reference: a file in a folder that the host owns. As a field of an input or an
// output it reads and writes the reference; [Call.OpenBlob] and [Call.WriteBlob] reach the bytes.
type Blob struct {
	Path      string `json:"path"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
	Encoding  string `json:"encoding"`
	SHA256    string `json:"sha256,omitempty"`
}

const (
	blobKey         = "$blob"
	largestJSONBlob = 256 << 20 // a value is decoded whole, so there is an end to it
)

type blobFields Blob // without the methods

// MarshalJSON writes the reference.
func (b Blob) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]blobFields{blobKey: blobFields(b)})
}

// UnmarshalJSON reads the reference.
func (b *Blob) UnmarshalJSON(data []byte) error {
	var outer map[string]*blobFields
	if err := json.Unmarshal(data, &outer); err != nil || len(outer) != 1 || outer[blobKey] == nil {
		return errors.New("this is no reference to a blob")
	}
	*b = Blob(*outer[blobKey])
	return nil
}

// blobError says that a blob cannot be read: no such file, another size, no regular file of the folder.
type blobError struct{ message string }

func (e *blobError) Error() string { return e.message }

func blobFault(format string, args ...any) error { return &blobError{fmt.Sprintf(format, args...)} }

// openBlob opens the file that a reference names, following no link.
func openBlob(folder string, b Blob) (*os.File, error) {
	if folder == "" {
		return nil, blobFault("there is a blob, and no blob folder was named")
	}
	if !isPlain(b.Path) {
		return nil, blobFault("the blob %q is not a plain name in the blob folder", b.Path)
	}
	// Opening a pipe for reading would wait for a writer, so it does not block.
	const flags = os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(filepath.Join(folder, b.Path), flags, 0)
	if err != nil {
		return nil, blobFault("the blob %q cannot be opened: %v", b.Path, errors.Unwrap(err))
	}
	status, err := file.Stat()
	switch {
	case err != nil:
		err = blobFault("the blob %q cannot be looked at: %v", b.Path, err)
	case !status.Mode().IsRegular():
		err = blobFault("the blob %q is no regular file", b.Path)
	case status.Size() != b.Size:
		err = blobFault("the blob %q has %d bytes, not %d", b.Path, status.Size(), b.Size)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func isPlain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// writeBlob puts what it reads into the folder, whole or not at all.
func writeBlob(folder string, from io.Reader, mediaType, encoding string) (Blob, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Blob{}, err
	}
	name := "n-" + hex.EncodeToString(random[:])
	target := filepath.Join(folder, name)
	size, err := writeFile(target+".tmp", from)
	if err == nil {
		err = os.Rename(target+".tmp", target)
	}
	if err != nil {
		os.Remove(target + ".tmp")
		return Blob{}, fmt.Errorf("a blob cannot be written: %w", err)
	}
	return Blob{Path: name, Size: size, MediaType: mediaType, Encoding: encoding}, nil
}

func writeFile(path string, from io.Reader) (int64, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(file, from)
	return size, errors.Join(err, file.Close())
}

// putJSON puts a long value into a file.
func putJSON(folder string, data []byte) (Blob, error) {
	return writeBlob(folder, bytes.NewReader(data), "application/json", "json")
}

// mayHoldBlobs tells whether JSON text can have a key that this file is about.
func mayHoldBlobs(data []byte) bool {
	return bytes.Contains(data, []byte("blob")) || bytes.Contains(data, []byte(`\u00`))
}

// resolveBlobs gives a value as a node reads it: blobs of JSON in place, others as references, keys
// unescaped.
func resolveBlobs(value any, folder string) (any, error) {
	var err error
	switch v := value.(type) {
	case map[string]any:
		if b, ok := asBlob(v); ok {
			if b.Encoding == "json" {
				return readJSON(folder, b)
			}
			return v, nil
		}
		found := make(map[string]any, len(v))
		for key, item := range v {
			if isEscaped(key) {
				key = key[1:]
			}
			if found[key], err = resolveBlobs(item, folder); err != nil {
				return nil, err
			}
		}
		return found, nil
	case []any:
		for i, item := range v {
			if v[i], err = resolveBlobs(item, folder); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// namesFile tells a reference from a node's own key $blob: its file is in the folder, and nobody guesses
// such a name.
func namesFile(value any, folder string) bool {
	object, _ := value.(map[string]any)
	b, ok := asBlob(object)
	if !ok || folder == "" || !isPlain(b.Path) {
		return false
	}
	_, err := os.Lstat(filepath.Join(folder, b.Path))
	return err == nil
}

// escapeBlobs gives a value for the wire: a key $blob that is no reference gets one more $.
func escapeBlobs(value any, folder string) any {
	found, _ := inner(value, folder, func(item any) (any, error) { return escapeBlobs(item, folder), nil })
	return found
}

// inner makes each item of a container anew, with its own keys escaped; a reference stays as it is.
func inner(value any, folder string, item func(any) (any, error)) (any, error) {
	var err error
	switch v := value.(type) {
	case map[string]any:
		if namesFile(v, folder) {
			return v, nil
		}
		found := make(map[string]any, len(v))
		for key, one := range v {
			if key == blobKey || isEscaped(key) {
				key = "$" + key
			}
			if found[key], err = item(one); err != nil {
				return nil, err
			}
		}
		return found, nil
	case []any:
		found := make([]any, len(v))
		for i, one := range v {
			if found[i], err = item(one); err != nil {
				return nil, err
			}
		}
		return found, nil
	default:
		return value, nil
	}
}

// putAside gives a value for the wire, with whatever in it is long and holds no reference in a file.
func putAside(value any, folder string, limit int) (any, error) {
	if namesFile(value, folder) {
		return value, nil
	}
	data, err := encode(value)
	if err != nil || len(data) < limit {
		return escapeBlobs(value, folder), err
	}
	if !holdsReference(value, folder) {
		return putJSON(folder, data)
	}
	return inner(value, folder, func(item any) (any, error) { return putAside(item, folder, limit) })
}

func holdsReference(value any, folder string) bool {
	switch v := value.(type) {
	case map[string]any:
		if namesFile(v, folder) {
			return true
		}
		for _, item := range v {
			if holdsReference(item, folder) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return holdsReference(item, folder) })
	}
	return false
}

// isEscaped tells whether a key is $blob behind at least one more $.
func isEscaped(key string) bool {
	rest := strings.TrimLeft(key, "$")
	return rest == "blob" && len(key) >= len("$$blob")
}

func asBlob(value map[string]any) (Blob, bool) {
	about, ok := value[blobKey].(map[string]any)
	if !ok || len(value) != 1 {
		return Blob{}, false
	}
	var b Blob
	b.Path, _ = about["path"].(string)
	b.Encoding, _ = about["encoding"].(string)
	size, _ := about["size"].(json.Number)
	n, err := size.Int64()
	if b.Size = n; err != nil {
		b.Size = -1
	}
	return b, true
}

func readJSON(folder string, b Blob) (any, error) {
	file, err := openBlob(folder, b)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if b.Size > largestJSONBlob {
		return nil, blobFault("the blob is over %d bytes; send it with encoding raw", largestJSONBlob)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, blobFault("the blob %q cannot be read: %v", b.Path, err)
	}
	if _, err := scanValue(data, maxDepth); err != nil {
		return nil, blobFault("the blob %q: %v", b.Path, err)
	}
	var found any
	if err := decode(data, &found); err != nil {
		return nil, blobFault("the blob %q: %v", b.Path, err)
	}
	return found, nil
}
