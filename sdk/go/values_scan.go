package nodeling

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth      = 64
	maxInteger    = 1<<53 - 1
	envelopeDepth = 8 // the levels a frame may add around a value of the full depth
)

// scanner reads JSON text without making anything of it.
//
// What is no JSON ends it with an error. A number or text that is JSON but may not travel is kept in
// fault, and the scanner goes on: whoever sent a frame with such a value still gets an answer by its id.
type scanner struct {
	data    []byte
	at      int
	limit   int
	open    []level
	deepest int
	fault   *ValueError
}

// level is a container that has not ended, and the place in it.
type level struct {
	isObject bool
	isFresh  bool
	index    int
	key      []byte // with its quotes
}

// scanValue looks at one whole JSON text; its error is a [ValueError].
func scanValue(data []byte, limit int) (deepest int, err error) {
	if !utf8.Valid(data) {
		return 0, &ValueError{"", "the text is not UTF-8", "encoding"}
	}
	s := scanner{data: data, limit: limit}
	if err := s.whole(); err != nil {
		return 0, err
	}
	if s.fault != nil {
		return 0, s.fault
	}
	return s.deepest, nil
}

// whole reads one value and the end behind it.
func (s *scanner) whole() error {
	if err := s.one(); err != nil {
		return err
	}
	if s.space(); s.at != len(s.data) {
		return s.syntax("more than one value")
	}
	return nil
}

// one reads the next value, however deep, without recursion.
func (s *scanner) one() error {
	base := len(s.open)
	if err := s.value(); err != nil {
		return err
	}
	for len(s.open) > base {
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// value reads a scalar, or opens a container.
func (s *scanner) value() error {
	s.space()
	if s.at == len(s.data) {
		return s.syntax("a value is missing")
	}
	switch c := s.data[s.at]; {
	case c == '{' || c == '[':
		if len(s.open) == s.limit {
			return &ValueError{"", fmt.Sprintf("the value is more than %d levels deep", maxDepth), "depth"}
		}
		s.open = append(s.open, level{isObject: c == '{', isFresh: true, index: -1})
		s.deepest = max(s.deepest, len(s.open))
		s.at++
		return nil
	case c == '"':
		return s.text()
	case c == '-' || (c >= '0' && c <= '9'):
		return s.number()
	default:
		for _, word := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(s.data[s.at:], []byte(word)) {
				s.at += len(word)
				return nil
			}
		}
		return s.syntax("no value")
	}
}

// next reads the next item of the innermost container, or its end.
func (s *scanner) next() error {
	more, err := s.item()
	if err != nil || !more {
		return err
	}
	return s.value()
}

// item goes to the next value of the innermost container; false where that has ended.
func (s *scanner) item() (more bool, err error) {
	s.space()
	if s.at == len(s.data) {
		return false, s.syntax("the end is missing")
	}
	top := &s.open[len(s.open)-1]
	c := s.data[s.at]
	if (c == '}' && top.isObject) || (c == ']' && !top.isObject) {
		s.at++
		s.open = s.open[:len(s.open)-1]
		return false, nil
	}
	if !top.isFresh {
		if c != ',' {
			return false, s.syntax("a comma is missing")
		}
		s.at++
		s.space()
	}
	top.isFresh = false
	top.index++
	if top.isObject {
		if top.key, err = s.key(); err != nil {
			return false, err
		}
	}
	s.space()
	return true, nil
}

func (s *scanner) key() ([]byte, error) {
	if s.at == len(s.data) || s.data[s.at] != '"' {
		return nil, s.syntax("a key is missing")
	}
	start := s.at
	had := s.fault
	if err := s.text(); err != nil {
		return nil, err
	}
	key := s.data[start:s.at]
	if had == nil && s.fault != nil {
		s.fault.Pointer = s.parent() + "/" + escapePointer(string(key[1:len(key)-1]))
	}
	s.space()
	if s.at == len(s.data) || s.data[s.at] != ':' {
		return nil, s.syntax("a colon is missing")
	}
	s.at++
	return key, nil
}

func (s *scanner) text() error {
	s.at++
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c < 0x20:
			return s.syntax("a control character in a text")
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		default:
			s.at++
		}
	}
	return s.syntax("a text does not end")
}

