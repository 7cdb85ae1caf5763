package nodeling

import (
	"cmp"
	"slices"
	"strings"
)

const (
	masked       = "***"
	shortestLine = 8 // a shorter line of a longer secret tells nothing and stands everywhere
)

// mask knows the secrets of one call; none stands in a text that leaves the process as an error or a
// log line.
type mask struct{ replacer *strings.Replacer }

func newMask(secrets map[string]string) mask {
	var words []string
	for _, secret := range secrets {
		if strings.TrimSpace(secret) == "" {
			continue
		}
		words = append(words, secret)
		if lines := strings.Split(secret, "\n"); len(lines) > 1 {
			for _, line := range lines {
				if line = strings.TrimSpace(line); len(line) >= shortestLine {
					words = append(words, line)
				}
			}
		}
	}
	if len(words) == 0 {
		return mask{}
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(words))
	for _, word := range words {
		pairs = append(pairs, word, masked)
	}
	return mask{strings.NewReplacer(pairs...)}
}

func (m mask) text(text string) string {
	if m.replacer == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// value masks every text and key of a value.
func (m mask) value(value any) any {
	if m.replacer == nil {
		return value
	}
	data, err := encode(value)
	if err != nil {
		return value // it will not travel, and is shown as a masked text
	}
	var again any
	if err := decode(data, &again); err != nil {
		return masked
	}
	return m.plain(again)
}

func (m mask) plain(value any) any {
	switch v := value.(type) {
	case string:
		return m.text(v)
	case map[string]any:
		found := make(map[string]any, len(v))
		for key, item := range v {
			found[m.text(key)] = m.plain(item)
		}
		return found
	case []any:
		for i, item := range v {
			v[i] = m.plain(item)
		}
	}
	return value
}

func (m mask) failure(e wireError) wireError {
	if m.replacer == nil {
		return e
	}
	e.Message, e.Data.Traceback = m.text(e.Message), m.text(e.Data.Traceback)
	if e.Data.Details != nil {
		e.Data.Details = m.value(e.Data.Details)
	}
	e.Data.Cause = m.cause(e.Data.Cause)
	return e
}

func (m mask) cause(cause *wireCause) *wireCause {
	if cause == nil {
		return nil
	}
	return &wireCause{m.text(cause.Type), m.text(cause.Message), m.cause(cause.Cause)}
}
