// Package nodeling runs a Go function as a node: one process, warm between calls.
//
//	type In struct {
//		Name string `json:"name"`
//	}
//
//	type Out struct {
//		Greeting string `json:"greeting"`
//	}
//
//	func main() {
//		nodeling.Serve(func(ctx context.Context, in In) (Out, error) {
//			return Out{"Hello, " + in.Name}, nil
//		})
//	}
//
// The context ends when the call is cancelled or its deadline passes. What else came with a call, and
// the ways to report on it, stand in [CallOf]. An error becomes the error of the call; [Error] says
// more than a text. A panic fails its call alone.
//
// A value that travels is JSON as every language reads it alike: no NaN, no integers beyond ±(2^53-1),
// at most 64 levels, text that is UTF-8. An output that is not is refused, never changed: with In or
// Out as any, numbers are [json.Number] and come back as they went.
package nodeling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Version is the version of this SDK.
const Version = "0.1.0"

const exitUsage = 64

// Serve answers the host's calls with run, and ends the process when the host is gone or says that it
// is enough. In and Out are whatever encoding/json reads and writes; [json.RawMessage] is the JSON text
// itself.
func Serve[In, Out any](run func(ctx context.Context, in In) (Out, error)) {
	os.Exit(serve(os.Args[1:], func(ctx context.Context, input json.RawMessage) (any, error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, &Error{Code: InvalidInput, Message: "the input does not fit: " + err.Error(), Err: err}
		}
		return run(ctx, in)
	}))
}

type handler func(ctx context.Context, input json.RawMessage) (any, error)

func serve(args []string, run handler) int {
	options, err := parseOptions(args)
	if err == nil && !grabbed.isHosted {
		err = errors.New("this is the side of a node that a host talks to, and there is no host here")
	}
	if err == nil {
		err = grabbed.err
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "nodeling: %v\nTo run a node by hand: nodectl test DIR, or nodectl run FILE\n", err)
		return exitUsage
	}
	return newWorker(grabbed.channel, options, run).serve()
}

// options are what the host writes on the command line.
type options struct {
	name        string
	version     string
	concurrency int
	reads       map[string]bool
}

func parseOptions(args []string) (options, error) {
	given := map[string]string{"name": "", "version": "0.0.0", "concurrency": "1", "reads": ""}
	for len(args) > 0 {
		name, value, hasValue := strings.Cut(args[0], "=")
		args = args[1:]
		key, isOption := strings.CutPrefix(name, "--")
		if _, known := given[key]; !isOption || !known {
			return options{}, fmt.Errorf("%q is no option; there are --name, --version, --concurrency, --reads", name)
		}
		if !hasValue {
			if len(args) == 0 {
				return options{}, fmt.Errorf("%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		given[key] = value
	}
	many, err := strconv.Atoi(given["concurrency"])
	if err != nil || many < 1 {
		return options{}, fmt.Errorf("--concurrency is a number from 1 on, not %q", given["concurrency"])
	}
	reads := map[string]bool{}
	for _, word := range strings.Split(given["reads"], ",") {
		if word != "" {
			reads[word] = true
		}
	}
	return options{given["name"], given["version"], many, reads}, nil
}
