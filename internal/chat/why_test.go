package chat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

func TestWhyText(t *testing.T) {
	three := 3
	run := func(state bellhop.State, change func(*bellhop.Run)) bellhop.Run {
		r := bellhop.Run{ID: 74, Service: "deploys", Job: "deploy", AskedBy: "bob", State: state, Start: now, Created: now}
		if change != nil {
			change(&r)
		}
		return r
	}
	waits := func(w bellhop.Wait) bellhop.Run {
		return run(bellhop.Waiting, func(r *bellhop.Run) { r.Wait = &w })
	}
	ended := func(r *bellhop.Run) {
		r.Started, r.Finished, r.Attempt = at(-3*time.Minute), at(-2*time.Minute), 1
	}
	for name, c := range map[string]struct {
		run  bellhop.Run
		want string
	}{
		"held":               {run(bellhop.Held, nil), "waits to be approved."},
		"delay":              {waits(bellhop.Wait{Reason: bellhop.WaitDelay, Until: now.Add(55 * time.Second)}), "waits until 14:04:00 (in 55 s): it was asked for with a delay."},
		"backoff":            {waits(bellhop.Wait{Reason: bellhop.WaitBackoff, Until: now.Add(10 * time.Second), After: "exit status 3"}), "waits until 14:03:15 (in 10 s) to be tried again: exit status 3."},
		"suppressed":         {waits(bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: openNow.Until, Hold: &openNow}), "waits: it is suppressed until today 14:33:05, by bob^[.\nTo take it back: bellhop unsuppress 12"},
		"all of a service":   {waits(bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: endless.Until, Hold: &endless}), "waits: deploys is suppressed until somebody ends it, by alice.\nTo take it back: bellhop unsuppress 5"},
		"suppressed, hidden": {waits(bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: openNow.Until}), "waits until 14:33:05 (in 30 min): it is suppressed."},
		"paused":             {waits(bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &paused}), "waits: it is paused since yesterday 09:12, by carol.\nTo resume: bellhop resume example hello"},
		"paused, narrowed":   {waits(bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &narrowed}), "waits: it is paused since yesterday 09:12, by carol.\nTo resume: bellhop resume 8"},
		"by two":             {waits(bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &paused, More: 1}), "waits: it is paused since yesterday 09:12, by carol.\nTo resume: bellhop resume example hello\n1 more keeps it back too; to see all: bellhop suppressions"},
		"by four":            {waits(bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: endless.Until, Hold: &endless, More: 3}), "waits: deploys is suppressed until somebody ends it, by alice.\nTo take it back: bellhop unsuppress 5\n3 more keep it back too; to see all: bellhop suppressions"},
		"paused, hidden":     {waits(bellhop.Wait{Reason: bellhop.WaitPaused}), "waits until it is resumed: it is paused."},
		"concurrency":        {waits(bellhop.Wait{Reason: bellhop.WaitConcurrency, Behind: 70}), "waits for its turn behind 000026."},
		"place":              {waits(bellhop.Wait{Reason: bellhop.WaitPlace}), "waits for a free place: it starts as soon as a runner has one."},
		"no reason given":    {run(bellhop.Waiting, nil), "waits for a free place: it starts as soon as a runner has one."},
		"running":            {run(bellhop.Running, func(r *bellhop.Run) { r.Started, r.Attempt = at(-65*time.Second), 2 }), "is running, since 14:02:00 (1 min 5 s), attempt 2."},
		"succeeded":          {run(bellhop.Succeeded, ended), "succeeded at 14:01:05 (2 min ago), after 1 min."},
		"failed": {run(bellhop.Failed, func(r *bellhop.Run) { ended(r); r.ExitStatus, r.Error = &three, "no space\x1b" }),
			"failed at 14:01:05 (2 min ago), after 1 min: exit status 3: no space^[."},
		"failed, at last": {run(bellhop.Failed, func(r *bellhop.Run) { ended(r); r.ExitStatus, r.Attempt = &three, 4 }),
			"failed at 14:01:05 (2 min ago), after 1 min, at attempt 4: exit status 3."},
		"timed out": {run(bellhop.TimedOut, func(r *bellhop.Run) { ended(r); r.Error = "it took longer than 1m0s" }), "timed out at 14:01:05 (2 min ago), after 1 min: it took longer than 1m0s."},
		"given up": {run(bellhop.Cancelled, func(r *bellhop.Run) { r.Finished, r.Error = at(-time.Minute), "it had not started by its deadline" }),
			"was cancelled at 14:02:05 (1 min ago), before it began: it had not started by its deadline."},
		"follows, repeats, deadline": {run(bellhop.Waiting, func(r *bellhop.Run) { r.After, r.RetryOf, r.Deadline = 70, 71, clockAt(0, 18, 0) }),
			"waits for a free place: it starts as soon as a runner has one.\nIt follows 000026.\nIt repeats 000027.\nIt is given up if it has not started by today 18:00."},
		"a deadline means nothing once it ran": {run(bellhop.Waiting, func(r *bellhop.Run) { r.Deadline, r.Attempt, r.Error = clockAt(0, 18, 0), 1, "its runner was lost" }),
			"waits for a free place: it starts as soon as a runner has one; it runs again after: its runner was lost."},
	} {
		t.Run(name, func(t *testing.T) {
			got := chat.Style{Now: now, Command: "bellhop "}.AnswerText(bellhop.Answer{Action: bellhop.ActionWhy, Why: &c.run})
			got, named := strings.CutPrefix(got, "00002a deploys deploy ")
			if !named || got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}
