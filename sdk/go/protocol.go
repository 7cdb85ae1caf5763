package nodeling

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

const (
	protocolVersion = 1
	spillBytes      = 1 << 20
)

// claimed are the features of this SDK; in use are those that the host offers as well.
var claimed = []string{"blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream"}

// connection is the node's end of one conversation with a host: lines in, events and answers out.
//
// Every request gets exactly one terminal frame, and nothing is said of a call after it. What the host
// gets wrong is answered or ignored; it never stops the reader.
type connection struct {
	about      []byte // the answer to node/hello
	reader     frameReader
	maxFrame   int
	features   map[string]bool
	isDraining bool
	open       map[string]bool // the calls without a terminal frame, by their id as JSON text
	out        []byte          // answers that the connection makes itself
}

// What a host asks for.
type (
	greeting struct {
		blobDir    string
		maxFrame   int
		spillBytes int
		logLevel   string
	}
	invoke struct {
		id       string
		node     string
		input    json.RawMessage
		config   json.RawMessage
		secrets  map[string]string
		context  sentContext
		meta     sentMeta
		deadline *float64 // epoch milliseconds
	}
	cancelCall struct{ id string }
	moreCredit struct {
		id string
		n  int
	}
	shutdown struct{ id string }
)

type sentContext struct {
	RunID          string                     `json:"run_id"`
	Step           string                     `json:"step"`
	Attempt        int                        `json:"attempt"`
	IdempotencyKey string                     `json:"idempotency_key"`
	WorkDir        string                     `json:"work_dir"`
	Vars           map[string]json.RawMessage `json:"vars"`
	Request        map[string]json.RawMessage `json:"request"`
	Response       json.RawMessage            `json:"response"`
	Error          json.RawMessage            `json:"error"`
	Run            json.RawMessage            `json:"run"`
}

type sentMeta struct {
	Progress any             `json:"progress"`
	Stream   json.RawMessage `json:"stream"`
	LogLevel string          `json:"log_level"`
}

func newConnection(name, version string, concurrency int) *connection {
	about, err := json.Marshal(map[string]any{
		"protocol":        protocolVersion,
		"node":            map[string]string{"name": name, "version": version},
		"sdk":             map[string]string{"name": "nodeling", "version": Version, "language": "go"},
		"features":        claimed,
		"max_concurrency": concurrency,
	})
	if err != nil {
		panic(err) // texts and a number
	}
	return &connection{
		about:    about,
		reader:   frameReader{max: maxFrameBytes},
		maxFrame: maxFrameBytes,
		features: map[string]bool{},
		open:     map[string]bool{},
	}
}

// take gives the answers that are to be written.
func (c *connection) take() []byte {
	out := c.out
	c.out = nil
	return out
}

// receive takes the next bytes from the host; it is false when nothing can be read any more.
func (c *connection) receive(data []byte) (events []any, ok bool) {
	ok = c.reader.feed(data, func(line []byte, size int) {
		var event any
		if size > c.reader.max {
			c.oversize(line, size)
		} else {
			event = c.line(slices.Clone(line))
		}
		if event != nil {
			events = append(events, event)
		}
	})
	return events, ok
}

func (c *connection) oversize(head []byte, size int) {
	said := fmt.Sprintf("a frame of %d bytes is over the cap of %d", size, c.reader.max)
	if id, ok := idOf(headMembers(head)); ok && !c.open[id] {
		c.refuse(id, refusal(PayloadTooLarge, "ProtocolError", said))
		return
	}
	c.refuse("null", refusal(-32600, "ProtocolError", said))
}

// headMembers are those that stand whole in the beginning of a frame.
func headMembers(head []byte) map[string]json.RawMessage {
	s := scanner{data: head[:min(len(head), headBytes)], limit: maxDepth + envelopeDepth}
	all, _ := s.members() // that it breaks off is why it is only a head
	found, _ := unique(all)
	return found
}

func unique(all []member) (found map[string]json.RawMessage, isUnique bool) {
	found = make(map[string]json.RawMessage, len(all))
	for _, one := range all {
		found[one.key] = one.value
	}
	return found, len(found) == len(all)
}

func (c *connection) refuse(id string, e wireError) {
	c.out = append(c.out, errorFrame(id, e)...)
}

func (c *connection) reply(id string, result []byte) {
	c.out = append(c.out, frame(`{"jsonrpc":"2.0","id":`, id, `,"result":`, string(result), "}\n")...)
}

// --- What comes in ---------------------------------------------------------------------------------

