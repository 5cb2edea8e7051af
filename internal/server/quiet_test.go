package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// TestTheLogDoesNotRepeatThatTheStoreIsAway: one warning of a kind a minute.
func TestTheLogDoesNotRepeatThatTheStoreIsAway(t *testing.T) {
	var out strings.Builder
	h := quietLog(slog.New(slog.NewTextHandler(&out, nil))).With("server", "s").Handler()
	now := time.Unix(1e9, 0)
	log := func(level slog.Level, msg string, err error) {
		r := slog.NewRecord(now, level, msg, 0)
		r.AddAttrs(slog.Any("error", err))
		if err := h.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	away := bellhop.Errorf(bellhop.Unavailable, "the store is away")
	for range 90 {
		log(slog.LevelWarn, "claiming", away)
		log(slog.LevelWarn, "extending", away)
		now = now.Add(time.Second)
	}
	for range 2 {
		log(slog.LevelWarn, "claiming", errors.New("another fault"))
		log(slog.LevelError, "claiming", away)
	}
	for want, n := range map[string]int{
		"level=WARN msg=claiming server=s error=\"the store is away\"\n":              1,
		"level=WARN msg=claiming server=s error=\"the store is away\" left_out=59\n":  1,
		"level=WARN msg=extending server=s error=\"the store is away\"\n":             1,
		"level=WARN msg=extending server=s error=\"the store is away\" left_out=59\n": 1,
		"level=WARN msg=claiming server=s error=\"another fault\"\n":                  2,
		"level=ERROR msg=claiming server=s error=\"the store is away\"\n":             2,
	} {
		if got := strings.Count(out.String(), want); got != n {
			t.Errorf("%q was logged %d times, want %d", want, got, n)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 8 {
		t.Errorf("%d lines, want 8:\n%s", lines, out.String())
	}
}
