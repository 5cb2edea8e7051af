package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// vaulted adds a service that is for ops alone.
func vaulted(cat *bellhop.Catalog) {
	cat.Services = append(cat.Services, bellhop.Service{
		Name: "vault", Restricted: true, Allow: []bellhop.Rule{{Groups: []string{"ops"}}}, Jobs: []bellhop.Job{job("vault", "open", nil)},
	})
}

func (a *approvals) search(p bellhop.Person, s bellhop.RunSearch) (ids []bellhop.RunID, next bellhop.RunID) {
	a.t.Helper()
	page, err := a.Search(a.t.Context(), p, s)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, r := range page.Runs {
		ids = append(ids, r.ID)
	}
	return ids, page.Next
}

func (a *approvals) finds(what string, p bellhop.Person, s bellhop.RunSearch, want ...bellhop.RunID) {
	a.t.Helper()
	ids, next := a.search(p, s)
	if !slices.Equal(ids, want) || next != 0 {
		a.t.Errorf("%s finds %v and goes on at %s; want %v", p.Identity, ids, next, want)
	}
}

// TestASearchTellsNothingOfWhatIsHidden: neither by what it finds nor by where
// it goes on.
func TestASearchTellsNothingOfWhatIsHidden(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(vaulted)
	arg := func(prefix string) bellhop.RunSearch {
		return bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: prefix}, RunFilter: bellhop.RunFilter{Limit: 1}}
	}
	hidden := a.run(opsAda, ask("vault", "open", "secret")).Run
	a.finds("of another service", devCy, arg("sec"))
	a.finds("of any argument", devCy, bellhop.RunSearch{Arg: bellhop.ArgPrefix{Prefix: "sec"}, RunFilter: bellhop.RunFilter{Limit: 1}})
	a.finds("where it was asked", devCy, bellhop.RunSearch{Source: "ssh"})
	if ids, _ := a.search(devCy, bellhop.RunSearch{}); !slices.Equal(ids, []bellhop.RunID{hidden}) {
		t.Errorf("that it is there is told to everybody, as in lists: %v", ids)
	}
	if ids, _ := a.search(opsBea, arg("sec")); !slices.Equal(ids, []bellhop.RunID{hidden}) {
		t.Errorf("bea finds %v", ids)
	}
	own := a.run(devCy, ask("site", "deploy", "mine")).Run
	a.activate(func(cat *bellhop.Catalog) {
		vaulted(cat)
		cat.Services[0].Allow = []bellhop.Rule{{Groups: []string{"ops"}}}
	})
	a.finds("not as somebody's", devCy, arg("mine"))
	mine := arg("mine")
	mine.Principal = "cy"
	if ids, _ := a.search(devCy, mine); !slices.Equal(ids, []bellhop.RunID{own}) {
		t.Errorf("cy finds %v of his own", ids)
	}
	mine.Principal, mine.Arg.Prefix = "ada", "sec"
	a.finds("of somebody else", devCy, mine)
	_, scoped := a.token(bellhop.Token{Name: "scoped", As: "ada", Allow: []string{"site"}})
	a.finds("confined", scoped, arg("sec"))
	a.finds("confined, one's own", scoped, bellhop.RunSearch{RunFilter: bellhop.RunFilter{Principal: "ada"}, Arg: bellhop.ArgPrefix{Prefix: "s"}})
	if _, err := a.Search(t.Context(), devCy, bellhop.RunSearch{Arg: bellhop.ArgPrefix{Prefix: strings.Repeat("x", 2000)}}); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("a long text: %v", err)
	}
}

// TestASecretIsNotFoundLetterByLetter: what is masked does not match, and does
// not end a page.
func TestASecretIsNotFoundLetterByLetter(t *testing.T) {
	a := newApprovals(t, nil)
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: &bus.Local{}, Clock: a.clock, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }})
	if err := a.Activate(t.Context(), approvedCatalog(nil)); err != nil {
		t.Fatal(err)
	}
	a.run(opsAda, ask("site", "deploy", "hunter22"))
	id := a.run(opsAda, ask("site", "deploy", "x-hunter22")).Run
	for _, prefix := range []string{"h", "hunter", "hunter22", "x-h"} {
		a.finds(prefix, opsBea, bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: prefix}, RunFilter: bellhop.RunFilter{Limit: 1}})
	}
	if ids, _ := a.search(opsBea, bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: "x-"}}); !slices.Equal(ids, []bellhop.RunID{id}) {
		t.Errorf("what is not secret of it finds %v", ids)
	}
}

