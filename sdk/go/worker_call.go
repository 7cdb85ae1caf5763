package nodeling

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	progressEvery = 100 * time.Millisecond // at most ten a second for each call
	logsASecond   = 1000
	frameAround   = 64 // more than what a notification has around its params
)

var levels = map[string]int{"debug": 0, "info": 1, "warning": 2, "error": 3}

// newCall takes a call on. The worker's lock is held.
func newCall(w *worker, asked invoke) *Call {
	call := &Call{id: asked.id, worker: w, asked: asked, mask: newMask(asked.secrets), host: w.host}
	call.base, call.cancel = context.WithCancel(context.WithValue(context.Background(), callKey{}, call))
	call.ctx = call.base
	call.changed = sync.NewCond(&call.mu)
	streams := len(asked.meta.Stream) > 0 && (asked.meta.Stream[0] == '{' || string(asked.meta.Stream) == "true")
	if call.isStreaming = streams && w.conn.features["stream"]; call.isStreaming && w.conn.features["credit"] {
		var given struct{ Credit *int }
		if decode(asked.meta.Stream, &given) == nil {
			call.credit = given.Credit
		}
	}
	call.wantsProgress = isTrue(asked.meta.Progress)
	if call.minLevel = levelOf(call.host.logLevel); asked.meta.LogLevel != "" {
		call.minLevel = levelOf(asked.meta.LogLevel)
	}
	if w.conn.features["blob"] {
		call.folder = call.host.blobDir
	}
	return call
}

func isTrue(value any) bool {
	return value != nil && value != false && value != json.Number("0") && value != ""
}

func levelOf(name string) int {
	if level, ok := levels[name]; ok {
		return level
	}
	return levels["info"]
}

// run takes a call from its start to its terminal frame, also when the handler ends the goroutine.
func (c *Call) run() {
	var body []byte
	err := errors.New("the handler ended its goroutine with runtime.Goexit")
	defer func() {
		c.flushProgress()
		c.end()
		c.worker.finish(c, func(conn *connection) []byte { return c.terminal(conn, body, err) })
		c.cancel()
	}()
	body, err = c.outcome()
}

// terminal is the call's last frame. The worker's lock is held, so no cancel comes in between.
func (c *Call) terminal(conn *connection, body []byte, err error) []byte {
	switch {
	case c.base.Err() != nil && !c.hasStarted:
		return conn.failure(c.id, unstarted(cancelled()))
	case c.base.Err() != nil: // it was asked to end, and whatever it gave comes too late
		return conn.failure(c.id, cancelled())
	case err != nil:
		return conn.failure(c.id, c.mask.failure(c.failed(err)))
	}
	return conn.result(c.id, body)
}

// refused is why a call ends before the node sees it.
type refused struct{ wireError }

func (r refused) Error() string { return r.Message }

func (c *Call) failed(err error) wireError {
	var early refused
	if errors.As(err, &early) {
		return unstarted(early.wireError)
	}
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		return wireError{DeadlineExceeded, err.Error(), errorData{Type: "DeadlineExceeded"}}
	}
	return failureOf(err)
}

// outcome is the members of the result, or why there is none.
func (c *Call) outcome() (body []byte, err error) {
	input, err := c.begin()
	if err != nil {
		return nil, err
	}
	output, err := c.call(input)
	if err != nil {
		return nil, err
	}
	data, err := c.output(output)
	if err != nil {
		return nil, err
	}
	return c.resultBody(data)
}

func (c *Call) begin() (json.RawMessage, error) {
	asked := c.asked
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	if asked.deadline != nil {
		due := time.UnixMilli(int64(min(*asked.deadline, 1<<52)))
		if !due.After(time.Now()) {
			return nil, refused{wireError{DeadlineExceeded, "the deadline had passed when the call arrived", errorData{Type: "NotStarted"}}}
		}
		ctx, stop := context.WithDeadline(c.ctx, due)
		c.ctx, c.stop = ctx, stop
	}
	if name := c.worker.options.name; name != "" && asked.node != "" && asked.node != name {
		said := fmt.Sprintf("this process runs %q, not %.200q", name, asked.node)
		return nil, refused{refusal(UnknownNode, "NotStarted", said)}
	}
	c.hasStarted = true
	if !mayHoldBlobs(asked.input) {
		return asked.input, nil
	}
	var value any
	if err := decode(asked.input, &value); err != nil {
		return nil, err
	}
	value, err := resolveBlobs(value, c.host.blobDir)
	if err != nil {
		return nil, err
	}
	return encode(value)
}

// call runs the handler; that it panics is an error of this call alone.
func (c *Call) call(input json.RawMessage) (output any, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicked{value, string(debug.Stack())}
		}
	}()
	return c.worker.run(c.ctx, input)
}

// output is what travels as the call's output.
func (c *Call) output(value any) ([]byte, error) {
	data, err := encode(value)
	if err != nil {
		return nil, err
	}
	if c.stream != nil && string(data) == "null" && c.chunks == 0 {
		data = frame("[", string(bytes.Join(c.stream.kept, []byte(","))), "]")
		if _, err := scanValue(data, maxDepth); err != nil {
			return nil, err
		}
	}
	return c.wire(data)
}

