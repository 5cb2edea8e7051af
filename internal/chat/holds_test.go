package chat_test

import (
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// clockAt is a time of the day of now, plus days.
func clockAt(days, hour, minute int) time.Time {
	return time.Date(2026, 3, 4+days, hour, minute, 0, 0, time.UTC)
}

// holds that tests speak of.
var (
	night    = bellhop.Hold{ID: 3, Kind: bellhop.HoldSuppress, Service: "deploys", From: clockAt(0, 22, 0), Until: clockAt(1, 6, 0), By: "alice"}
	openNow  = bellhop.Hold{ID: 12, Kind: bellhop.HoldSuppress, Service: "deploys", Job: "deploy", Args: bellhop.Args{"env": bellhop.Text("staging"), "what": bellhop.Text("two words")}, From: now, Until: now.Add(30 * time.Minute), By: "bob\x1b"}
	paused   = bellhop.Hold{ID: 7, Kind: bellhop.HoldPause, Service: "example", Job: "hello", From: clockAt(-1, 9, 12), By: "carol"}
	narrowed = bellhop.Hold{ID: 8, Kind: bellhop.HoldPause, Service: "fw", Job: "block", Args: bellhop.Args{"ip": bellhop.Text("7.7.7.7")}, From: clockAt(-1, 9, 12), By: "carol"}
	farAway  = bellhop.Hold{ID: 4, Kind: bellhop.HoldSuppress, Service: "deploys", From: clockAt(2, 0, 0), Until: clockAt(3, 0, 0), By: "alice"}
	endless  = bellhop.Hold{ID: 5, Kind: bellhop.HoldSuppress, Service: "deploys", From: clockAt(0, 9, 0), By: "alice"}
	allHolds = []bellhop.Hold{paused, openNow, night, farAway}
)

const allHoldsText = `Suppressed now:
  12 deploys deploy with env=staging "what=two words", until today 14:33:05, by bob^[
Suppressed later:
   3 deploys, from today 22:00 until tomorrow 06:00, by alice
   4 deploys, from Fri 2026-03-06 00:00 until Sat 2026-03-07 00:00, by alice
Paused:
   7 example hello, since yesterday 09:12, by carol`

func TestHoldsText(t *testing.T) {
	for name, c := range map[string]struct {
		action bellhop.Action
		holds  []bellhop.Hold
		want   string
	}{
		"a window to come": {bellhop.ActionSuppress, []bellhop.Hold{night}, "deploys is suppressed from today 22:00 until tomorrow 06:00.\nIts runs wait and start then. To take it back: bellhop unsuppress 3"},
		"an open window":   {bellhop.ActionSuppress, []bellhop.Hold{openNow}, "deploys deploy with env=staging \"what=two words\" is suppressed until today 14:33:05.\nIts runs wait and start then. To take it back: bellhop unsuppress 12"},
		"without an end":   {bellhop.ActionSuppress, []bellhop.Hold{endless}, "deploys is suppressed until somebody ends it.\nIts runs wait. To take it back: bellhop unsuppress 5"},
		"paused":           {bellhop.ActionPause, []bellhop.Hold{paused}, "example hello is paused since yesterday 09:12, by carol.\nWhat runs goes on; the rest waits. To resume: bellhop resume example hello"},
		"paused, narrowed": {bellhop.ActionPause, []bellhop.Hold{narrowed}, "fw block with ip=7.7.7.7 is paused since yesterday 09:12, by carol.\nWhat runs goes on; the rest waits. To resume: bellhop resume 8"},
		"taken back":       {bellhop.ActionUnsuppress, []bellhop.Hold{openNow, night}, "taken back: suppression 12 of deploys deploy with env=staging \"what=two words\", until today 14:33:05\ntaken back: suppression 3 of deploys, from today 22:00 until tomorrow 06:00"},
		"none taken back":  {bellhop.ActionUnsuppress, nil, "There is no such suppression. To see what there is: bellhop suppressions"},
		"resumed":          {bellhop.ActionResume, []bellhop.Hold{paused}, "resumed: example hello, which was paused since yesterday 09:12, by carol"},
		"none resumed":     {bellhop.ActionResume, nil, "Nothing of that name is paused. To see what is: bellhop suppressions"},
		"none at all":      {bellhop.ActionSuppressions, nil, "Nothing is suppressed or paused."},
		"all":              {bellhop.ActionSuppressions, allHolds, allHoldsText},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (chat.Style{Now: now, Command: "bellhop "}).AnswerText(bellhop.Answer{Action: c.action, Holds: c.holds}); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// Times are told in the zone of Now, and a day is that of the calendar there,
// however many hours it has.
func TestDaysAreThoseOfTheZone(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Skip("no time zones on this machine; install tzdata")
	}
	eve := time.Date(2026, 3, 29, 0, 30, 0, 0, london) // the clocks go forward at 01:00: a day of 23 h
	h := bellhop.Hold{ID: 1, Kind: bellhop.HoldSuppress, Service: "s", From: eve.Add(10 * time.Minute).UTC(), Until: time.Date(2026, 3, 30, 1, 0, 0, 0, time.UTC), By: "a"}
	want := "s is suppressed from today 00:40 until tomorrow 02:00.\nIts runs wait and start then. To take it back: unsuppress 1"
	if got := (chat.Style{Now: eve}).HoldsText(bellhop.ActionSuppress, []bellhop.Hold{h}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReceiptOfAHeldRun(t *testing.T) {
	accepted := func(h bellhop.Hold) bellhop.Accepted {
		return bellhop.Accepted{Run: 74, How: bellhop.Created, Start: now.Add(time.Second), Behind: 73, Job: "deploys deploy", Hold: &h}
	}
	open := night
	open.From = now
	for want, h := range map[string]bellhop.Hold{
		"accepted 00002a: deploys deploy, waits: suppressed until tomorrow 06:00":        open,
		"accepted 00002a: deploys deploy, waits: paused since yesterday 09:12, by carol": paused,
	} {
		if got := (chat.Style{Now: now}).Receipt(accepted(h)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStatusTellsReasonsAndHolds(t *testing.T) {
	wait := func(id bellhop.RunID, w bellhop.Wait) bellhop.Run {
		return bellhop.Run{ID: id, Service: "deploys", Job: "deploy", AskedBy: "bob", State: bellhop.Waiting, Start: now, Wait: &w}
	}
	approval := wait(77, bellhop.Wait{Reason: bellhop.WaitApproval})
	approval.State = bellhop.Held
	crashed := wait(83, bellhop.Wait{Reason: bellhop.WaitPlace})
	crashed.Attempt, crashed.Error = 1, "its runner was lost"
	got := chat.Style{Now: now}.StatusText(bellhop.Status{
		Waiting: []bellhop.Run{
			wait(74, bellhop.Wait{Reason: bellhop.WaitDelay, Until: now.Add(55 * time.Second)}),
			wait(75, bellhop.Wait{Reason: bellhop.WaitBackoff, Until: now.Add(10 * time.Second), After: "exit status 3"}),
			wait(76, bellhop.Wait{Reason: bellhop.WaitConcurrency, Behind: 70}),
			approval,
			wait(78, bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: openNow.Until, Hold: &openNow}),
			wait(79, bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &paused}),
			wait(84, bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &paused, More: 1}),
			wait(80, bellhop.Wait{Reason: bellhop.WaitPlace}),
			wait(81, bellhop.Wait{Reason: bellhop.WaitPaused}),
			wait(82, bellhop.Wait{Reason: bellhop.WaitSuppressed}),
			crashed,
		},
		Holds:  allHolds,
		Config: &bellhop.Activation{Digest: "d", Server: "k3x9", At: clockAt(0, 13, 58)},
	})
	want := `11 runs are waiting:
  00002a deploys deploy, until 14:04:00 (in 55 s), delayed, asked by bob
  00002b deploys deploy, until 14:03:15 (in 10 s), again after: exit status 3, asked by bob
  00002c deploys deploy, behind 000026, asked by bob
  00002d deploys deploy, to be approved, asked by bob
  00002e deploys deploy, suppressed until today 14:33:05 by bob^[, asked by bob
  00002f deploys deploy, paused since yesterday 09:12 by carol, asked by bob
  00002m deploys deploy, paused since yesterday 09:12 by carol (and 1 more), asked by bob
  00002g deploys deploy, for a free place, asked by bob
  00002h deploys deploy, paused, asked by bob
  00002j deploys deploy, suppressed, asked by bob
  00002k deploys deploy, for a free place, again after: its runner was lost, asked by bob
` + allHoldsText + `
This server has another configuration than the newest one, which server k3x9
activated at 13:58:00, and which schedules go by. To have it here too: bring the
file over, then: bellhop reload`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	quiet := chat.Style{Now: now}.StatusText(bellhop.Status{Holds: allHolds})
	if want := "Nothing is happening.\n" + allHoldsText; quiet != want {
		t.Errorf("got:\n%s\nwant:\n%s", quiet, want)
	}
}
