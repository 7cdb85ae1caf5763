package nodeling

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const patience = 30 * time.Second // a slow machine is no fault

// host talks to a worker in this process over two real pipes.
type host struct {
	t      *testing.T
	in     *os.File
	frames chan map[string]any
	status chan int
}

func newHost(t *testing.T, options options, run handler) *host {
	t.Helper()
	toNode, in := pipe(t)
	out, fromNode := pipe(t)
	if options.concurrency == 0 {
		options.concurrency = 1
	}
	w := newWorker(channel{toNode, int(fromNode.Fd())}, options, run)
	h := &host{t, in, make(chan map[string]any, 100), make(chan int, 1)}
	go func() {
		h.status <- w.serve()
		fromNode.Close()
	}()
	go func() {
		defer close(h.frames)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var found map[string]any
			if err := decode(line, &found); err != nil {
				t.Errorf("%s is no frame: %v", line, err)
				return
			}
			h.frames <- found
		}
	}()
	t.Cleanup(func() {
		in.Close()
		select {
		case <-h.status:
		case <-time.After(patience):
			t.Error("the worker did not end with its channel")
		}
		toNode.Close()
		out.Close()
	})
	return h
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func (h *host) send(lines ...string) {
	h.t.Helper()
	if _, err := h.in.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) hello(more string) {
	h.t.Helper()
	h.send(`{"jsonrpc":"2.0","id":1,"method":"node/hello","params":{"protocol":[1],"features":["blob","cancel","credit","drain","log","ping","progress","stream"]` + more + `}}`)
	h.expect(`{"id":1}`)
}