// line takes one frame.
func (c *connection) line(line []byte) any {
	message, fault, err := readFrame(line)
	if err != nil {
		c.refuse("null", refusal(err.code, "ProtocolError", err.message))
		return nil
	}
	id, hasID := idOf(message)
	method, isRequest := textOf(message["method"])
	if version, _ := textOf(message["jsonrpc"]); version != "2.0" || !isRequest {
		if message["result"] == nil && message["error"] == nil {
			if !hasID || c.open[id] {
				id = "null"
			}
			c.refuse(id, refusal(-32600, "ProtocolError", `a frame has "jsonrpc":"2.0" and a method`))
		}
		return nil
	}
	params, isObject := objectOf(message["params"])
	switch {
	case message["id"] == nil:
		if fault == nil && isObject {
			return c.notification(method, params)
		}
	case !hasID:
		c.refuse("null", refusal(-32600, "ProtocolError", "the id of a request is an integer or a text"))
	case c.open[id]: // an answer would be a second one for the call of this id
	case fault != nil:
		c.refuse(id, unstarted(refusal(InvalidInput, "ProtocolError", "the call holds what cannot travel: "+fault.Error())))
	case !isObject:
		c.refuse(id, refusal(-32602, "ProtocolError", "params is an object"))
	default:
		return c.request(id, method, params)
	}
	return nil
}

// frameFault says why a line is no frame.
type frameFault struct {
	code    int
	message string
}

// readFrame takes a line apart; fault is the first value in it that may not travel.
func readFrame(line []byte) (message map[string]json.RawMessage, fault *ValueError, err *frameFault) {
	if !validUTF8(line) {
		return nil, nil, &frameFault{-32700, "the line is not UTF-8"}
	}
	s := scanner{data: line, limit: maxDepth + envelopeDepth}
	all, broken := s.members()
	if broken == nil {
		if s.space(); s.at != len(line) {
			broken = s.syntax("more than one value")
		}
	}
	if broken != nil {
		found := broken.(*ValueError)
		if message := headMembers(line); found.kind == "depth" && len(message) > 0 {
			return message, found, nil
		}
		return nil, nil, noFrame(line, found)
	}
	message, isUnique := unique(all)
	if !isUnique {
		return nil, nil, &frameFault{-32600, "the envelope names a member twice"}
	}
	if s.fault == nil && s.deepest > maxDepth {
		s.fault = tooDeep(message)
	}
	return message, s.fault, nil
}

func noFrame(line []byte, found *ValueError) *frameFault {
	if _, err := scanValue(line, maxDepth+envelopeDepth); err == nil {
		return &frameFault{-32600, "a frame is one object, and there are no arrays of frames"}
	}
	return &frameFault{-32700, found.Message}
}

// tooDeep looks for a value that is too deep by itself: the levels of the envelope do not count.
func tooDeep(message map[string]json.RawMessage) *ValueError {
	params, _ := objectOf(message["params"])
	context, _ := objectOf(params["context"])
	vars, _ := objectOf(context["vars"])
	for _, one := range []map[string]json.RawMessage{
		{"input": params["input"], "config": params["config"], "secrets": params["secrets"], "_meta": params["_meta"]},
		vars,
	} {
		for _, value := range one {
			if len(value) == 0 {
				continue
			}
			if _, err := scanValue(value, maxDepth); err != nil {
				return err.(*ValueError)
			}
		}
	}
	return nil
}

func (c *connection) notification(method string, params map[string]json.RawMessage) any {
	id, ok := idOf(params)
	if !ok || !c.open[id] {
		return nil
	}
	switch method {
	case "node/cancel":
		return cancelCall{id}
	case "node/credit":
		if n, ok := integerOf(params["n"]); ok && n > 0 {
			return moreCredit{id, n}
		}
	}
	return nil
}

func (c *connection) request(id, method string, params map[string]json.RawMessage) any {
	switch method {
	case "node/invoke":
		return c.invoke(id, params)
	case "node/hello":
		return c.hello(id, params)
	case "node/ping":
		c.reply(id, fmt.Appendf(nil, `{"inflight":%d}`, len(c.open)))
	case "node/shutdown":
		c.isDraining = true
		return shutdown{id}
	default:
		c.refuse(id, refusal(-32601, "ProtocolError", fmt.Sprintf("this node does not know %.100q", method)))
	}
	return nil
}