// wire makes of JSON what travels: what is long goes into a file, and a node's own keys are told from
// references.
func (c *Call) wire(data []byte) ([]byte, error) {
	isShort := c.folder == "" || len(data) < c.host.spillBytes
	if !mayHoldBlobs(data) && isShort {
		return data, nil
	}
	if !mayHoldBlobs(data) {
		reference, err := putJSON(c.folder, data)
		if err != nil {
			return nil, err
		}
		return json.Marshal(reference)
	}
	var value any
	err := decode(data, &value)
	if err == nil && c.folder == "" {
		value = escapeBlobs(value, "")
	} else if err == nil {
		value, err = putAside(value, c.folder, c.host.spillBytes)
	}
	if err != nil {
		return nil, err
	}
	return encode(value)
}

func (c *Call) resultBody(output []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body := frame(`"output":`, string(output))
	add := func(name string, value any) error {
		data, err := encode(value)
		body = append(body, frame(`,"`, name, `":`, string(data))...)
		return err
	}
	written, deleted := map[string]json.RawMessage{}, []string{}
	for key, data := range c.delta {
		if data == nil {
			deleted = append(deleted, key)
		} else {
			written[key] = data
		}
	}
	if len(written) > 0 {
		if err := add("vars", written); err != nil {
			return nil, err
		}
	}
	if len(deleted) > 0 {
		if err := add("deleted", deleted); err != nil {
			return nil, err
		}
	}
	if c.chunks > 0 {
		body = append(body, `,"chunks":`+strconv.Itoa(c.chunks)...)
	}
	if c.dropped > 0 {
		c.setMetric("dropped", float64(c.dropped))
	}
	if len(c.metrics) > 0 {
		if err := add("metrics", c.metrics); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// end removes what the call left lying about.
func (c *Call) end() {
	if c.stop != nil {
		c.stop()
	}
	if c.madeDir != "" {
		os.RemoveAll(c.madeDir)
	}
}

// grant lets more chunks come. The worker's lock is held.
func (c *Call) grant(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.credit != nil {
		*c.credit += n
	}
	c.changed.Broadcast()
}

// awaitCredit holds the handler until it may send a chunk.
func (c *Call) awaitCredit() error {
	wake := context.AfterFunc(c.ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.credit != nil && c.chunks >= *c.credit && c.ctx.Err() == nil {
		c.changed.Wait()
	}
	return c.ctx.Err()
}

func (c *Call) sendChunk(data []byte) error {
	c.mu.Lock()
	seq := c.chunks
	c.mu.Unlock()
	params := frame(`{"id":`, c.id, `,"seq":`, strconv.Itoa(seq), `,"data":`, string(data), "}")
	if len(params)+frameAround > c.host.maxFrame {
		said := fmt.Sprintf("a chunk of %d bytes is over the cap of a frame", len(data))
		return &Error{Code: PayloadTooLarge, Message: said, Retry: RetryNo}
	}
	c.worker.tell("stream", c.id, params)
	c.mu.Lock()
	c.chunks = seq + 1
	c.mu.Unlock()
	return nil
}

// sendLog writes a log line, unless there have been too many.
func (c *Call) sendLog(level, message string, data any) {
	if levelOf(level) < c.minLevel || c.worker == nil {
		return
	}
	c.mu.Lock()
	now := time.Now()
	if now.Sub(c.logWindow) >= time.Second {
		c.logWindow, c.logs = now, 0
	}
	c.logs++
	isOver := c.logs > logsASecond
	if isOver {
		c.dropped++
	}
	c.mu.Unlock()
	if isOver {
		return
	}
	params := frame(`{"id":`, c.id, `,"level":`, jsonText(level), `,"message":`, jsonText(c.mask.text(message)))
	if data != nil {
		shown, err := encode(c.mask.value(data))
		if err != nil {
			shown = []byte(jsonText(c.mask.text(fmt.Sprintf("%.1000v", data))))
		}
		params = append(params, frame(`,"data":`, string(shown))...)
	}
	c.worker.tell("log", c.id, append(params, '}'))
}

// flushProgress sends the progress that is held back.
func (c *Call) flushProgress() {
	c.mu.Lock()
	told := c.progress
	c.progress = nil
	c.progressDue = time.Now().Add(progressEvery)
	c.mu.Unlock()
	if told == nil {
		return
	}
	params := frame(`{"id":`, c.id, `,"progress":`, jsonNumber(told.done))
	if told.total != 0 {
		params = append(params, frame(`,"total":`, jsonNumber(told.total))...)
	}
	if told.message != "" {
		params = append(params, frame(`,"message":`, jsonText(c.mask.text(told.message)))...)
	}
	c.worker.tell("progress", c.id, append(params, '}'))
}

func jsonNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// jsonText writes any text; what is no UTF-8 in it is shown as such.
func jsonText(text string) string {
	data, err := encode(strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		panic(err) // it is a text, and it is UTF-8
	}
	return string(data)
}