func TestPagesOfASearch(t *testing.T) {
	a := newApprovals(t, nil)
	var all []bellhop.RunID
	for i := range 130 {
		all = append(all, a.run(opsAda, ask("site", "deploy", fmt.Sprintf("%s%d", []string{"a", "b"}[i%2], i))).Run)
	}
	s := bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: "a"}, RunFilter: bellhop.RunFilter{Limit: 7}}
	var got []bellhop.RunID
	for {
		ids, next := a.search(opsAda, s)
		if len(ids) > 7 {
			t.Fatalf("a page of %d", len(ids))
		}
		got = append(got, ids...)
		if s.Before = next; next == 0 {
			break
		}
	}
	if len(got) != 65 || !slices.IsSortedFunc(got, func(a, b bellhop.RunID) int { return int(b - a) }) {
		t.Errorf("down: %v", got)
	}
	s.Before, s.After, got = 0, all[1], nil
	for {
		ids, next := a.search(opsAda, s)
		if len(ids) > 7 {
			t.Fatalf("a page of %d", len(ids))
		}
		got = append(slices.Clone(ids), got...)
		if s.After = next; next == 0 {
			break
		}
	}
	if len(got) != 64 || !slices.IsSortedFunc(got, func(a, b bellhop.RunID) int { return int(b - a) }) {
		t.Errorf("up: %v", got)
	}
}

// counter counts what is asked of a store.
type counter struct {
	bellhop.Records
	mu    sync.Mutex
	spans []time.Duration
}

func (c *counter) Tally(ctx context.Context, since, until time.Time) ([]bellhop.Tally, error) {
	c.mu.Lock()
	c.spans = append(c.spans, until.Sub(since))
	c.mu.Unlock()
	return c.Records.Tally(ctx, since, until)
}

func TestTallies(t *testing.T) {
	a := newApprovals(t, nil)
	c := &counter{Records: a.store.Records}
	s := *a.store
	s.Records = c
	a.store = &s
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: &bus.Local{}, Clock: a.clock})
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	cat := approvedCatalog(nil)
	vaulted(cat)
	cat.Zone = zone
	if err := a.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	worked := func(service, name, env string, end bellhop.End) {
		t.Helper()
		a.run(opsAda, ask(service, name, env))
		claims := a.claim(1)
		a.clock.Advance(2 * time.Second)
		a.finish(claims[0], end)
	}
	begun := a.clock.Now() // 12:00
	worked("site", "deploy", "a", bellhop.EndSucceeded)
	worked("vault", "open", "a", bellhop.EndFailed)
	a.clock.Advance(30 * time.Minute)
	worked("site", "deploy", "b", bellhop.EndFailed)
	counts := func(p bellhop.Person, since time.Time, bucket time.Duration, service, name string) (text string) {
		t.Helper()
		all, err := a.Tally(t.Context(), p, since, bucket, service, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			for _, n := range b.Tallies {
				text += fmt.Sprintf("%s %s/%s %s %d; ", b.Start.Format("15:04"), n.Service, n.Job, n.Verdict, n.Count)
			}
		}
		return text
	}
	quarter := 15 * time.Minute
	for _, x := range []struct {
		p             bellhop.Person
		service, want string
	}{
		{opsBea, "", "12:00 site/deploy SUCCESS 1; 12:00 vault/open FAIL 1; 12:30 site/deploy REGRESSION 1; "},
		{opsBea, "vault", "12:00 vault/open FAIL 1; "},
		{devCy, "", "12:00 site/deploy SUCCESS 1; 12:30 site/deploy REGRESSION 1; "},
		{devCy, "vault", ""},
	} {
		if got := counts(x.p, begun, quarter, x.service, ""); got != x.want {
			t.Errorf("%s of %q: %s; want %s", x.p.Identity, x.service, got, x.want)
		}
	}
	if len(c.spans) != 3 {
		t.Errorf("the store was asked for %v; want each span once for all", c.spans)
	}
	a.clock.Advance(3 * time.Second)
	worked("site", "deploy", "c", bellhop.EndSucceeded)
	if got := counts(devCy, begun, quarter, "", ""); !strings.HasSuffix(got, "12:30 site/deploy REGRESSION 1; 12:30 site/deploy FIXED 1; ") || len(c.spans) != 5 { // and what ended a moment ago
		t.Errorf("a moment later: %s (%v)", got, c.spans)
	}
	got := counts(devCy, begun.Add(-24*time.Hour), 24*time.Hour, "site", "deploy")
	if got != "00:00 site/deploy REGRESSION 1; 00:00 site/deploy FIXED 1; 00:00 site/deploy SUCCESS 1; " {
		t.Errorf("by days: %s", got)
	}
	n := len(c.spans)
	a.clock.Advance(24 * time.Hour)
	counts(devCy, begun.Add(-24*time.Hour), 24*time.Hour, "", "")
	if more := c.spans[n:]; !slices.Contains(more, 24*time.Hour) {
		t.Errorf("yesterday was counted as %v", more)
	}
	n = len(c.spans)
	a.clock.Advance(time.Second)
	counts(opsBea, begun.Add(-24*time.Hour), 24*time.Hour, "", "")
	if more := c.spans[n:]; len(more) != 0 {
		t.Errorf("a second later these were counted again: %v", more)
	}
	for _, bad := range []time.Duration{0, time.Minute, 20 * time.Minute, 25 * time.Hour, -quarter} {
		if _, err := a.Tally(t.Context(), devCy, begun, bad, "", ""); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("spans of %s: %v", bad, err)
		}
	}
	if _, err := a.Tally(t.Context(), devCy, begun.Add(-50*time.Hour), quarter, "", ""); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("too many spans: %v", err)
	}
}

