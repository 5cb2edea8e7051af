package ui

import (
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// nowData is what the home page shows.
type nowData struct {
	Status  *bellhop.Status
	Held    []bellhop.Run            // that wait for an approval
	Mine    map[bellhop.RunID]bool   // of these, those that wait for what the viewer says
	Last    map[bellhop.RunID]string // of those that run, the last line
	Health  *bellhop.Health          // nil = it is not for the viewer
	Waiting []bellhop.Run
	Failed  []bellhop.Run // today, newest first
	More    bool          // more failed than are shown
	Next    []tick
	Day     []ended // the last 24 hours
}

// tick is a time at which a schedule asks.
type tick struct {
	At   time.Time
	What bellhop.ScheduleState
}

// quarter is what the last 24 hours are counted in.
const quarter = 15 * time.Minute

const (
	showFailed = 10
	showTicks  = 6
)

func (h *Handler) now(v *view) error {
	var d nowData
	a, err := v.do("", bellhop.Invocation{Action: bellhop.ActionStatus})
	if err != nil {
		return err
	}
	d.Status = a.Status
	for _, r := range a.Status.Waiting {
		if r.State == bellhop.Held {
			d.Held = append(d.Held, r)
		} else {
			d.Waiting = append(d.Waiting, r)
		}
	}
	now := v.page.now.In(v.zone())
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if d.Failed, d.More, err = h.house.Failed(v.ctx(), v.person, today, showFailed); err != nil {
		return err
	}
	votable, err := h.house.Votable(v.ctx(), v.person)
	if err != nil {
		return err
	}
	d.Mine = make(map[bellhop.RunID]bool)
	for _, r := range votable {
		d.Mine[r.ID] = true
		if !slices.ContainsFunc(d.Held, func(o bellhop.Run) bool { return o.ID == r.ID }) {
			d.Held = append(d.Held, r)
		}
	}
	var ids []bellhop.RunID
	for _, r := range a.Status.Running {
		ids = append(ids, r.ID)
	}
	if d.Last, err = h.house.LastLines(v.ctx(), v.person, ids); err != nil {
		return err
	}
	switch health, err := h.house.Health(v.ctx(), v.person); {
	case err == nil:
		d.Health = &health
	case bellhop.CodeOf(err) != bellhop.NotAllowed:
		return err
	}
	schedules, err := h.house.Schedules(v.ctx(), v.person)
	if err != nil {
		return err
	}
	d.Next = ticks(schedules, showTicks)
	buckets, err := h.house.Tally(v.ctx(), v.person, now.Add(-24*time.Hour+quarter), quarter, "", "")
	if err != nil {
		return err
	}
	d.Day = endedIn(buckets)
	return v.show("Now", nowPage(v.page, d))
}

// ticks are the next n of all schedules.
func ticks(states []bellhop.ScheduleState, n int) (all []tick) {
	for _, s := range states {
		if s.Paused {
			continue
		}
		for _, at := range s.Next {
			all = append(all, tick{at, s})
		}
	}
	slices.SortStableFunc(all, func(a, b tick) int { return a.At.Compare(b.At) })
	return all[:min(n, len(all))]
}

// trouble reports whether somebody should look: something failed in the last
// hour, or is not well.
func (d *nowData) trouble() bool {
	n := len(d.Day)
	return n > 0 && slices.ContainsFunc(d.Day[max(0, n-4):], func(e ended) bool { return e.Bad > 0 }) ||
		d.Health != nil && slices.ContainsFunc(d.Health.Parts, func(p bellhop.Part) bool { return !p.Up })
}

// trigger is when the page asks anew: last lines come without a change of a
// run.
func (d *nowData) trigger() string {
	if len(d.Status.Running) > 0 {
		return "bellhop:change from:body, every 5s"
	}
	return "bellhop:change from:body"
}
