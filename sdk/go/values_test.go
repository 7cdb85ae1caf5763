package nodeling

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// vector is a line of the values that every implementation judges alike.
type vector struct {
	Name    string
	Text    json.RawMessage // a text, or pairs of a text and how often
	Hex     string
	Value   json.RawMessage
	Kind    string
	Pointer string
}

func (v vector) data(t *testing.T) []byte {
	t.Helper()
	if v.Hex != "" {
		data, err := hex.DecodeString(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var text string
	if json.Unmarshal(v.Text, &text) == nil {
		return []byte(text)
	}
	var pieces [][2]any
	if err := json.Unmarshal(v.Text, &pieces); err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		text += strings.Repeat(piece[0].(string), int(piece[1].(float64)))
	}
	return []byte(text)
}

func TestTheSharedVectorsAreTakenOrRefusedAsEverywhere(t *testing.T) {
	data, err := os.ReadFile("../../tests/unit/value_vectors.json")
	if os.IsNotExist(err) {
		t.Skip("the shared vectors are not beside this copy of the SDK")
	}
	var all struct{ Decode []vector }
	if err != nil || json.Unmarshal(data, &all) != nil || len(all.Decode) < 50 {
		t.Fatalf("%d vectors, %v", len(all.Decode), err)
	}
	for _, v := range all.Decode {
		_, err := scanValue(v.data(t), maxDepth)
		if v.Kind == "" {
			if err != nil {
				t.Errorf("%s: refused: %v", v.Name, err)
			}
			continue
		}
		found, ok := err.(*ValueError)
		switch {
		case !ok:
			t.Errorf("%s: taken", v.Name)
		case v.Kind == "nan": // no JSON at all; other readers know the word
			if found.kind != "syntax" {
				t.Errorf("%s: %s", v.Name, found.kind)
			}
		case found.kind != v.Kind:
			t.Errorf("%s: %s (%v), not %s", v.Name, found.kind, found, v.Kind)
		case found.Pointer != v.Pointer && v.Name != "a lone surrogate in a key":
			t.Errorf("%s: at %q, not %q", v.Name, found.Pointer, v.Pointer)
		}
	}
}

func TestTheScannerAgreesWithTheStandardLibraryOnWhatJSONIs(t *testing.T) {
	random := rand.New(rand.NewSource(7))
	const letters = `{}[]",:\u0123eE+-. tfnrueals` + "\n"
	taken := 0
	for range 200_000 {
		data := make([]byte, 1+random.Intn(9))
		for i := range data {
			data[i] = letters[random.Intn(len(letters))]
		}
		s := scanner{data: data, limit: maxDepth}
		isTaken := s.whole() == nil
		if isTaken != json.Valid(data) {
			t.Fatalf("%q: %v, the standard library %v", data, isTaken, json.Valid(data))
		}
		if isTaken {
			taken++
		}
	}
	if taken < 1000 {
		t.Errorf("only %d texts were JSON: the test looks at nothing", taken)
	}
}

func TestMembersThatBreakOffAreThoseBeforeTheBreak(t *testing.T) {
	whole := `{"jsonrpc":"2.0","id":1234,"params":{"a":[1,{"b":"}"}]},"method":"x"}`
	all, err := (&scanner{data: []byte(whole), limit: maxDepth}).members()
	if err != nil || len(all) != 4 || string(all[2].value) != `{"a":[1,{"b":"}"}]}` {
		t.Fatalf("%v, %v", all, err)
	}
	for cut := range len(whole) {
		found := headMembers([]byte(whole[:cut]))
		if id, ok := found["id"]; ok && string(id) != "1234" {
			t.Errorf("cut at %d the id is %s", cut, id)
		}
	}
}

func TestWhatCannotTravelIsRefusedWhereItStands(t *testing.T) {
	type inner struct{ F float64 }
	self := map[string]any{}
	self["self"] = self
	for name, value := range map[string]any{
		"/0/F nan":            []inner{{math.NaN()}},
		"/a~1b nan":           map[string]any{"a/b": math.Inf(-1)},
		"/n integer":          map[string]any{"n": int64(1) << 53},
		"/n integer (uint)":   map[string]uint64{"n": math.MaxUint64},
		"/a integer (number)": map[string]any{"a": json.Number("9007199254740992")},
		"/r/1 integer (raw)":  map[string]any{"r": json.RawMessage(`[1, 9007199254740992]`)},
		" key":                map[int]string{1: "x"},
		" type":               []byte("x"),
		" type (function)":    func() {},
		"/s surrogate":        map[string]string{"s": "\xed\xa0\x80"},
		" surrogate (key)":    map[string]int{"\xff": 1},
		"/r surrogate (raw)":  map[string]any{"r": json.RawMessage(`"\ud800"`)},
		strings.Repeat("/self", maxDepth) + " depth": self,
	} {
		where, kind, _ := strings.Cut(name, " ")
		kind, _, _ = strings.Cut(kind, " ")
		_, err := encode(value)
		found, ok := err.(*ValueError)
		if !ok || found.Pointer != where || found.kind != kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWholeFloatIsNotTakenForAnInteger(t *testing.T) {
	for value, wanted := range map[any]string{
		any(1e17): "100000000000000000.0", any(-9007199254740992.0): "-9007199254740992.0", any(1e21): "1e+21",
		any(float32(1e18)): "1000000000000000000.0", any(5.0): "5", any(1e300): "1e+300",
	} {
		if data, err := encode(map[string]any{"100000000000000000": []any{"1e17 \"100000000000000000", value}}); err != nil ||
			string(data) != `{"100000000000000000":["1e17 \"100000000000000000",`+wanted+"]}" {
			t.Errorf("%v: %s, %v", value, data, err)
		}
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	const text = `{"a":[9007199254740991,-0.0,1.10,1E3,12345678901234567890.5],"b":"<&>\u2028","c":null}`
	var value any
	if err := decode([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	data, err := encode(value)
	if err != nil || string(data) != text {
		t.Errorf("%s, %v", data, err)
	}
}

// randomValue makes values with keys that look like references.
func randomValue(random *rand.Rand, depth int) any {
	switch kind := random.Intn(6); {
	case kind == 0 && depth > 0:
		found := map[string]any{}
		for range random.Intn(4) {
			key := strings.Repeat("$", random.Intn(4)) + []string{"blob", "blobs", ""}[random.Intn(3)]
			found[key] = randomValue(random, depth-1)
		}
		return found
	case kind == 1 && depth > 0:
		found := []any{}
		for range random.Intn(4) {
			found = append(found, randomValue(random, depth-1))
		}
		return found
	case kind == 2:
		return map[string]any{"path": "b1", "encoding": "raw"}
	default:
		return []any{nil, true, "$blob", json.Number("1")}[random.Intn(4)]
	}
}

func TestEscapedKeysComeBackAsTheyWere(t *testing.T) {
	random := rand.New(rand.NewSource(3))
	for range 5000 {
		value := randomValue(random, 4)
		before, err := encode(value)
		if err != nil {
			t.Fatal(err)
		}
		escaped, err := encode(escapeBlobs(value, ""))
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := decode(escaped, &again); err != nil {
			t.Fatal(err)
		}
		back, err := resolveBlobs(again, "")
		if err != nil {
			t.Fatalf("%s holds a reference: %v", escaped, err)
		}
		if after, err := encode(back); err != nil || string(after) != string(before) {
			t.Fatalf("%s became %s, %v", before, after, err)
		}
	}
}

func TestSecretsAreMaskedInTextsAndKeysTheLongestFirst(t *testing.T) {
	m := newMask(map[string]string{"A": "abc", "B": "abcdef", "C": "first-line-x\nno", "D": " "})
	found := m.value(map[string]any{"k abcdef": []any{"abc", "first-line-x", "no", json.Number("1")}})
	wanted := map[string]any{"k ***": []any{"***", "***", "no", json.Number("1")}}
	if !reflect.DeepEqual(found, wanted) {
		t.Errorf("%v", found)
	}
}

func TestAnErrorFitsItsLimits(t *testing.T) {
	e := wireError{1, strings.Repeat("é", maxMessage), errorData{Traceback: "x" + strings.Repeat("é", maxTraceback)}}.bounded()
	if len(e.Message) > maxMessage || len(e.Data.Traceback) > maxTraceback || !utf8.ValidString(e.Message+e.Data.Traceback) {
		t.Errorf("%d and %d bytes", len(e.Message), len(e.Data.Traceback))
	}
}