func (c *connection) hello(id string, params map[string]json.RawMessage) any {
	var versions []any
	if decode(orNull(params["protocol"]), &versions) != nil || !slices.Contains(versions, any(json.Number("1"))) {
		said := fmt.Sprintf("this node speaks protocol %d, the host %s", protocolVersion, orNull(params["protocol"]))
		refused := refusal(UnsupportedProtocol, "ProtocolError", said)
		refused.Data.Supported = []int{protocolVersion}
		c.refuse(id, refused)
		return nil
	}
	var offered []any
	if decode(orNull(params["features"]), &offered) != nil {
		offered = nil // a host that says it wrong offers nothing
	}
	c.features = map[string]bool{}
	for _, name := range claimed {
		c.features[name] = slices.Contains(offered, any(name))
	}
	limits, _ := objectOf(params["limits"])
	if most, ok := integerOf(limits["max_frame_bytes"]); ok && most > 0 {
		c.maxFrame, c.reader.max = most, most
	}
	found := greeting{maxFrame: c.maxFrame, spillBytes: spillBytes, logLevel: "info"}
	if n, ok := integerOf(limits["spill_bytes"]); ok && n > 0 {
		found.spillBytes = n
	}
	found.blobDir, _ = textOf(params["blob_dir"])
	if level, ok := textOf(params["log_level"]); ok {
		found.logLevel = level
	}
	c.reply(id, c.about)
	return found
}

func (c *connection) invoke(id string, params map[string]json.RawMessage) any {
	if c.isDraining {
		e := wireError{Code: Overloaded, Message: "this process takes no more calls", Data: errorData{Type: "ProtocolError"}}
		c.refuse(id, unstarted(e))
		return nil
	}
	call := invoke{id: id, input: orNull(params["input"]), config: json.RawMessage("{}")}
	call.context.Attempt = 1
	wrong := func(name string) any {
		c.refuse(id, refusal(-32602, "ProtocolError", name+" has the wrong type"))
		return nil
	}
	if params["node"] != nil {
		var ok bool
		if call.node, ok = textOf(params["node"]); !ok {
			return wrong("node")
		}
	}
	if given := params["config"]; given != nil && string(given) != "null" {
		if given[0] != '{' {
			return wrong("config")
		}
		call.config = given
	}
	for name, into := range map[string]any{"secrets": &call.secrets, "context": &call.context, "_meta": &call.meta} {
		if given := params[name]; given != nil && string(given) != "{}" && decode(given, into) != nil {
			return wrong(name)
		}
	}
	if deadline := params["deadline"]; deadline != nil {
		if ms, err := strconv.ParseFloat(string(deadline), 64); err == nil {
			call.deadline = &ms
		}
	}
	c.open[id] = true
	return call
}

// --- What goes out ---------------------------------------------------------------------------------

// result is the terminal frame of a call that succeeded; body holds its members as JSON. A frame over
// the cap becomes the error 4005 of the call.
func (c *connection) result(id string, body []byte) []byte {
	return c.end(id, frame(`{"jsonrpc":"2.0","id":`, id, `,"result":{`, string(body), "}}\n"))
}

// failure is the terminal frame of a call that failed.
func (c *connection) failure(id string, e wireError) []byte {
	return c.end(id, errorFrame(id, e))
}

func (c *connection) end(id string, whole []byte) []byte {
	if !c.open[id] {
		return nil
	}
	delete(c.open, id)
	if size := len(whole) - 1; size > c.maxFrame {
		said := fmt.Sprintf("the answer is a frame of %d bytes, over the cap of %d", size, c.maxFrame)
		return errorFrame(id, refusal(PayloadTooLarge, "PayloadTooLarge", said))
	}
	return whole
}

// tell is a notification; empty when the host did not offer the feature or the call has ended.
func (c *connection) tell(feature, id string, params []byte) []byte {
	whole := frame(`{"jsonrpc":"2.0","method":"node/`, eventOf[feature], `","params":`, string(params), "}\n")
	if !c.features[feature] || !c.open[id] || len(whole)-1 > c.maxFrame {
		return nil
	}
	return whole
}

var eventOf = map[string]string{"stream": "chunk", "progress": "progress", "log": "log"}

func errorFrame(id string, e wireError) []byte {
	body, err := encode(e.bounded())
	if err != nil { // the details were looked at before; this is the last resort
		body, _ = json.Marshal(refusal(-32603, "InternalError", "an error could not be written: "+err.Error()))
	}
	return frame(`{"jsonrpc":"2.0","id":`, id, `,"error":`, string(body), "}\n")
}
