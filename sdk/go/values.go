package nodeling

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A ValueError says that a value may not travel, and where in it the fault is.
type ValueError struct {
	Pointer string // a JSON pointer
	Message string
	kind    string // the rule that is broken: syntax, encoding, integer, number, depth, surrogate, ...
}

func (e *ValueError) Error() string {
	if e.Pointer == "" {
		return e.Message
	}
	return e.Message + " (at " + e.Pointer + ")"
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	number        = reflect.TypeFor[json.Number]()
)

// encode gives a value as compact JSON on one line, or says what in it cannot travel.
//
// encoding/json repairs what it should refuse (text that is no UTF-8, keys that are no text) and hides
// where it stood, so the value is looked at first; the JSON is looked at last, because marshalers of
// their own may have written it.
func encode(value any) ([]byte, error) {
	looking := checker{floats: nil}
	if err := looking.value(reflect.ValueOf(value), "", 0, 0); err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, &ValueError{Message: err.Error(), kind: "type"}
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if looking.floats != nil {
		data = pointed(data, looking.floats)
	}
	if _, err := scanValue(data, maxDepth); err != nil {
		return nil, err
	}
	return data, nil
}

// decode reads checked JSON into a Go value, keeping numbers exact where the type leaves them open.
func decode(data []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = data
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// checker walks over a Go value as encoding/json will.
type checker struct {
	floats map[string]bool // whole floats from 2^53 on, which would read like integers
}

const maxHops = 1000 // pointers and containers on the way to a value; more means that it holds itself

func (c *checker) value(v reflect.Value, at string, depth, hops int) error {
	if hops > maxHops {
		return &ValueError{at, "the value contains itself", "circular"}
	}
	if !v.IsValid() || v.Type() == number || v.Type().Implements(marshaler) || v.Type().Implements(textMarshaler) {
		return nil
	}
	switch v.Kind() {
	case reflect.Bool:
		return nil
	case reflect.String:
		return checkText(v.String(), at)
	case reflect.Float32, reflect.Float64:
		return c.float(v.Float(), v.Type().Bits(), at)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); n > maxInteger || n < -maxInteger {
			return tooBig(strconv.FormatInt(n, 10), at)
		}
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if n := v.Uint(); n > maxInteger {
			return tooBig(strconv.FormatUint(n, 10), at)
		}
		return nil
	case reflect.Pointer, reflect.Interface:
		return c.value(v.Elem(), at, depth, hops+1)
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct:
		if depth == maxDepth {
			return &ValueError{at, fmt.Sprintf("the value is more than %d levels deep", maxDepth), "depth"}
		}
		return c.container(v, at, depth+1, hops+1)
	default:
		return &ValueError{at, fmt.Sprintf("a %s is no JSON value", v.Type()), "type"}
	}
}

func (c *checker) container(v reflect.Value, at string, depth, hops int) error {
	switch v.Kind() {
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return &ValueError{at, fmt.Sprintf("the keys are of type %s, keys must be text", v.Type().Key()), "key"}
		}
		for pairs := v.MapRange(); pairs.Next(); {
			key := pairs.Key().String()
			if err := checkText(key, at); err != nil {
				return err
			}
			if err := c.value(pairs.Value(), at+"/"+escapePointer(key), depth, hops); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Tag.Get("json") == "-" || (!field.IsExported() && !field.Anonymous) {
				continue
			}
			if err := c.value(v.Field(i), at+jsonName(field), depth, hops); err != nil {
				return err
			}
		}
	default:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return &ValueError{at, "bytes are no JSON value; make them a string, or encode them as base64", "type"}
		}
		for i := range v.Len() {
			if err := c.value(v.Index(i), at+"/"+strconv.Itoa(i), depth, hops); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonName is the field's place in the JSON: none for an embedded struct, whose fields are its owner's.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case name != "":
		return "/" + escapePointer(name)
	case field.Anonymous:
		return ""
	default:
		return "/" + field.Name
	}
}

func (c *checker) float(f float64, bits int, at string) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return &ValueError{at, strconv.FormatFloat(f, 'g', -1, 64) + " is no JSON number; use null instead", "nan"}
	}
	if math.Abs(f) > maxInteger && math.Abs(f) < 1e21 { // from there on encoding/json writes an exponent
		if c.floats == nil {
			c.floats = map[string]bool{}
		}
		c.floats[strconv.FormatFloat(f, 'f', -1, bits)] = true
	}
	return nil
}

// pointed gives these floats a fraction, so that nobody takes them for integers that lost digits.
func pointed(data []byte, floats map[string]bool) []byte {
	found := make([]byte, 0, len(data)+2*len(floats))
	for at := 0; at < len(data); {
		end := at + 1
		switch c := data[at]; {
		case c == '"':
			for data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			end++
		case c == '-' || (c >= '0' && c <= '9'):
			for end < len(data) && isNumberByte(data[end]) {
				end++
			}
		}
		found = append(found, data[at:end]...)
		if floats[string(data[at:end])] {
			found = append(found, ".0"...)
		}
		at = end
	}
	return found
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

func checkText(text, at string) error {
	if utf8.ValidString(text) {
		return nil
	}
	return &ValueError{at, "the text is not UTF-8", "surrogate"}
}

func tooBig(digits, at string) *ValueError {
	if len(digits) > 24 {
		digits = fmt.Sprintf("of %d digits", len(digits))
	}
	said := "the integer " + digits + " is beyond ±(2^53 - 1), where languages differ; send it as text"
	return &ValueError{at, said, "integer"}
}
