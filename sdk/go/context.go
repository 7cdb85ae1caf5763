package nodeling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"
)

// A Call is what a handler sees of the call it answers, beside its input. It serves any goroutine of
// the handler until the handler returns.
type Call struct {
	id     string
	worker *worker
	asked  invoke
	host   greeting
	mask   mask

	base        context.Context // ends with the call, or when the host asks it to
	ctx         context.Context // ends at the deadline as well
	cancel      context.CancelFunc
	stop        context.CancelFunc
	hasStarted  bool
	isStreaming bool   // the host wants chunks
	folder      string // where the host takes blobs; empty where it takes none
	minLevel    int

	mu            sync.Mutex
	changed       *sync.Cond // more credit, or the end
	stream        *Stream
	chunks        int
	credit        *int // nil: as many as there are
	delta         map[string]json.RawMessage
	metrics       map[string]float64
	wantsProgress bool
	progress      *progress
	progressDue   time.Time
	logWindow     time.Time
	logs          int
	dropped       int
	madeDir       string
}

type callKey struct{}

type progress struct {
	done, total float64
	message     string
}

// CallOf gives the call that a handler's context belongs to. For any other context, as in a unit test of
// the handler, it is a call that nothing came with and that reports to nobody.
func CallOf(ctx context.Context) *Call {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		return call
	}
	return &Call{ctx: ctx, base: ctx, minLevel: math.MaxInt, mask: newMask(nil)}
}

// RunID names the run that the call is part of.
func (c *Call) RunID() string { return c.asked.context.RunID }

// Step names the step of the workflow.
func (c *Call) Step() string { return c.asked.context.Step }

// Attempt counts the tries of this step, from 1.
func (c *Call) Attempt() int { return max(1, c.asked.context.Attempt) }

// IdempotencyKey is the same over all attempts of a step and different for any other.
func (c *Call) IdempotencyKey() string { return c.asked.context.IdempotencyKey }

// Secret gives a secret that the manifest declares; empty when there is none of that name.
func (c *Call) Secret(name string) string { return c.asked.secrets[name] }

// Secrets gives all of them.
func (c *Call) Secrets() map[string]string { return c.asked.secrets }

// Config reads the step's config, which the manifest's schema has been held against, into a struct or
// a map.
func (c *Call) Config(into any) error {
	if len(c.asked.config) == 0 {
		return nil
	}
	if err := decode(c.asked.config, into); err != nil {
		return &Error{Code: InvalidConfig, Message: "the config does not fit: " + err.Error(), Err: err}
	}
	return nil
}

// Var reads a variable of the run's context; false when nobody wrote it. The manifest says in its reads
// which variables travel.
func (c *Call) Var(key string, into any) (bool, error) {
	c.mu.Lock()
	data, isOwn := c.delta[key]
	c.mu.Unlock()
	if !isOwn {
		data = c.asked.context.Vars[key]
	}
	if data != nil {
		return true, decode(data, into)
	}
	if isOwn {
		return false, nil
	}
	return false, c.declared("vars."+key, "vars.*")
}

// SetVar writes a variable; later steps see it when this call succeeds.
func (c *Call) SetVar(key string, value any) error {
	data, err := encode(value)
	if err != nil {
		return fmt.Errorf("the variable %q: %w", key, err)
	}
	return c.write(key, data)
}

// DeleteVar removes a variable for later steps.
func (c *Call) DeleteVar(key string) error { return c.write(key, nil) }

func (c *Call) write(key string, data json.RawMessage) error {
	if key == "" {
		return &Error{Name: "context.key", Message: "a context key is a text that is not empty"}
	}
	if err := checkText(key, ""); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delta == nil {
		c.delta = map[string]json.RawMessage{}
	}
	c.delta[key] = data
	return nil
}

// Request reads a part of what started the run: body, headers, query, params, method or path.
func (c *Call) Request(part string, into any) error {
	if data := c.asked.context.Request[part]; data != nil {
		return decode(data, into)
	}
	return c.declared("request."+part, "request.*", "request")
}

// Failure reads what failed, in steps that handle errors: its code, step, message and others. It is
// false in all others.
func (c *Call) Failure(into any) (bool, error) {
	data := c.asked.context.Error
	if len(data) == 0 || string(data) == "null" {
		return false, nil
	}
	return true, decode(data, into)
}

// declared is nil where the manifest says that the node reads one of these.
func (c *Call) declared(words ...string) error {
	if c.worker == nil {
		return nil
	}
	for _, word := range words {
		if c.worker.options.reads[word] {
			return nil
		}
	}
	said := "this node does not declare that it reads %q; add it to `reads` in its config.json"
	return &Error{Name: "context.not_sent", Message: fmt.Sprintf(said, words[0])}
}

// WorkDir gives a private folder for this call, which is removed when the call ends.
func (c *Call) WorkDir() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if given := c.asked.context.WorkDir; given != "" {
		return given, os.MkdirAll(given, 0o700)
	}
	if c.madeDir == "" {
		made, err := os.MkdirTemp("", "call-")
		if err != nil {
			return "", err
		}
		c.madeDir = made
	}
	return c.madeDir, nil
}

// Progress tells how far the call has come: done of total, which is 0 where it is not known.
func (c *Call) Progress(done, total float64, message string) {
	if !c.wantsProgress {
		return
	}
	c.mu.Lock()
	if math.IsNaN(done+total) || math.IsInf(done+total, 0) {
		c.dropped++
		c.mu.Unlock()
		return
	}
	c.progress = &progress{done, total, message}
	isDue := !time.Now().Before(c.progressDue)
	c.mu.Unlock()
	if isDue {
		c.flushProgress()
	}
}

// Metric records a figure; it stands in the step's metrics.
func (c *Call) Metric(name string, value float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setMetric(name, value)
}

func (c *Call) setMetric(name string, value float64) {
	if c.metrics == nil {
		c.metrics = map[string]float64{}
	}
	c.metrics[name] = value
}

// Logger writes log lines of the call.
func (c *Call) Logger() *slog.Logger { return slog.New(&logHandler{call: c}) }

// OpenBlob opens the bytes of a value that came by reference.
func (c *Call) OpenBlob(b Blob) (*os.File, error) { return openBlob(c.host.blobDir, b) }

// WriteBlob makes a file of what is read, and gives the reference to return in the output.
func (c *Call) WriteBlob(from io.Reader, mediaType string) (Blob, error) {
	if c.folder == "" {
		return Blob{}, errors.New("the host takes no blobs")
	}
	return writeBlob(c.folder, from, mediaType, "raw")
}

// A Stream sends a call's output in parts.
type Stream struct {
	call *Call
	kept [][]byte
}

// Stream makes the call's output a stream. A handler that sends parts and returns nil has the list of
// them as its output; what it returns otherwise is the output.
func (c *Call) Stream() *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == nil {
		c.stream = &Stream{call: c}
	}
	return c.stream
}

// Send sends one part. It waits until the host can take it, and fails when the call is to end.
func (s *Stream) Send(value any) error {
	c := s.call
	if err := c.ctx.Err(); err != nil {
		return err
	}
	data, err := encode(value)
	if err != nil {
		return err
	}
	if !c.isStreaming {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.kept = append(s.kept, data)
		return nil
	}
	if data, err = c.wire(data); err != nil {
		return err
	}
	if err := c.awaitCredit(); err != nil {
		return err
	}
	return c.sendChunk(data)
}
