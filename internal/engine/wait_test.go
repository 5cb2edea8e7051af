package engine_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/engine"
)

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// in is a time some minutes after noon; 0 = none.
func in(minutes int) time.Time {
	if minutes == 0 {
		return time.Time{}
	}
	return noon.Add(time.Duration(minutes) * time.Minute)
}

func hold(id int64, from, until int, change func(*bellhop.Hold)) bellhop.Hold {
	h := bellhop.Hold{ID: id, Kind: bellhop.HoldSuppress, Service: "deploys", From: in(from), Until: in(until)}
	if until == 0 {
		h.Kind = bellhop.HoldPause
	}
	if change != nil {
		change(&h)
	}
	return h
}

func TestWhyARunWaits(t *testing.T) {
	ended := hold(9, -5, 0, func(h *bellhop.Hold) { h.Ended = in(-1) })
	elsewhere := hold(8, -5, 0, func(h *bellhop.Hold) { h.Service = "example" })
	narrow := hold(7, -5, 0, func(h *bellhop.Hold) { h.Args = bellhop.Args{"env": bellhop.Text("staging")} })
	tests := []struct {
		name   string
		run    bellhop.Run
		holds  []bellhop.Hold
		reason bellhop.WaitReason
		until  int
		hold   int64
		more   int
	}{
		{"approval", bellhop.Run{State: bellhop.Held}, nil, bellhop.WaitApproval, 0, 0, 0},
		{"delay", bellhop.Run{Start: in(5)}, nil, bellhop.WaitDelay, 5, 0, 0},
		{"backoff", bellhop.Run{Start: in(5), Attempt: 1, Error: "exit status 3"}, nil, bellhop.WaitBackoff, 5, 0, 0},
		{"concurrency", bellhop.Run{Behind: 3}, nil, bellhop.WaitConcurrency, 0, 0, 0},
		{"a delay is longer than nobody knows what", bellhop.Run{Start: in(5), Behind: 3}, nil, bellhop.WaitDelay, 5, 0, 0},
		{"place", bellhop.Run{Start: in(-5)}, []bellhop.Hold{ended, elsewhere, narrow}, bellhop.WaitPlace, 0, 0, 0},
		{"interrupted: it has begun, and waits for a place", bellhop.Run{Start: in(-5), Attempt: 1}, nil, bellhop.WaitPlace, 0, 0, 0},
		{"suppressed", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 5, nil)}, bellhop.WaitSuppressed, 5, 1, 0},
		{"paused", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 0, nil)}, bellhop.WaitPaused, 0, 1, 0},
		{"a pause lasts longer than any window", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 0, nil), hold(2, -5, 500, nil)}, bellhop.WaitPaused, 0, 1, 1},
		{"of two windows the longer", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 5, nil), hold(2, -5, 50, nil), hold(3, -5, 20, nil)}, bellhop.WaitSuppressed, 50, 2, 2},
		{"one window after another: the open one", bellhop.Run{}, []bellhop.Hold{hold(2, 5, 20, nil), hold(1, -5, 5, nil)}, bellhop.WaitSuppressed, 5, 1, 0},
		{"windows that overlap, and have not all begun", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 20, nil), hold(2, -4, 30, nil), hold(3, 1, 90, nil)}, bellhop.WaitSuppressed, 30, 2, 1},
		{"several pauses", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 0, nil), hold(2, -4, 0, nil), hold(3, -3, 0, nil)}, bellhop.WaitPaused, 0, 1, 2},
		{"a pause before a window without an end", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 0, func(h *bellhop.Hold) { h.Kind = bellhop.HoldSuppress }), hold(2, -4, 0, nil)}, bellhop.WaitPaused, 0, 2, 1},
		{"a gap between windows is enough", bellhop.Run{}, []bellhop.Hold{hold(1, -5, 5, nil), hold(2, 6, 20, nil)}, bellhop.WaitSuppressed, 5, 1, 0},
		{"a window that ends before the delay does", bellhop.Run{Start: in(9)}, []bellhop.Hold{hold(1, -5, 5, nil)}, bellhop.WaitDelay, 9, 0, 0},
		{"a window that is open until after the delay", bellhop.Run{Start: in(9)}, []bellhop.Hold{hold(1, -5, 15, nil), hold(2, -5, 5, nil)}, bellhop.WaitSuppressed, 15, 1, 0},
		{"a window that begins before the delay ends", bellhop.Run{Start: in(9)}, []bellhop.Hold{hold(1, 8, 15, nil)}, bellhop.WaitDelay, 9, 0, 0},
		{"a window to come", bellhop.Run{}, []bellhop.Hold{hold(1, 5, 15, nil)}, bellhop.WaitPlace, 0, 0, 0},
		{"its own arguments", bellhop.Run{Args: bellhop.Args{"env": bellhop.Text("staging")}}, []bellhop.Hold{narrow}, bellhop.WaitPaused, 0, 7, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.run
			r.Service, r.Job = "deploys", "deploy"
			if r.State == "" {
				r.State = bellhop.Waiting
			}
			w := engine.WaitOf(r, tt.holds, noon)
			if w == nil || w.Reason != tt.reason || !w.Until.Equal(in(tt.until)) || w.Behind != 0 != (tt.reason == bellhop.WaitConcurrency) {
				t.Fatalf("%+v, want %s until %s", w, tt.reason, in(tt.until))
			}
			if id := tt.hold; id == 0 && w.Hold != nil || id != 0 && (w.Hold == nil || w.Hold.ID != id) {
				t.Errorf("by %+v, want hold %d", w.Hold, id)
			}
			if w.More != tt.more {
				t.Errorf("%d others, want %d", w.More, tt.more)
			}
			if tt.reason == bellhop.WaitBackoff && w.After != "exit status 3" {
				t.Errorf("after %q", w.After)
			}
		})
	}
	if w := engine.WaitOf(bellhop.Run{State: bellhop.Running}, nil, noon); w != nil {
		t.Errorf("a running run waits: %+v", w)
	}
}