// TestDaysOfATallyAreThoseOfTheZone also when a clock is put forward.
func TestDaysOfATallyAreThoseOfTheZone(t *testing.T) {
	a := newApprovals(t, nil)
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	a.activate(func(cat *bellhop.Catalog) { cat.Zone = zone })
	a.clock.Advance(time.Date(2027, 3, 29, 9, 0, 0, 0, zone).Sub(a.clock.Now()))
	all, err := a.Tally(t.Context(), devCy, time.Date(2027, 3, 27, 22, 0, 0, 0, zone), 24*time.Hour, "", "")
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	if d := all[1].End.Sub(all[1].Start); d != 23*time.Hour || all[1].Start.In(zone).Hour() != 0 || all[2].Start.In(zone).Hour() != 0 {
		t.Errorf("the day that the clock was put forward is %+v", all[1])
	}
}

func TestWhatASpreadSays(t *testing.T) {
	var n bellhop.Tally
	if n.Quantile(0.5) != 0 {
		t.Error("nothing took some time")
	}
	n.Timed, n.Spread[2], n.Spread[6], n.Spread[12] = 100, 60, 36, 4
	for part, want := range map[float64]time.Duration{0.5: time.Second, 0.95: time.Minute, 0.99: 3 * time.Hour} {
		if got := n.Quantile(part); got != want {
			t.Errorf("%v: %s, want %s", part, got, want)
		}
	}
}

func (a *approvals) history(p bellhop.Person, id bellhop.RunID) (h *bellhop.History, said string) {
	a.t.Helper()
	h, err := a.History(a.t.Context(), p, id)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, c := range h.Changes {
		said += strings.TrimSpace(fmt.Sprintf("%s %s %s %s", c.Kind, c.State, c.By, c.Reason)) + "; "
	}
	return h, said
}

func TestTheHistoryOfARun(t *testing.T) {
	a := newApprovals(t, func(j *bellhop.Job) { j.Retries = bellhop.Retries{Max: 1, Backoff: time.Second} })
	id := a.asked().ID
	a.clock.Advance(time.Second)
	a.approved(opsAda, id, bellhop.Waiting, "ada")
	for range 2 {
		a.clock.Advance(time.Minute)
		claims := a.claim(1)
		a.clock.Advance(time.Minute)
		a.finish(claims[0], bellhop.EndFailed)
	}
	a.clock.Advance(time.Minute)
	again, err := a.do(devCy, about(bellhop.ActionRetry, id))
	if err != nil {
		t.Fatal(err)
	}
	h, said := a.history(devCy, id)
	if want := "asked held cy; approved waiting ada; begun running; again waiting  because; begun running; ended failed  because; "; said != want {
		t.Errorf("cy is told %s; want %s", said, want)
	}
	if len(h.Attempts) != 2 || len(h.Asks) != 1 || h.Asks[0].Key != "" || h.Asks[0].Origin.Session != "" || len(h.CameOf) != 1 || h.CameOf[0].ID != again.Accepted.Run {
		t.Errorf("it is %+v", h)
	}
	if h, _ := a.history(opsAda, again.Accepted.Run); h.RetryOf == nil || h.RetryOf.ID != id || h.Run.Wait == nil {
		t.Errorf("the one that repeats it is %+v", h)
	}
	if _, said := a.history(boss, id); !strings.Contains(said, "recorded  ada approve, approve by ops") || !strings.Contains(said, "recorded  cy run") {
		t.Errorf("an admin is told %s", said)
	}
	a.activate(func(cat *bellhop.Catalog) { cat.Services[0].Allow = []bellhop.Rule{{Groups: []string{"dev"}}} })
	if _, err := a.History(t.Context(), guest, id); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("a guest: %v", err)
	}
	if _, err := a.History(t.Context(), devCy, 4711); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestWhatSomebodyMayApprove(t *testing.T) {
	a := newApprovals(t, nil)
	id := a.asked().ID
	second := ask("site", "deploy", "production")
	second.OnRepeat = bellhop.OnRepeatQueue
	other := a.run(opsAda, second).Run
	a.activate(vaulted)
	_, scoped := a.token(bellhop.Token{Name: "scoped", As: "bea", Allow: []string{"vault"}})
	for _, c := range []struct {
		p    bellhop.Person
		want []bellhop.RunID
	}{{opsBea, []bellhop.RunID{other, id}}, {opsAda, []bellhop.RunID{id}}, {devCy, nil}, {guest, nil}, {scoped, nil}} {
		runs, err := a.Votable(t.Context(), c.p)
		var ids []bellhop.RunID
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("%s may approve %v, %v; want %v", c.p.Identity, ids, err, c.want)
		}
	}
}

