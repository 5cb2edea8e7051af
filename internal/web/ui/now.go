package ui

import (
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// nowData is what the home page shows.
type nowData struct {
	Status  *bellhop.Status
	Held    []bellhop.Run // of those that wait, by when they start
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
	d.Failed, err = h.house.Runs(v.ctx(), v.person, bellhop.RunFilter{States: []bellhop.State{bellhop.Failed, bellhop.TimedOut}, Since: today, Limit: showFailed + 1})
	if err != nil {
		return err
	}
	if d.More = len(d.Failed) > showFailed; d.More {
		d.Failed = d.Failed[:showFailed]
	}
	if a, err = v.do("", bellhop.Invocation{Action: bellhop.ActionSchedules}); err != nil {
		return err
	}
	d.Next = ticks(a.Schedules.States, showTicks)
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