// What is named is open, nothing that is open lasts longer, and the others are
// counted.
func TestTheHoldThatIsNamed(t *testing.T) {
	run := bellhop.RunSpec{Service: "deploys", Job: "deploy"}
	rapid.Check(t, func(t *rapid.T) {
		var holds []bellhop.Hold
		for i := range rapid.IntRange(0, 8).Draw(t, "holds") {
			from := rapid.IntRange(-10, 10).Draw(t, "from")
			until := max(1, from) + rapid.IntRange(1, 15).Draw(t, "length")
			if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
				until = 0
			}
			holds = append(holds, hold(int64(i+1), from, until, nil))
		}
		at := in(rapid.IntRange(1, 12).Draw(t, "at"))
		named, more := engine.OpenHold(holds, run, noon, at)
		open := 0
		for _, h := range holds {
			if h.From.After(noon) || !h.Open(at) {
				continue
			}
			open++
			if named == nil {
				t.Fatalf("nothing is named, but %+v is open", h)
			}
			if named.Kind != bellhop.HoldPause && (h.Kind == bellhop.HoldPause || h.Until.After(named.Until)) {
				t.Fatalf("%+v is named, but %+v lasts longer", named, h)
			}
		}
		if named == nil {
			return
		}
		if named.From.After(noon) || !named.Open(at) || more != open-1 {
			t.Fatalf("%+v and %d more, where %d are open", named, more, open)
		}
	})
}

func TestPausesBetweenAttempts(t *testing.T) {
	tests := []struct {
		name    string
		r       bellhop.Retries
		want    []time.Duration
		atOnce  int // and after so many failures
		longest time.Duration
	}{
		{"doubles by itself", bellhop.Retries{Backoff: time.Minute}, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}, 60, time.Hour},
		{"factor", bellhop.Retries{Backoff: time.Second, Factor: 1.5}, []time.Duration{time.Second, 1500 * time.Millisecond, 2250 * time.Millisecond}, 1000, time.Hour},
		{"constant", bellhop.Retries{Backoff: time.Second, Factor: 1}, []time.Duration{time.Second, time.Second}, 1000, time.Second},
		{"a backoff above an hour", bellhop.Retries{Backoff: 2 * time.Hour, Factor: 10}, []time.Duration{2 * time.Hour, 2 * time.Hour}, 1000, 2 * time.Hour},
		{"none", bellhop.Retries{}, []time.Duration{0, 0}, 1000, 0},
	}
	for _, tt := range tests {
		for n, want := range tt.want {
			if got := engine.PauseAfter(tt.r, n); got != want {
				t.Errorf("%s: after failure %d it waits %s, want %s", tt.name, n+1, got, want)
			}
		}
		if got := engine.PauseAfter(tt.r, tt.atOnce); got != tt.longest {
			t.Errorf("%s: at last it waits %s, want %s", tt.name, got, tt.longest)
		}
	}
}

func TestTemplatesAreFilledOnce(t *testing.T) {
	args := bellhop.Args{"env": bellhop.Text("{sha}"), "sha": bellhop.Text("abc"), "hosts": bellhop.List("a", "b")}
	for template, want := range map[string]string{
		"": "", "deploy": "deploy", "deploy-{env}": "deploy-{sha}", "{sha}{sha}": "abcabc", "{nothing}": "{nothing}",
		"{sha": "{sha", "a}b": "a}b", "{{sha}}": "{abc}", "{": "{", "{}": "{}", "on {hosts}": `on ["a","b"]`,
	} {
		if got := engine.Fill(template, args); got != want {
			t.Errorf("%q is %q, want %q", template, got, want)
		}
	}
}
