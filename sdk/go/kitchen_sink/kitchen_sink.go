// The kitchen sink: one node that does, on demand, everything the conformance cases look at.
//
// Every SDK ships the same one. do says what; the rest of the input says how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nodeling"
)

func init() {
	fmt.Println("kitchen sink imported") // a node that prints before it serves must hurt nobody
}

type input struct {
	Do           string
	Value        any
	Values       []float64
	MS           int64
	Message      string
	Code         any
	Retryable    *bool
	RetryAfterMS int64 `json:"retry_after_ms"`
	Details      any
	Causes       int
	Exit         *int
	Signal       int
	Text         string
	Times        *int
	How          string
	Lines        int
	Bytes        int
	Level        string
	Data         map[string]any
	Seconds      int
	Set          map[string]any
	Delete       []string
	Vars         []string
	Body         bool
	Name         string
	What         string
	N            int
	Returns      any
}

func (in input) times() int {
	if in.Times == nil {
		return 1
	}
	return *in.Times
}

type action func(ctx context.Context, call *nodeling.Call, in input) (any, error)

var actions = map[string]action{
	"about":         about,
	"big":           big,
	"blob":          blob,
	"crash":         crash,
	"echo":          echo,
	"environment":   environment,
	"fail":          fail,
	"ignore_cancel": ignoreCancel,
	"leak_child":    leakChild,
	"log":           log,
	"metric":        metric,
	"odd":           odd,
	"print":         say,
	"progress":      progress,
	"read":          read,
	"read_stdin":    readStdin,
	"sleep":         sleep,
	"spawn_print":   spawnPrint,
	"spin":          spin,
	"stream":        stream,
	"sum":           sum,
	"work_dir":      workDir,
	"write":         write,
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "flood" { // the grandchild of spawn_print
		flood(os.Args[2])
		return
	}
	nodeling.Serve(func(ctx context.Context, in input) (any, error) {
		do, known := actions[in.Do]
		if !known {
			return nil, fmt.Errorf("there is no action %q", in.Do)
		}
		return do(ctx, nodeling.CallOf(ctx), in)
	})
}

// echo gives back value.
func echo(_ context.Context, _ *nodeling.Call, in input) (any, error) { return in.Value, nil }

// sum adds up values.
func sum(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	total := 0.0
	for _, value := range in.Values {
		total += value
	}
	return total, nil
}

// sleep sleeps for ms, or until it is cancelled.
func sleep(ctx context.Context, call *nodeling.Call, in input) (any, error) {
	call.Logger().Info("started")
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(in.MS) * time.Millisecond):
		return in.Value, nil
	}
}

// spin keeps the processor busy for ms.
func spin(_ context.Context, call *nodeling.Call, in input) (any, error) {
	call.Logger().Info("started")
	end := time.Now().Add(time.Duration(in.MS) * time.Millisecond)
	for time.Now().Before(end) {
		continue
	}
	return nil, nil
}

// ignoreCancel sleeps for ms whatever happens.
func ignoreCancel(_ context.Context, call *nodeling.Call, in input) (any, error) {
	call.Logger().Info("started")
	time.Sleep(time.Duration(in.MS) * time.Millisecond)
	return "ignored", nil
}

// RuntimeError and ValueError bear the names that every kitchen sink's errors have.
type (
	RuntimeError struct {
		message string
		cause   error
	}
	ValueError struct {
		message string
		cause   error
	}
)

func (e RuntimeError) Error() string { return e.message }
func (e RuntimeError) Unwrap() error { return e.cause }
func (e ValueError) Error() string   { return e.message }
func (e ValueError) Unwrap() error   { return e.cause }

