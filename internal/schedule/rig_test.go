package schedule_test

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/schedule"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

var errAway = bellhop.Errorf(bellhop.Unavailable, "away")

// monday is 2026-11-30 12:00 UTC.
var monday = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// handClock shows what it is set to. Its timers never ring.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (*handClock) NewTimer(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }

// values are a real store's, which fail as told.
type values struct {
	bellhop.Values
	before, after int // the next so many writes fail, before or after they are done
	faults        int // calls that failed
	puts          int
}

func (v *values) Put(ctx context.Context, namespace, key string, value []byte, version int64, ttl time.Duration, now time.Time) (int64, error) {
	v.puts++
	if v.before > 0 {
		v.before--
		v.faults++
		return 0, errAway
	}
	n, err := v.Values.Put(ctx, namespace, key, value, version, ttl, now)
	if v.after > 0 {
		v.after--
		n, err = 0, errAway
	}
	if err != nil {
		v.faults++
	}
	return n, err
}

// house is Bellhop as far as the clock knows it.
type house struct {
	clock *handClock
	runs  map[string]bellhop.RunID // by key
	asked []asked
	ended map[bellhop.RunID]bool
	stops []bellhop.RunID
	away  error // of all
	// cancel is what cancelling comes to.
	cancel error
	says   map[string]error
	said   []bellhop.Later
	onSay  func(bellhop.Later)
	// before is called at each tick that is asked for.
	before func(a asked)
}

// asked is one call for a tick.
type asked struct {
	name  string
	at    time.Time
	now   time.Time
	delay time.Duration
	again bool
}

func (h *house) Tick(_ context.Context, s *bellhop.Schedule, at time.Time, delay time.Duration) (bellhop.RunID, error) {
	if h.away != nil {
		return 0, h.away
	}
	key := fmt.Sprint(s.Principal(), "/", at.Unix())
	a := asked{name: s.Name, at: at, now: h.clock.Now(), delay: delay}
	if h.before != nil {
		h.before(a)
	}
	id, again := h.runs[key]
	if !again {
		id = bellhop.RunID(len(h.runs) + 1)
		h.runs[key] = id
	}
	a.again = again
	h.asked = append(h.asked, a)
	return id, nil
}

func (h *house) Ended(_ context.Context, run bellhop.RunID) (bool, error) {
	return h.ended[run], h.away
}

func (h *house) Cancel(_ context.Context, _ *bellhop.Schedule, run bellhop.RunID) error {
	h.stops = append(h.stops, run)
	return cmp.Or(h.cancel, h.away)
}

func (h *house) Say(_ context.Context, l bellhop.Later) error {
	if err := h.says[l.Text]; err != nil {
		return err
	}
	h.said = append(h.said, l)
	if h.onSay != nil {
		h.onSay(l)
	}
	return h.away
}

// rig is a house with its clock, a store, and the schedules of now.
type rig struct {
	t         *testing.T
	clock     *handClock
	values    *values
	house     *house
	schedules []bellhop.Schedule
	c         *schedule.Clockwork
}

func newRig(t *testing.T, schedules ...bellhop.Schedule) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Admin.Close() })
	clock := &handClock{at: monday.Add(500 * time.Millisecond)}
	r := &rig{
		t: t, clock: clock, values: &values{Values: store.Values}, schedules: schedules,
		house: &house{clock: clock, runs: map[string]bellhop.RunID{}, ended: map[bellhop.RunID]bool{}, says: map[string]error{}},
	}
	r.c = r.new()
	return r
}

// new is another clockwork, as in another server or after a restart.
func (r *rig) new() *schedule.Clockwork {
	return schedule.New(schedule.Options{
		Values: r.values, Clock: r.clock, House: r.house, Mine: func() bool { return true },
		Schedules: func() ([]bellhop.Schedule, *time.Location) { return slices.Clone(r.schedules), time.UTC },
	})
}

// pass has it look once.
func (r *rig) pass() { r.c.Round(r.t.Context()) }

// goOn moves the clock and has it look.
func (r *rig) goOn(by time.Duration) {
	r.clock.set(r.clock.Now().Add(by))
	r.pass()
}

// took are the ticks that were asked for since the last call, once for each
// call, by time of day.
func (r *rig) took() string {
	var list []string
	for _, a := range r.house.asked {
		text := a.at.UTC().Format("15:04:05")
		if a.again {
			text += "!"
		}
		list = append(list, text)
	}
	r.house.asked = nil
	return strings.Join(list, " ")
}

func (r *rig) want(when, want string) {
	r.t.Helper()
	if got := r.took(); got != want {
		r.t.Errorf("%s: asked for %q, want %q", when, got, want)
	}
}

func (r *rig) state() bellhop.ScheduleState {
	r.t.Helper()
	st, err := r.c.State(r.t.Context(), &r.schedules[0], time.UTC)
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

// each is a schedule; by default its runs queue.
func each(cron string, change ...func(*bellhop.Schedule)) bellhop.Schedule {
	s := bellhop.Schedule{Service: "s", Name: "n", Job: "j", Cron: cron, Missed: bellhop.MissedOne, Overlap: bellhop.OverlapQueue}
	for _, c := range change {
		c(&s)
	}
	return s
}

func missed(m bellhop.Missed) func(*bellhop.Schedule) {
	return func(s *bellhop.Schedule) { s.Missed = m }
}

func overlap(o bellhop.Overlap) func(*bellhop.Schedule) {
	return func(s *bellhop.Schedule) { s.Overlap = o }
}
