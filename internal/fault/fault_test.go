package fault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestPlans(t *testing.T) {
	for _, bad := range []string{
		"commit.before", "commit.before=kill", "commit.before=kill@", "commit.before=kill@0", "commit.before=kill@-1", "commit.before=kill%101",
		"commit.before=error@1", "commit.during=kill@1", "submit=kill@1", "sing.before=kill@1", "submit.before=explode@1",
	} {
		if _, err := Parse(bad, 0); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v, want Invalid", bad, err)
		}
	}
	var signals []syscall.Signal
	p, err := Parse(" commit.after=kill@3, finish.before=stop@1,submit.after=error@2 ,submit.after=error@4", 0)
	if err != nil {
		t.Fatal(err)
	}
	p.signal = func(s syscall.Signal) { signals = append(signals, s) }
	for i, want := range [][]syscall.Signal{nil, nil, {syscall.SIGKILL}, {syscall.SIGKILL}} {
		if err := p.At(CommitAfter); err != nil || !slices.Equal(signals, want) {
			t.Errorf("passing %d: %v, signals %v", i+1, err, signals)
		}
	}
	if err := p.At("finish.before"); err != nil || !slices.Equal(signals, []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}) {
		t.Errorf("%v, signals %v", err, signals)
	}
	for i := range 5 {
		err := p.At("submit.after")
		if want := i == 1 || i == 3; (bellhop.CodeOf(err) == bellhop.Unavailable) != want {
			t.Errorf("passing %d: %v", i+1, err)
		}
	}
	if p.Hits("submit.after") != 2 || p.Hits("submit.before") != 0 {
		t.Errorf("%d faults after a submit, %d before one", p.Hits("submit.after"), p.Hits("submit.before"))
	}
}

func TestChanceIsTheSeeds(t *testing.T) {
	play := func(seed uint64) string {
		p, err := Parse("claim.before=error%25", seed)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for range 400 {
			if p.At("claim.before") != nil {
				out.WriteByte('x')
			} else {
				out.WriteByte('.')
			}
		}
		return out.String()
	}
	one := play(1)
	if one != play(1) || one == play(2) {
		t.Error("the same seed does not give the same faults, or another one does")
	}
	if n := strings.Count(one, "x"); n < 50 || n > 150 {
		t.Errorf("%d faults of 400 with a chance of 25 in a hundred", n)
	}
}

type secretsPort = bellhop.Secrets // one of its methods has the name that the field would have

// counted counts what reaches the store.
type counted struct {
	bellhop.Queue
	bellhop.Outbox
	bellhop.Approvals
	calls []string
}

func (c *counted) Submit(context.Context, []bellhop.Submission) ([]bellhop.Submitted, error) {
	c.calls = append(c.calls, "submit")
	return []bellhop.Submitted{{Run: 1}}, nil
}

func (c *counted) Vote(context.Context, bellhop.Voting) (bellhop.Run, error) {
	c.calls = append(c.calls, "vote")
	return bellhop.Run{ID: 7}, nil
}

func (c *counted) Lapse(context.Context, time.Time, int, string) ([]bellhop.RunID, time.Time, error) {
	c.calls = append(c.calls, "lapse")
	return []bellhop.RunID{7}, time.Unix(8, 0), nil
}

func (c *counted) Settle(context.Context, []bellhop.Settlement) error {
	c.calls = append(c.calls, "settle")
	return errors.New("its own fault")
}

func TestStoreFailsBeforeAndAfter(t *testing.T) {
	p, err := Parse("submit.before=error@1,submit.after=error@1,settle.after=error%100", 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{}
	below := &bellhop.Store{ID: "x", Queue: c, Outbox: c, Values: struct{ bellhop.Values }{}, Secrets: struct{ secretsPort }{}, Audit: struct{ bellhop.Audit }{}}
	s := Store(below, p)
	for i, want := range []int{0, 1, 2} { // not carried out; carried out and not told; well
		got, err := s.Queue.Submit(t.Context(), nil)
		if fails := i < 2; (err != nil) != fails || (len(got) == 0) != fails || len(c.calls) != want || fails && bellhop.CodeOf(err) != bellhop.Unavailable {
			t.Errorf("call %d: %v, %v; the store was called %d times, want %d", i+1, got, err, len(c.calls), want)
		}
	}
	if err := s.Outbox.Settle(t.Context(), nil); err == nil || err.Error() != "its own fault" || p.Hits("settle.after") != 0 {
		t.Errorf("what failed by itself is told as %v", err)
	}
	if s.ID != "x" || s.Values != below.Values || s.Secrets != below.Secrets || s.Audit != below.Audit {
		t.Error("the rest of the store is not there")
	}
}

func TestApprovalsFailBeforeAndAfter(t *testing.T) {
	p, err := Parse("vote.after=error@1,lapse.before=error@1", 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{}
	s := Store(&bellhop.Store{Approvals: c}, p)
	if run, err := s.Approvals.Vote(t.Context(), bellhop.Voting{}); bellhop.CodeOf(err) != bellhop.Unavailable || run.ID != 0 || len(c.calls) != 1 {
		t.Errorf("a vote that is not told: run %s, %v, calls %v", run.ID, err, c.calls)
	}
	if run, err := s.Approvals.Vote(t.Context(), bellhop.Voting{}); err != nil || run.ID != 7 {
		t.Errorf("a vote: run %s, %v", run.ID, err)
	}
	if _, _, err := s.Approvals.Lapse(t.Context(), time.Time{}, 1, ""); bellhop.CodeOf(err) != bellhop.Unavailable || len(c.calls) != 2 {
		t.Errorf("a lapse that does not come to the store: %v, calls %v", err, c.calls)
	}
	if gone, next, err := s.Approvals.Lapse(t.Context(), time.Time{}, 1, ""); err != nil || len(gone) != 1 || next.Unix() != 8 {
		t.Errorf("a lapse: %v, %s, %v", gone, next, err)
	}
}

func TestClockSteps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	c := Clock{Path: file}
	before := c.Now()
	if d := time.Until(before); d < -time.Minute || d > 0 {
		t.Errorf("without a file it is %s off", d)
	}
	for _, by := range []time.Duration{10 * time.Minute, -90 * time.Minute, 0} {
		writeFile(t, file, by.String())
		now := c.Now()
		if d := now.Round(0).Sub(time.Now().Round(0).Add(by)); d < -time.Minute || d > time.Second {
			t.Errorf("stepped by %s, the wall clock is %s off", by, d)
		}
		if d := now.Sub(before); d < 0 || d > time.Minute {
			t.Errorf("stepped by %s, a true distance is %s", by, d)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
