package schedule_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// pause pauses the rig's first schedule, or resumes it.
func (r *rig) pause(paused bool, by, key string) {
	r.t.Helper()
	if err := r.c.Pause(r.t.Context(), &r.schedules[0], paused, by, key); err != nil {
		r.t.Fatal(err)
	}
}

// TestPausedBySomebody: until it is resumed it asks for nothing, after a restart
// either, and makes up for nothing.
func TestPausedBySomebody(t *testing.T) {
	r := newRig(t, each("* * * * *", missed(bellhop.MissedAll)))
	r.pass()
	r.goOn(time.Minute)
	r.want("before", "12:01:00")
	since := r.clock.Now()
	r.pause(true, "alice", "1")
	r.goOn(time.Minute)
	r.want("paused", "")
	if st := r.state(); !st.Paused || st.PausedBy != "alice" || !st.PausedAt.Equal(since) || len(st.Next) != 0 {
		t.Errorf("it stands as %+v", st)
	}
	r.pause(true, "bob", "2")
	if st := r.state(); st.PausedBy != "alice" || !st.PausedAt.Equal(since) {
		t.Errorf("paused again, it stands as %+v", st)
	}
	r.c = r.new()
	r.goOn(time.Minute)
	r.want("after a restart", "")
	r.pause(false, "bob", "3")
	r.pass()
	r.want("resumed", "")
	if st := r.state(); st.Paused || st.PausedBy != "" || len(st.Next) != 3 {
		t.Errorf("resumed, it stands as %+v", st)
	}
	r.goOn(time.Minute)
	r.want("at the next tick", "12:04:00")

	// An event that comes once more changes nothing.
	r.pause(true, "alice", "1")
	if st := r.state(); st.Paused {
		t.Errorf("the same event again: %+v", st)
	}
	r.pause(true, "alice", "4")
	r.pause(false, "bob", "3")
	if st := r.state(); !st.Paused {
		t.Errorf("the same event again: %+v", st)
	}

	// One that the configuration has no more comes back as it was left.
	all := r.schedules
	r.schedules = nil
	r.pass()
	r.schedules = all
	r.goOn(time.Minute)
	r.want("back", "")

	// The configuration's own is another matter.
	r.schedules[0].Paused = true
	r.pause(false, "alice", "5")
	if st := r.state(); !st.Paused || st.PausedBy != "" {
		t.Errorf("paused by the configuration: %+v", st)
	}
}

// TestManyArePaused: more than are read at a time.
func TestManyArePaused(t *testing.T) {
	var all []bellhop.Schedule
	for i := range 120 {
		s := each("* * * * *")
		s.Name = fmt.Sprintf("s%03d", i)
		all = append(all, s)
	}
	r := newRig(t, all...)
	r.pass()
	for i := range 119 {
		if err := r.c.Pause(t.Context(), &r.schedules[i], true, "alice", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	r.goOn(time.Minute)
	r.want("but one", "12:01:00")
}

// unreadable are values of which none can be listed.
type unreadable struct{ bellhop.Values }

func (unreadable) List(context.Context, string, string, string, int, time.Time) ([]bellhop.Stored, error) {
	return nil, errAway
}

// TestWhatMayBePausedAsksForNothing, as long as that can't be read.
func TestWhatMayBePausedAsksForNothing(t *testing.T) {
	r := newRig(t, each("* * * * *"))
	r.pass()
	r.pause(true, "alice", "1")
	real := r.values.Values
	r.values.Values = unreadable{real}
	r.goOn(time.Minute)
	r.want("unreadable", "")
	r.pause(false, "alice", "2")
	r.goOn(time.Minute)
	r.want("resumed, but unreadable", "")
	r.values.Values = real
	r.pass()
	r.goOn(time.Minute)
	r.want("at last", "12:02:00 12:03:00") // it was resumed after 12:01
}
