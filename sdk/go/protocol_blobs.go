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
	if b.Path == "" || b.Path == "." || b.Path == ".." || strings.ContainsAny(b.Path, "/\x00") {
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

// writeBlob puts bytes into the folder, whole or not at all.
func writeBlob(folder string, data []byte, mediaType, encoding string) (Blob, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Blob{}, err
	}
	name := "n-" + hex.EncodeToString(random[:])
	target := filepath.Join(folder, name)
	err := os.WriteFile(target+".tmp", data, 0o600)
	if err == nil {
		err = os.Rename(target+".tmp", target)
	}
	if err != nil {
		os.Remove(target + ".tmp")
		return Blob{}, fmt.Errorf("a blob of %d bytes cannot be written: %w", len(data), err)
	}
	return Blob{Path: name, Size: int64(len(data)), MediaType: mediaType, Encoding: encoding}, nil
}

// mayHoldBlobs tells whether JSON text can have a key that this file is about.
func mayHoldBlobs(data []byte) bool {
	return bytes.Contains(data, []byte("blob")) || bytes.Contains(data, []byte(`\u00`))
}

// references are the blobs that a call knows: those it was given and those it wrote.
type references map[string]bool

// resolve gives a value as a node reads it: blobs of JSON in place, others as references, keys unescaped.
func (known references) resolve(value any, folder string) (any, error) {
	var err error
	switch v := value.(type) {
	case map[string]any:
		if b, ok := asBlob(v); ok {
			if b.Encoding == "json" {
				return readJSON(folder, b)
			}
			known[b.Path] = true
			return v, nil
		}
		found := make(map[string]any, len(v))
		for key, item := range v {
			if isEscaped(key) {
				key = key[1:]
			}
			if found[key], err = known.resolve(item, folder); err != nil {
				return nil, err
			}
		}
		return found, nil
	case []any:
		for i, item := range v {
			if v[i], err = known.resolve(item, folder); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// escape gives a value for the wire: a key $blob that is no reference gets one more $.
func (known references) escape(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if b, ok := asBlob(v); ok && known[b.Path] {
			return v
		}
		found := make(map[string]any, len(v))
		for key, item := range v {
			if key == blobKey || isEscaped(key) {
				key = "$" + key
			}
			found[key] = known.escape(item)
		}
		return found
	case []any:
		for i, item := range v {
			v[i] = known.escape(item)
		}
	}
	return value
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