func (s *scanner) escape() error {
	if s.at+1 < len(s.data) && strings.IndexByte(`"\/bfnrt`, s.data[s.at+1]) >= 0 {
		s.at += 2
		return nil
	}
	first, ok := s.unit(s.at)
	if !ok {
		return s.syntax("a bad escape")
	}
	s.at += 6
	if first < 0xD800 || first > 0xDFFF {
		return nil
	}
	if second, ok := s.unit(s.at); first < 0xDC00 && ok && second >= 0xDC00 && second <= 0xDFFF {
		s.at += 6
		return nil
	}
	s.refuse("surrogate", fmt.Sprintf("the text holds the lone surrogate U+%04X, which is no character", first))
	return nil
}

func (s *scanner) unit(at int) (uint64, bool) {
	if at+6 > len(s.data) || s.data[at] != '\\' || s.data[at+1] != 'u' {
		return 0, false
	}
	found, err := strconv.ParseUint(string(s.data[at+2:at+6]), 16, 32)
	return found, err == nil
}

func (s *scanner) number() error {
	start := s.at
	if s.data[s.at] == '-' {
		s.at++
	}
	first := s.at
	whole := s.digits()
	if whole == 0 || (whole > 1 && s.data[first] == '0') {
		return s.syntax("a bad number")
	}
	isInteger := true
	if s.at < len(s.data) && s.data[s.at] == '.' {
		isInteger = false
		s.at++
		if s.digits() == 0 {
			return s.syntax("a bad number")
		}
	}
	if s.at < len(s.data) && (s.data[s.at] == 'e' || s.data[s.at] == 'E') {
		isInteger = false
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return s.syntax("a bad number")
		}
	}
	s.judge(s.data[start:s.at], s.data[first:first+whole], isInteger)
	return nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// judge says whether a number may travel.
func (s *scanner) judge(text, whole []byte, isInteger bool) {
	if isInteger {
		if len(whole) < 16 {
			return
		}
		n, err := strconv.ParseUint(string(whole), 10, 64)
		if err != nil || n > maxInteger {
			fault := tooBig(string(text), "")
			s.refuse(fault.kind, fault.Message)
		}
		return
	}
	if f, err := strconv.ParseFloat(string(text), 64); err != nil && math.IsInf(f, 0) {
		s.refuse("number", fmt.Sprintf("the number %.24s is too large", text))
	}
}

func (s *scanner) refuse(kind, message string) {
	if s.fault == nil {
		s.fault = &ValueError{s.pointer(), message, kind}
	}
}

func (s *scanner) syntax(what string) error {
	return &ValueError{"", fmt.Sprintf("not JSON: %s at offset %d", what, s.at), "syntax"}
}

func (s *scanner) pointer() string { return place(s.open) }

// parent is where the innermost container stands.
func (s *scanner) parent() string { return place(s.open[:max(0, len(s.open)-1)]) }

func place(open []level) string {
	var found strings.Builder
	for _, one := range open {
		found.WriteByte('/')
		if one.isObject {
			found.WriteString(escapePointer(keyText(one.key)))
		} else {
			found.WriteString(strconv.Itoa(one.index))
		}
	}
	return found.String()
}

func keyText(key []byte) string {
	if len(key) < 2 { // it is being read
		return ""
	}
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1 : len(key)-1])
	}
	var text string
	if json.Unmarshal(key, &text) != nil {
		return string(key)
	}
	return text
}

func escapePointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// member is one entry of an object, its value still JSON text.
type member struct {
	key   string
	value json.RawMessage
}

// members reads an object's entries in their order; the values are looked at like any others.
//
// Where the text breaks off, it gives the entries that stand whole before that, and the error.
func (s *scanner) members() ([]member, error) {
	s.space()
	if s.at == len(s.data) || s.data[s.at] != '{' {
		return nil, s.syntax("no object")
	}
	if err := s.value(); err != nil {
		return nil, err
	}
	var found []member
	for {
		more, err := s.item()
		if err != nil {
			// What the last number was is not known: it may have been cut.
			return found[:max(0, len(found)-1)], err
		}
		if !more {
			return found, nil
		}
		key, start := keyText(s.open[len(s.open)-1].key), s.at
		if err := s.one(); err != nil {
			return found, err
		}
		found = append(found, member{key, s.data[start:s.at]})
	}
}
