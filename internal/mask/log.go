package mask

import (
	"context"
	"fmt"
	"log/slog"
)

// Handler returns a handler of logs that masks the values of a set in messages
// and attributes before another handler is given them.
func (s *Set) Handler(to slog.Handler) slog.Handler { return handler{to, s} }

type handler struct {
	slog.Handler
	set *Set
}

// Handle masks a record.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if h.set.now.Load() == nil {
		return h.Handler.Handle(ctx, r)
	}
	masked := slog.NewRecord(r.Time, r.Level, h.set.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, masked)
}

// attr masks an attribute. What is not hidden in it stays as it is, an error an
// error.
func (h handler) attr(a slog.Attr) slog.Attr {
	a.Key = h.set.Text(a.Key)
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(h.set.Text(v.String()))
	case slog.KindGroup:
		group := make([]slog.Attr, len(v.Group()))
		for i, inner := range v.Group() {
			group[i] = h.attr(inner)
		}
		v = slog.GroupValue(group...)
	case slog.KindAny:
		text := fmt.Sprint(v.Any())
		more := fmt.Sprintf("%+v", v.Any())
		if masked := h.set.Text(text); masked != text {
			v = slog.StringValue(masked)
		} else if masked := h.set.Text(more); masked != more {
			v = slog.StringValue(masked)
		}
	}
	a.Value = v
	return a
}

// WithAttrs masks attributes as they are known by now.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	masked := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		masked[i] = h.attr(a)
	}
	return handler{h.Handler.WithAttrs(masked), h.set}
}

// WithGroup goes on masking.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.set}
}
