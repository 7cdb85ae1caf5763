package nodeling

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
)

// logHandler turns records into the log lines of a call.
type logHandler struct {
	call   *Call
	groups []string
	data   map[string]any // of the loggers that it came from
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return levels[levelName(level)] >= h.call.minLevel
}

func (h *logHandler) Handle(_ context.Context, record slog.Record) error {
	found := h
	record.Attrs(func(attr slog.Attr) bool {
		found = found.with(attr)
		return true
	})
	var data any
	if len(found.data) > 0 {
		data = found.data
	}
	h.call.sendLog(levelName(record.Level), record.Message, data)
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	found := h
	for _, attr := range attrs {
		found = found.with(attr)
	}
	return found
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{h.call, append(slices.Clone(h.groups), name), h.data}
}

// with is the handler with one more attribute, in its group.
func (h *logHandler) with(attr slog.Attr) *logHandler {
	return &logHandler{h.call, h.groups, placed(h.data, h.groups, attr)}
}

// placed copies what it changes: loggers share what they came from.
func placed(data map[string]any, groups []string, attr slog.Attr) map[string]any {
	found := make(map[string]any, len(data)+1)
	for key, value := range data {
		found[key] = value
	}
	if len(groups) > 0 {
		inner, _ := found[groups[0]].(map[string]any)
		found[groups[0]] = placed(inner, groups[1:], attr)
		return found
	}
	value := attr.Value.Resolve()
	switch {
	case value.Kind() == slog.KindGroup && attr.Key == "":
		for _, one := range value.Group() {
			found = placed(found, nil, one)
		}
	case value.Kind() == slog.KindGroup:
		inner := map[string]any{}
		for _, one := range value.Group() {
			inner = placed(inner, nil, one)
		}
		found[attr.Key] = inner
	case attr.Key != "":
		found[attr.Key] = plain(value)
	}
	return found
}

// plain is a logged value as JSON shows it; errors, durations and the like are their text.
func plain(value slog.Value) any {
	switch any := value.Any().(type) {
	case error:
		return any.Error()
	case json.Marshaler, json.Number:
		return any
	case interface{ String() string }:
		return any.String()
	default:
		return any
	}
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warning"
	default:
		return "error"
	}
}