func TestWhatFailed(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(vaulted)
	since := a.clock.Now().Add(time.Hour)
	fail := func(service, name, env string) bellhop.RunID {
		id := a.run(opsAda, ask(service, name, env)).Run
		claims := a.claim(1)
		a.clock.Advance(time.Minute)
		a.finish(claims[0], bellhop.EndFailed)
		return id
	}
	fail("site", "deploy", "early")
	late := a.run(opsAda, ask("site", "deploy", "late")).Run // made before, failed after
	claims := a.claim(1)
	a.clock.Advance(2 * time.Hour)
	a.finish(claims[0], bellhop.EndFailed)
	hidden := fail("vault", "open", "x")
	for _, c := range []struct {
		p    bellhop.Person
		n    int
		want []bellhop.RunID
		more bool
	}{{opsBea, 9, []bellhop.RunID{hidden, late}, false}, {opsBea, 1, []bellhop.RunID{hidden}, true}, {devCy, 9, []bellhop.RunID{late}, false}, {devCy, 1, []bellhop.RunID{late}, false}} {
		runs, more, err := a.Failed(t.Context(), c.p, since, c.n)
		var ids []bellhop.RunID
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, c.want) || more != c.more {
			t.Errorf("%s is told of %v, %v, %v; want %v, %v", c.p.Identity, ids, more, err, c.want, c.more)
		}
	}
}

func TestLastLines(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(vaulted)
	a.run(opsAda, ask("site", "deploy", "a"))
	a.run(opsAda, ask("vault", "open", "a"))
	waits := a.run(opsAda, ask("site", "deploy", "b")).Run
	claims := a.claim(2)
	var ids []bellhop.RunID
	print := func(i int, c bellhop.Channel, seq int64, text string) {
		t.Helper()
		_, err := a.store.Outputs.AppendOutput(t.Context(), []bellhop.OutputBatch{{Ref: ref(claims[i]), Attempt: int(claims[i].Task.Lease), Chunks: []bellhop.Chunk{
			{Seq: seq, Attempt: int(claims[i].Task.Lease), Channel: c, At: a.clock.Now(), Data: []byte(text)},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range claims {
		ids = append(ids, c.Task.Run)
	}
	ids = append(ids, waits, 4711)
	told := func(p bellhop.Person) map[bellhop.RunID]string {
		t.Helper()
		got, err := a.LastLines(t.Context(), p, ids)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := told(opsAda); len(got) != 0 {
		t.Errorf("before anything was printed: %v", got)
	}
	a.clock.Advance(time.Second)
	print(0, bellhop.Stdout, 1, "one\ntwo \x1b[31mred\x1b[0m\x07\n\n  \n")
	print(1, bellhop.Stdout, 1, "secret things\n")
	if got := told(opsBea); got[ids[0]] != "two red" || got[ids[1]] != "secret things" || len(got) != 2 {
		t.Errorf("bea is told %q", got)
	}
	if got := told(devCy); got[ids[0]] != "two red" || len(got) != 1 {
		t.Errorf("cy is told %q", got)
	}
	print(0, bellhop.Stderr, 2, "50%\r70%\r"+strings.Repeat("ä", 300))
	if got := told(devCy); got[ids[0]] != "two red" {
		t.Errorf("looked at again within a second: %q", got)
	}
	a.clock.Advance(time.Second)
	print(0, bellhop.Stderr, 3, "\n\xff\xfe 90%\r")
	if got := told(devCy); got[ids[0]] != "\ufffd 90%" {
		t.Errorf("then %q", got)
	}
	a.clock.Advance(time.Second)
	print(0, bellhop.Stderr, 4, strings.Repeat("ä", 300))
	if got := told(devCy); len(got[ids[0]]) != 200 {
		t.Errorf("a long line has %d bytes", len(got[ids[0]]))
	}
}