// fail panics, or with a code returns an error that carries it.
func fail(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	message := in.Message
	if message == "" {
		message = "failed"
	}
	if in.Code != nil {
		found := &nodeling.Error{Message: message, Details: in.Details}
		found.RetryAfter = time.Duration(in.RetryAfterMS) * time.Millisecond
		if in.Retryable != nil {
			found.Retry = map[bool]nodeling.Retry{true: nodeling.RetryYes, false: nodeling.RetryNo}[*in.Retryable]
		}
		switch code := in.Code.(type) {
		case string:
			found.Name = code
		case json.Number:
			number, err := strconv.Atoi(code.String())
			if err != nil {
				return nil, err
			}
			found.Code = number
		}
		return nil, found
	}
	var cause error
	for depth := in.Causes; depth > 0; depth-- {
		cause = ValueError{fmt.Sprintf("cause %d", depth), cause}
	}
	panic(RuntimeError{message, cause})
}

// crash ends the process: with an exit status, or by a signal.
func crash(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	if in.Signal != 0 {
		if err := syscall.Kill(os.Getpid(), syscall.Signal(in.Signal)); err != nil {
			return nil, err
		}
		select {}
	}
	os.Exit(*in.Exit)
	return nil, nil
}

// say prints text on stdout: as a line, bare (no newline), native (straight to fd 1), or on stderr.
func say(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	for range in.times() {
		var err error
		switch in.How {
		case "native":
			_, err = syscall.Write(1, []byte(in.Text+"\n"))
		case "stderr":
			var latin []byte
			for _, char := range in.Text {
				latin = append(latin, byte(char))
			}
			_, err = os.Stderr.Write(latin)
		case "line":
			_, err = fmt.Println(in.Text)
		default:
			_, err = fmt.Print(in.Text)
		}
		if err != nil {
			return nil, err
		}
	}
	return in.times(), nil
}

func flood(lines string) {
	many, err := strconv.Atoi(lines)
	if err != nil {
		panic(err)
	}
	for n := range many {
		fmt.Println("grandchild", n, strings.Repeat("x", 80))
	}
}

// spawnPrint lets a grandchild flood fd 1 while a value of so many bytes is returned.
func spawnPrint(ctx context.Context, _ *nodeling.Call, in input) (any, error) {
	child := exec.CommandContext(ctx, os.Args[0], "flood", strconv.Itoa(in.Lines))
	child.Stdout = os.Stdout
	if err := child.Run(); err != nil {
		return nil, err
	}
	return map[string]any{"text": strings.Repeat("y", in.Bytes), "exit": child.ProcessState.ExitCode()}, nil
}

// big is a text of so many bytes.
func big(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	return strings.Repeat("z", in.Bytes), nil
}

// blob counts the bytes of the blob value.
func blob(_ context.Context, call *nodeling.Call, in input) (any, error) {
	data, err := json.Marshal(in.Value)
	if err != nil {
		return nil, err
	}
	var reference nodeling.Blob
	if err := json.Unmarshal(data, &reference); err != nil {
		return nil, err
	}
	file, err := call.OpenBlob(reference)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	many, err := io.Copy(io.Discard, file)
	return map[string]any{"bytes": many}, err
}

// log logs message so many times.
func log(_ context.Context, call *nodeling.Call, in input) (any, error) {
	logger := call.Logger()
	for key, value := range in.Data {
		logger = logger.With(key, value)
	}
	for range in.times() {
		switch in.Level {
		case "debug":
			logger.Debug(in.Message)
		case "warning":
			logger.Warn(in.Message)
		case "error":
			logger.Error(in.Message)
		default:
			logger.Info(in.Message)
		}
	}
	return nil, nil
}

// progress reports progress so many times.
func progress(_ context.Context, call *nodeling.Call, in input) (any, error) {
	for n := range in.times() {
		call.Progress(float64(n+1), float64(in.times()), "working")
	}
	return in.times(), nil
}

// readStdin is what a library that reads stdin gets.
func readStdin(_ context.Context, _ *nodeling.Call, _ input) (any, error) {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	native := make([]byte, 100)
	many, err := syscall.Read(0, native)
	return map[string]any{"go": string(text), "native": string(native[:max(0, many)])}, err
}

