package nodeling

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Small judgements of one piece of a frame. The pieces are JSON that has been looked at.

// frame joins the parts of a frame.
func frame(parts ...string) []byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	whole := make([]byte, 0, size)
	for _, part := range parts {
		whole = append(whole, part...)
	}
	return whole
}

func validUTF8(data []byte) bool { return utf8.Valid(data) }

// idOf is the id in an object: an integer or a text, always written alike.
func idOf(members map[string]json.RawMessage) (string, bool) {
	raw := members["id"]
	if len(raw) == 0 {
		return "", false
	}
	if raw[0] != '"' {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return strconv.FormatInt(n, 10), err == nil
	}
	text, ok := textOf(raw)
	if !ok {
		return "", false
	}
	written, err := encode(text)
	return string(written), err == nil
}

func textOf(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return keyText(raw), true
}

func integerOf(raw json.RawMessage) (int, bool) {
	n, err := strconv.Atoi(string(raw))
	return n, err == nil
}

// objectOf is an object's entries, the last of equal keys; no JSON at all is the empty object.
func objectOf(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	if len(raw) == 0 {
		return map[string]json.RawMessage{}, true
	}
	s := scanner{data: raw, limit: maxDepth + envelopeDepth}
	all, err := s.members()
	found, _ := unique(all)
	return found, err == nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