func (h *host) invoke(id int, params string) {
	h.t.Helper()
	h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"node/invoke","params":{%s}}`, id, params))
}

// expect takes the next frame, which has to have these members.
func (h *host) expect(pattern string) map[string]any {
	h.t.Helper()
	var wanted any
	if err := decode([]byte(pattern), &wanted); err != nil {
		h.t.Fatal(err)
	}
	select {
	case found := <-h.frames:
		if !matches(wanted, found) {
			h.t.Fatalf("%v came, not %s", found, pattern)
		}
		return found
	case <-time.After(patience):
		h.t.Fatalf("nothing came for %s", pattern)
		return nil
	}
}

func matches(wanted, found any) bool {
	object, ok := wanted.(map[string]any)
	if !ok {
		return reflect.DeepEqual(wanted, found)
	}
	given, ok := found.(map[string]any)
	for key, value := range object {
		ok = ok && matches(value, given[key])
	}
	return ok
}

func typed[In, Out any](run func(context.Context, In) (Out, error)) handler {
	return func(ctx context.Context, input json.RawMessage) (any, error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, err
		}
		return run(ctx, in)
	}
}

func TestACancelEndsTheContextAndTheAnswerIsOne(t *testing.T) {
	h := newHost(t, options{concurrency: 2}, typed(func(ctx context.Context, in string) (string, error) {
		CallOf(ctx).Logger().Info("waiting")
		<-ctx.Done()
		return "too late", nil
	}))
	h.hello("")
	h.invoke(2, `"input":"a"`)
	h.expect(`{"method":"node/log","params":{"id":2,"level":"info","message":"waiting"}}`)
	h.send(`{"jsonrpc":"2.0","method":"node/cancel","params":{"id":2}}`, `{"jsonrpc":"2.0","id":3,"method":"node/ping"}`)
	first, second := h.expect(`{}`), h.expect(`{}`)
	if first["id"] == json.Number("3") {
		first, second = second, first
	}
	if !matches(map[string]any{"code": json.Number("-32800")}, first["error"]) || second["result"] == nil {
		t.Errorf("%v, %v", first, second)
	}
}

func TestADeadlineEndsTheContext(t *testing.T) {
	h := newHost(t, options{}, typed(func(ctx context.Context, in any) (any, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("fetching: %w", ctx.Err())
	}))
	h.invoke(2, fmt.Sprintf(`"deadline":%d`, time.Now().Add(50*time.Millisecond).UnixMilli()))
	h.expect(`{"id":2,"error":{"code":5004,"message":"fetching: context deadline exceeded"}}`)
}

func TestAPanicAndAGoexitFailTheirOwnCallAlone(t *testing.T) {
	h := newHost(t, options{}, typed(func(_ context.Context, in string) (string, error) {
		if in == "panic" {
			panic("no luck")
		}
		return in, nil
	}))
	h.invoke(2, `"input":"panic"`)
	found := h.expect(`{"id":2,"error":{"code":4000,"message":"no luck","data":{"type":"panic"}}}`)
	trace := found["error"].(map[string]any)["data"].(map[string]any)["traceback"].(string)
	if !strings.Contains(trace, "worker_test.go") {
		t.Errorf("the traceback does not name the file: %s", trace)
	}
	h.invoke(3, `"input":7`)
	h.expect(`{"id":3,"error":{"code":4000}}`)
	h.invoke(4, `"input":"fine"`)
	h.expect(`{"id":4,"result":{"output":"fine"}}`)
}

func TestAnErrorSaysWhatItIs(t *testing.T) {
	cause := errors.New("connection refused")
	e := &Error{Code: RateLimited, Message: "later", Retry: RetryYes, RetryAfter: time.Second, Details: []int{1}, Err: cause}
	for _, err := range []error{e, fmt.Errorf("api: %w", e)} {
		data, fault := encode(failureOf(err))
		want := fmt.Sprintf(`{"code":5001,"message":%q,"data":{"type":"NodeError","retryable":true,"retry_after_ms":1000,`+
			`"details":{"details":[1]},"cause":{"type":"error","message":"connection refused"}}}`, err)
		if fault != nil || string(data) != want {
			t.Errorf("%s, %v", data, fault)
		}
	}
	both := failureOf(errors.Join(fs("a"), fs("b")))
	if both.Code != UserError || both.Message != "a\nb" {
		t.Errorf("%+v", both)
	}
	if found := failureOf(&Error{Code: 9003, Message: "x"}); found.Code != UserError {
		t.Errorf("%+v", found)
	}
}

type fs string

func (f fs) Error() string { return string(f) }

func TestChunksWaitForCreditAndAreCounted(t *testing.T) {
	h := newHost(t, options{}, typed(func(ctx context.Context, many int) (any, error) {
		parts := CallOf(ctx).Stream()
		for n := range many {
			if err := parts.Send(n); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	h.hello("")
	h.invoke(2, `"input":3,"_meta":{"stream":{"credit":1}}`)
	h.expect(`{"method":"node/chunk","params":{"id":2,"seq":0,"data":0}}`)
	select {
	case frame := <-h.frames:
		t.Fatalf("%v came without credit", frame)
	case <-time.After(100 * time.Millisecond):
	}
	h.send(`{"jsonrpc":"2.0","method":"node/credit","params":{"id":2,"n":5}}`)
	h.expect(`{"params":{"seq":1}}`)
	h.expect(`{"params":{"seq":2}}`)
	h.expect(`{"id":2,"result":{"output":null,"chunks":3}}`)
	h.invoke(3, `"input":2`)
	h.expect(`{"id":3,"result":{"output":[0,1]}}`)
	h.invoke(4, `"input":2,"_meta":{"stream":{"credit":1}}`)
	h.expect(`{"params":{"id":4,"seq":0}}`)
	h.send(`{"jsonrpc":"2.0","method":"node/cancel","params":{"id":4}}`)
	h.expect(`{"id":4,"error":{"code":-32800}}`)
}

func TestBlobsAreWrittenReadAndPassedOn(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "given"), []byte("some bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	type pair struct {
		Given Blob `json:"given"`
		Made  Blob `json:"made"`
	}
	h := newHost(t, options{}, typed(func(ctx context.Context, in pair) (any, error) {
		call := CallOf(ctx)
		file, err := call.OpenBlob(in.Given)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		made, err := call.WriteBlob(file, "text/plain")
		return map[string]any{"given": in.Given, "made": made, "$blob": "mine"}, err
	}))
	h.hello(`,"blob_dir":` + jsonText(folder))
	const given = `{"$blob":{"path":"given","size":10,"media_type":"text/plain","encoding":"raw"}}`
	h.invoke(2, `"input":{"given":`+given+`}`)
	found := h.expect(`{"id":2,"result":{"output":{"given":` + given + `,"made":{"$blob":{"size":10,"encoding":"raw"}},"$$blob":"mine"}}}`)
	made := found["result"].(map[string]any)["output"].(map[string]any)["made"].(map[string]any)["$blob"].(map[string]any)
	if data, err := os.ReadFile(filepath.Join(folder, made["path"].(string))); err != nil || string(data) != "some bytes" {
		t.Errorf("%q, %v", data, err)
	}
	h.invoke(3, `"input":{"given":{"$blob":{"path":"../given","size":10,"media_type":"x","encoding":"raw"}}}`)
	h.expect(`{"id":3,"error":{"code":4001}}`)
}

func TestALongValueThatHoldsAReferenceIsPutAsideInParts(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "given"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, options{}, typed(func(_ context.Context, in any) (any, error) {
		return map[string]any{"given": in, "long": []any{strings.Repeat("z", 500), map[string]any{"$blob": 1}}, "$blob": "mine"}, nil
	}))
	h.hello(`,"limits":{"spill_bytes":300},"blob_dir":` + jsonText(folder))
	const given = `{"$blob":{"path":"given","size":1,"media_type":"text/plain","encoding":"raw"}}`
	h.invoke(2, `"input":`+given)
	found := h.expect(`{"id":2,"result":{"output":{"given":` + given + `,"long":{"$blob":{"encoding":"json"}},"$$blob":"mine"}}}`)
	long := found["result"].(map[string]any)["output"].(map[string]any)["long"].(map[string]any)["$blob"].(map[string]any)
	data, err := os.ReadFile(filepath.Join(folder, long["path"].(string)))
	if wanted := `["` + strings.Repeat("z", 500) + `",{"$blob":1}]`; err != nil || string(data) != wanted {
		t.Errorf("the file holds %s, %v", data, err)
	}
}

func TestAShutdownWaitsForTheLastCallAndRefusesNewOnes(t *testing.T) {
	release := make(chan struct{})
	h := newHost(t, options{}, typed(func(ctx context.Context, _ any) (any, error) {
		CallOf(ctx).Logger().Info("started")
		<-release
		return 1, nil
	}))
	h.hello("")
	h.invoke(2, `"input":1`)
	h.expect(`{"method":"node/log"}`)
	h.send(`{"jsonrpc":"2.0","id":3,"method":"node/shutdown","params":{"grace_ms":1}}`)
	h.invoke(4, `"input":1`)
	h.expect(`{"id":4,"error":{"code":5002,"data":{"started":false}}}`)
	close(release)
	h.expect(`{"id":2,"result":{"output":1}}`)
	h.expect(`{"id":3,"result":{}}`)
	if code := <-h.status; code != 0 {
		t.Errorf("it ended with %d", code)
	}
	h.status <- 0 // for the clean-up
}

func TestTheChannelsEndEndsAWorkerWhoseHandlerIsBusy(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	h := newHost(t, options{}, typed(func(ctx context.Context, _ any) (any, error) {
		CallOf(ctx).Logger().Info("started")
		<-release
		return nil, nil
	}))
	h.hello("")
	h.invoke(2, `"input":1`)
	h.expect(`{"method":"node/log"}`)
	h.in.Close()
	select {
	case <-h.status:
		h.status <- 0
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

func TestLinesAreTheSameHoweverTheyAreCut(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 3000 {
		var data []byte
		for range 1 + random.Intn(6) {
			data = append(data, bytes.Repeat([]byte("x"), random.Intn(14))...)
			data = append(data, []string{"\n", "\r\n", "\n\n"}[random.Intn(3)]...)
		}
		whole, pieces := lines(data, len(data)), lines(data, 1+random.Intn(4))
		if !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("%q: %q, in pieces %q", data, whole, pieces)
		}
	}
}

func lines(data []byte, step int) (found []string) {
	reader := frameReader{max: 8}
	for len(data) > 0 {
		n := min(step, len(data))
		ok := reader.feed(data[:n], func(line []byte, size int) { found = append(found, fmt.Sprint(string(line[:min(8, len(line))]), size)) })
		if !ok {
			return append(found, "lost")
		}
		data = data[n:]
	}
	return found
}

func TestAnEndlessLineIsGivenUpInBoundedMemory(t *testing.T) {
	reader := frameReader{max: 100_000}
	piece := bytes.Repeat([]byte("x"), 10_000)
	for n := range 100 {
		if !reader.feed(piece, func([]byte, int) { t.Error("a line came") }) {
			if n != 40 {
				t.Errorf("it was given up after %d pieces", n)
			}
			return
		}
		if len(reader.held) > 110_000 {
			t.Fatalf("%d bytes are held", len(reader.held))
		}
	}
	t.Error("it was never given up")
}

func TestTheEnvelopeNamesNothingTwice(t *testing.T) {
	h := newHost(t, options{}, typed(func(_ context.Context, in any) (any, error) { return in, nil }))
	h.send(`{"jsonrpc":"2.0","id":2,"id":3,"method":"node/invoke","params":{"input":1}}`)
	h.expect(`{"id":null,"error":{"code":-32600}}`)
	h.invoke(4, `"input":{"a":1,"a":2}`)
	h.expect(`{"id":4,"result":{"output":{"a":2}}}`)
}

func TestALoggersAttributesAreTheDataOfTheLine(t *testing.T) {
	h := newHost(t, options{}, typed(func(ctx context.Context, _ any) (any, error) {
		logger := CallOf(ctx).Logger().With("a", 1).WithGroup("g").With("b", errors.New("bad"))
		logger.Warn("seen", slog.Group("h", "c", 2*time.Second), "d", json.Number("3"))
		logger.Debug("not asked for")
		return nil, nil
	}))
	h.hello("")
	h.invoke(2, `"input":1`)
	h.expect(`{"params":{"level":"warning","data":{"a":1,"g":{"b":"bad","h":{"c":"2s"},"d":3}}}}`)
	h.expect(`{"id":2,"result":{"output":null}}`)
}

func TestAHandlerRunsInAUnitTestWithoutAHost(t *testing.T) {
	call := CallOf(context.Background())
	call.Logger().Info("nobody reads this")
	call.Progress(1, 2, "x")
	call.Metric("rows", 1)
	var value any
	found, err := call.Var("x", &value)
	if err := errors.Join(err, call.SetVar("y", 1), call.Stream().Send(1), call.Config(&value)); err != nil || found {
		t.Error(err, found)
	}
	if _, err := call.Var("y", &value); err != nil || value != json.Number("1") {
		t.Error(value, err)
	}
}

func TestVariablesAndTheRequestAreReadAsFarAsTheyWereSent(t *testing.T) {
	reads := map[string]bool{"vars.known": true}
	h := newHost(t, options{reads: reads}, typed(func(ctx context.Context, key string) (any, error) {
		var value any
		found, err := CallOf(ctx).Var(key, &value)
		return map[string]any{"found": found, "value": value}, err
	}))
	h.invoke(2, `"input":"sent","context":{"vars":{"sent":null}}`)
	h.expect(`{"id":2,"result":{"output":{"found":true,"value":null}}}`)
	h.invoke(3, `"input":"known"`)
	h.expect(`{"id":3,"result":{"output":{"found":false}}}`)
	h.invoke(4, `"input":"other"`)
	h.expect(`{"id":4,"error":{"code":4000,"data":{"code":"context.not_sent"}}}`)
}

func TestOptionsAreReadInBothForms(t *testing.T) {
	found, err := parseOptions([]string{"--name=a=b", "--concurrency", "3", "--reads", "vars.a,vars.b"})
	if err != nil || found.name != "a=b" || found.concurrency != 3 || len(found.reads) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
	for _, wrong := range [][]string{{"--nmae=x"}, {"name"}, {"--name"}, {"--concurrency=0"}} {
		if _, err := parseOptions(wrong); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
}