// leakChild starts a child that outlives the call and holds every descriptor it was given.
func leakChild(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	child := exec.Command("sleep", strconv.Itoa(in.Seconds))
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return nil, err
	}
	return child.Process.Pid, nil
}

// about is what came with the call.
func about(ctx context.Context, call *nodeling.Call, _ input) (any, error) {
	config, secrets := map[string]any{}, map[string]string{}
	if err := call.Config(&config); err != nil {
		return nil, err
	}
	for name, secret := range call.Secrets() {
		secrets[name] = secret
	}
	var deadline any
	if due, ok := ctx.Deadline(); ok {
		deadline = float64(due.UnixMilli()) / 1000
	}
	return map[string]any{
		"config":          config,
		"secrets":         secrets,
		"run_id":          call.RunID(),
		"step":            call.Step(),
		"attempt":         call.Attempt(),
		"idempotency_key": call.IdempotencyKey(),
		"deadline":        deadline,
	}, nil
}

// workDir writes a file into the call's folder.
func workDir(_ context.Context, call *nodeling.Call, _ input) (any, error) {
	folder, err := call.WorkDir()
	if err != nil {
		return nil, err
	}
	return folder, os.WriteFile(filepath.Join(folder, "made.txt"), []byte("here"), 0o600)
}

// write sets and deletes context variables.
func write(_ context.Context, call *nodeling.Call, in input) (any, error) {
	for key, value := range in.Set {
		if err := call.SetVar(key, value); err != nil {
			return nil, err
		}
	}
	for _, key := range in.Delete {
		if err := call.DeleteVar(key); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// read reads context variables and the body of the request.
func read(_ context.Context, call *nodeling.Call, in input) (any, error) {
	vars := map[string]any{}
	for _, key := range in.Vars {
		var value any
		if _, err := call.Var(key, &value); err != nil {
			return nil, err
		}
		vars[key] = value
	}
	found := map[string]any{"vars": vars}
	if in.Body {
		var body any
		if err := call.Request("body", &body); err != nil {
			return nil, err
		}
		found["body"] = body
	}
	return found, nil
}

// metric records a figure.
func metric(_ context.Context, call *nodeling.Call, in input) (any, error) {
	value, ok := in.Value.(json.Number)
	if !ok {
		return nil, errors.New("value is a number")
	}
	figure, err := value.Float64()
	call.Metric(in.Name, figure)
	return nil, err
}

// odd is an output that cannot travel.
func odd(_ context.Context, _ *nodeling.Call, in input) (any, error) {
	return map[string]any{
		"nan":       math.NaN(),
		"infinity":  map[string]any{"deep": []float64{math.Inf(1)}},
		"integer":   int64(1) << 53,
		"object":    make(chan int),
		"bytes":     []byte("x"),
		"surrogate": "\xed\xa0\x80",
		"key":       map[int]int{1: 2},
	}[in.What], nil
}

// environment lists the environment variables, and the descriptors that a child would inherit.
func environment(_ context.Context, _ *nodeling.Call, _ input) (any, error) {
	names, inheritable := []string{}, []int{}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	found, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, one := range found {
		fd, err := strconv.Atoi(one.Name())
		if err != nil {
			return nil, err
		}
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if fd > 2 && errno == 0 && flags&syscall.FD_CLOEXEC == 0 { // the one that listed the others is gone
			inheritable = append(inheritable, fd)
		}
	}
	return map[string]any{"names": names, "inheritable": inheritable}, nil
}

// stream sends n parts, each {"n": i, "text": …}, and returns returns.
func stream(_ context.Context, call *nodeling.Call, in input) (any, error) {
	parts := call.Stream()
	for n := range in.N {
		if err := parts.Send(map[string]any{"n": n, "text": strings.Repeat("c", in.Bytes)}); err != nil {
			return nil, err
		}
	}
	return in.Returns, nil
}
