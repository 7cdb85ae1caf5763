package nodeling

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// What an error code says. Codes from 9000 to 9999 are the host's; an error that carries one leaves the
// process as [UserError].
const (
	Cancelled             = -32800
	UserError             = 4000 // the author's own; the step decides whether to try again
	InvalidInput          = 4001
	InvalidConfig         = 4002
	PermissionDenied      = 4003
	UnknownNode           = 4004
	PayloadTooLarge       = 4005
	InvalidOutput         = 4006
	Unsupported           = 4010
	UnsupportedProtocol   = 4100
	Transient             = 5000
	RateLimited           = 5001
	Overloaded            = 5002
	DeadlineExceeded      = 5004
	DependencyUnavailable = 5005
)

// Retry says whether it makes sense to try a call again.
type Retry int

// The zero value leaves it to the code, and with [UserError] to the step.
const (
	RetryByCode Retry = iota
	RetryYes
	RetryNo
)

// An Error is why a call has no output, said so that a workflow can act on it.
type Error struct {
	Code       int    // one of the constants, or a number of your own; 0 is UserError
	Name       string // a dotted word of your own, as acme.quota; it stands in place of the code
	Message    string
	Retry      Retry
	RetryAfter time.Duration
	Details    any   // a JSON value
	Err        error // the cause
}

func (e *Error) Error() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	maxTraceback = 32 << 10 // bytes
	maxMessage   = 64 << 10
	maxCauses    = 5
)

// wireError is the error member of a frame.
type wireError struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Data    errorData `json:"data"`
}

type errorData struct {
	Type         string     `json:"type"`
	Code         string     `json:"code,omitempty"`
	Retryable    *bool      `json:"retryable,omitempty"`
	RetryAfterMS *int64     `json:"retry_after_ms,omitempty"`
	Started      *bool      `json:"started,omitempty"`
	Supported    []int      `json:"supported,omitempty"`
	Details      any        `json:"details,omitempty"`
	Traceback    string     `json:"traceback,omitempty"`
	Cause        *wireCause `json:"cause,omitempty"`
}

type wireCause struct {
	Type    string     `json:"type"`
	Message string     `json:"message"`
	Cause   *wireCause `json:"cause,omitempty"`
}

// panicked is what a handler that panicked leaves behind.
type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// failureOf says what a handler's error is on the wire.
func failureOf(err error) wireError {
	var value *ValueError
	var blob *blobError
	var known *Error
	switch {
	case errors.As(err, &known):
		return authored(err, known)
	case errors.As(err, &value):
		return refusal(InvalidOutput, "InvalidOutput", "the output is no JSON value: "+value.Error())
	case errors.As(err, &blob):
		return refusal(InvalidInput, "BlobError", err.Error())
	}
	found := wireError{Code: UserError, Message: err.Error(), Data: errorData{Type: typeName(err)}}
	inner := errors.Unwrap(err)
	var trouble *panicked
	if errors.As(err, &trouble) {
		found.Data.Type, found.Data.Traceback = "panic", "panic: "+trouble.Error()+"\n\n"+trouble.stack
		if inner != nil {
			found.Data.Type, inner = typeName(inner), errors.Unwrap(inner)
		}
	}
	found.Data.Cause = causeOf(inner, maxCauses)
	return found
}

// authored is an error that says itself what it is, perhaps inside one that says more.
func authored(whole error, e *Error) wireError {
	found := wireError{Code: e.Code, Message: whole.Error(), Data: errorData{Type: "NodeError", Code: e.Name}}
	if e.Code == 0 || e.Name != "" {
		found.Code = UserError
	}
	if details, err := encode(e.Details); err != nil {
		found.Message += " (its details cannot travel: " + err.Error() + ")"
	} else if string(details) != "null" {
		found.Data.Details = json.RawMessage(details)
		if details[0] != '{' {
			found.Data.Details = map[string]any{"details": json.RawMessage(details)}
		}
	}
	if isHostCode(e.Code) {
		found.Code = UserError
		found.Data.Details = map[string]any{"code": e.Code}
	}
	if e.Retry != RetryByCode {
		retryable := e.Retry == RetryYes
		found.Data.Retryable = &retryable
	}
	if e.RetryAfter > 0 {
		wait := e.RetryAfter.Milliseconds()
		found.Data.RetryAfterMS = &wait
	}
	found.Data.Cause = causeOf(e.Err, maxCauses)
	return found
}

// refusal is an error that trying again does not change.
func refusal(code int, kind, message string) wireError {
	no := false
	return wireError{code, message, errorData{Type: kind, Retryable: &no}}
}

func unstarted(e wireError) wireError {
	no := false
	e.Data.Started = &no
	return e
}

func isHostCode(code int) bool { return code >= 9000 && code <= 9999 }

func causeOf(err error, depth int) *wireCause {
	if err == nil || depth == 0 {
		return nil
	}
	inner := errors.Unwrap(err)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		if all := many.Unwrap(); len(all) > 0 {
			inner = all[0]
		}
	}
	return &wireCause{typeName(err), err.Error(), causeOf(inner, depth-1)}
}

// typeName is what an author calls the type; the unexported ones of the standard library are "error".
func typeName(err error) string {
	kind := reflect.TypeOf(err)
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Name() == "" || kind.PkgPath() == "errors" || kind.PkgPath() == "fmt" {
		return "error"
	}
	return kind.Name()
}

// bounded makes an error fit its limits, whatever text it was made of.
func (e wireError) bounded() wireError {
	e.Message = strings.ToValidUTF8(e.Message, "\uFFFD")
	if e.Message == "" {
		e.Message = e.Data.Type
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "")
	}
	if trace := e.Data.Traceback; len(trace) > maxTraceback {
		trace = trace[len(trace)-maxTraceback:]
		for trace != "" && !utf8.RuneStart(trace[0]) {
			trace = trace[1:]
		}
		e.Data.Traceback = trace
	}
	return e
}
