package broker

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

// TestInvalidMessagesInTheLog: the first, then one a minute, with how many more
// there were.
func TestInvalidMessagesInTheLog(t *testing.T) {
	var log bytes.Buffer
	clock := storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	c := New(Options{Clock: clock, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 1000 {
		c.invalid("x", "1", errors.New("no"))
	}
	clock.Advance(invalidEvery)
	for range 5 {
		c.invalid("x", "2", errors.New("no"))
	}
	got := log.String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "message=1 error=no untold=0") || !strings.Contains(got, "message=2 error=no untold=999") {
		t.Error(got)
	}
}
