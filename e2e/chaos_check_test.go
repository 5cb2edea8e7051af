package e2e_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bellhop-io/bellhop"
)

// settle ends all trouble, waits until nothing happens any more, stops the
// servers in good order, and holds everything that was seen against the
// promises.
func (c *rig) settle(open func() (*bellhop.Store, error)) {
	c.t.Helper()
	for _, s := range c.servers {
		if s.proc != nil && !s.proc.ended() {
			s.proc.kill9()
		}
	}
	// What was put off by a clock that ran ahead begins as well, and what a dead
	// server has taken to deliver is given to others.
	c.step(3 * time.Hour)
	for i := range c.servers {
		c.up(i, "")
	}
	c.long("every ask is accepted", func() bool { return len(c.pending()) == 0 })
	c.under.Wait()
	c.long("nothing happens any more", func() bool {
		return strings.Contains(c.servers[0].run("bellhop", "status").stdout, "Nothing is happening")
	})
	for _, a := range c.asks {
		if a.proc == nil {
			continue
		}
		c.long("`ask` for "+a.tag+" ends", a.proc.ended)
		if c.refusals && a.refused() { // whether there is a run of it is not known
			delete(c.asks, a.tag)
			c.maybe[a.tag] = true
			continue
		}
		id, err := bellhop.ParseRunID(acceptedID(a.proc.stderr()))
		if err != nil {
			c.t.Errorf("%s: no receipt: %v\n%s", a.tag, err, a.proc.stderr())
			continue
		}
		a.run = id
	}
	c.toldAll(open)
	for _, s := range c.servers {
		s.proc.signal(syscall.SIGTERM)
		if status := s.proc.wait(); status != 0 {
			c.t.Errorf("a server ended with status %d:\n%s", status, s.proc.stderr())
		}
	}
	store, err := open()
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Admin.Close()
	k := &checker{rig: c, store: store}
	k.read()
	k.accepted()
	k.attempts()
	k.reports()
	k.overlaps()
	k.quiets()
}

// toldAll waits until no report is on its way: who was to be told was, and what
// nobody was there for is kept for them.
func (c *rig) toldAll(open func() (*bellhop.Store, error)) {
	c.t.Helper()
	store, err := open()
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Admin.Close()
	c.long("every report is delivered or kept", func() bool {
		for _, a := range c.asks {
			if a.proc != nil || a.run == 0 {
				continue
			}
			r, err := store.Records.Run(c.t.Context(), a.run)
			if err != nil {
				c.t.Fatal(err)
			}
			rows, err := store.Outbox.Unread(c.t.Context(), r.AskedBy, "", 10*len(c.asks))
			if err != nil {
				c.t.Fatal(err)
			}
			waiting := make(map[bellhop.RunID]bool)
			for _, a := range c.asks {
				if a.proc == nil {
					waiting[a.run] = true
				}
			}
			for _, row := range rows {
				delete(waiting, row.Run)
			}
			return len(waiting) == 0 // all were asked for by one person
		}
		return true
	})
}

// long waits for what may take several times as long as anything else.
func (c *rig) long(what string, cond func() bool) {
	c.t.Helper()
	for range 8 {
		if waitUntil(cond, nil) {
			return
		}
	}
	var logs strings.Builder
	for _, tag := range c.pending() {
		fmt.Fprintf(&logs, "%s is not accepted yet\n", tag)
		if a := c.asks[tag]; a.proc != nil {
			logs.WriteString(a.proc.stderr())
		}
	}
	for _, s := range c.servers {
		logs.WriteString(s.run("bellhop", "status").stdout)
		logs.WriteString(s.proc.stderr())
	}
	c.t.Fatalf("%s: does not come true\n%s", what, logs.String())
}

// checker reads the journals at the end, and the store.
type checker struct {
	*rig
	store *bellhop.Store
	runs  map[bellhop.RunID]bellhop.Run
	lives map[execution]*span
}

// execution is a run under one lease.
type execution struct {
	run   bellhop.RunID
	lease int64
}

// span is from the first to the last sign of an execution.
type span struct {
	begin, end int64
	tag, key   string
	ended      bool // it came to its own end
}

func (k *checker) read() {
	k.t.Helper()
	list, err := k.store.Records.Runs(k.t.Context(), bellhop.RunFilter{})
	if err != nil {
		k.t.Fatal(err)
	}
	k.runs = make(map[bellhop.RunID]bellhop.Run)
	for _, r := range list {
		k.runs[r.ID] = r
	}
	b, err := os.ReadFile(k.journal)
	if err != nil {
		k.t.Fatal(err)
	}
	k.lives = make(map[execution]*span)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 7 {
			k.t.Errorf("the journal says %q", line)
			continue
		}
		id, err1 := bellhop.ParseRunID(f[1])
		lease, err2 := strconv.ParseInt(f[2], 10, 64)
		at, err3 := strconv.ParseInt(f[3], 10, 64)
		if err := cmp.Or(err1, err2, err3); err != nil {
			k.t.Errorf("the journal says %q: %v", line, err)
			continue
		}
		e := execution{id, lease}
		l := k.lives[e]
		if l == nil {
			l = &span{begin: at, end: at, tag: f[4], key: f[5]}
			k.lives[e] = l
		}
		l.begin, l.end, l.ended = min(l.begin, at), max(l.end, at), l.ended || f[0] == "end"
	}
}

// accepted: every ask that was accepted has one run, and that came to an end.
func (k *checker) accepted() {
	byTag := make(map[string][]bellhop.RunID)
	for id, r := range k.runs {
		byTag[r.Args["tag"].Text] = append(byTag[r.Args["tag"].Text], id)
		if !r.State.Terminal() {
			k.t.Errorf("run %s is %s at the end", id, r.State)
		}
	}
	for tag, a := range k.asks {
		if got := byTag[tag]; len(got) != 1 || got[0] != a.run {
			k.t.Errorf("%s was accepted as %s, and the record has %v", tag, a.run, got)
		}
	}
	for tag := range byTag {
		if k.asks[tag] == nil && !k.maybe[tag] {
			k.t.Errorf("nobody asked for %s, and there is a run of it", tag)
		}
	}
}

// attempts: a run has one end, under its last lease, and what ended there; and
// every execution is in the record.
func (k *checker) attempts() {
	crashed, again := 0, 0
	for id, r := range k.runs {
		list, err := k.store.Records.Attempts(k.t.Context(), id)
		if err != nil {
			k.t.Fatal(err)
		}
		known := make(map[int64]bool)
		crashes, succeeded := 0, 0
		for i, a := range list {
			known[int64(a.N)] = true
			if i > 0 && a.N <= list[i-1].N {
				k.t.Errorf("run %s: attempt %d comes after %d", id, a.N, list[i-1].N)
			}
			switch a.End {
			case bellhop.EndCrashed:
				crashes++
			case bellhop.EndSucceeded:
				succeeded++
				if l := k.lives[execution{id, int64(a.N)}]; l == nil || !l.ended {
					k.t.Errorf("run %s: attempt %d succeeded, and the journal does not have its end", id, a.N)
				}
				k.output(id, a.N, r)
			}
		}
		crashed += crashes
		if len(list) > 1 {
			again++
		}
		last := bellhop.Attempt{}
		if len(list) > 0 {
			last = list[len(list)-1]
		}
		switch {
		case r.State == bellhop.Succeeded && succeeded == 1 && last.End == bellhop.EndSucceeded:
		case r.State == bellhop.Failed && succeeded == 0 && crashes == bellhop.MaxCrashes && last.End == bellhop.EndCrashed:
		default:
			k.t.Errorf("run %s is %s (%s) after %+v", id, r.State, r.Error, list)
		}
		for e := range k.lives {
			if e.run == id && !known[e.lease] {
				k.t.Errorf("run %s was executed under lease %d, which the record does not know", id, e.lease)
			}
		}
	}
	for e := range k.lives {
		if _, ok := k.runs[e.run]; !ok {
			k.t.Errorf("run %s was executed and is not in the record", e.run)
		}
	}
	k.t.Logf("%d runs, %d executions, %d attempts crashed, %d runs were tried again", len(k.runs), len(k.lives), crashed, again)
}

// output: what a run said is kept with its end.
func (k *checker) output(id bellhop.RunID, attempt int, r bellhop.Run) {
	chunks, err := k.store.Outputs.Tail(k.t.Context(), id, attempt, bellhop.Stdout, 1000)
	if err != nil {
		k.t.Fatal(err)
	}
	text := ""
	for _, c := range chunks {
		text += string(c.Data)
	}
	if want := "done " + r.Args["tag"].Text + "\n"; text != want {
		k.t.Errorf("run %s: attempt %d said %q, want %q", id, attempt, text, want)
	}
}

// reports: whoever waited was told, and who did not has it unread, once.
func (k *checker) reports() {
	unread := make(map[bellhop.RunID]int)
	for _, r := range k.runs {
		rows, err := k.store.Outbox.Unread(k.t.Context(), r.AskedBy, "", 10*len(k.runs)+10)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, row := range rows {
			if row.Kind == bellhop.ReportOutcome {
				unread[row.Run]++
			}
		}
		break // all of them were asked for by one person
	}
	for tag, a := range k.asks {
		switch {
		case a.proc == nil && unread[a.run] != 1:
			k.t.Errorf("%s (%s): nobody was there for its report, which is kept %d times", tag, a.run, unread[a.run])
		case a.proc != nil && k.runs[a.run].State == bellhop.Succeeded && !strings.Contains(a.proc.stdout(), "done "+tag+"\n"):
			k.t.Errorf("%s (%s) was waited for, and the answer is %q:\n%s", tag, a.run, a.proc.stdout(), a.proc.stderr())
		}
	}
}

// overlaps: at no moment were there more executions than may be: of one run, or
// of one concurrency key.
func (k *checker) overlaps() {
	limits := map[string]int{"one": 1, "pair": 2}
	groups := make(map[string][]*span)
	bound := make(map[string]int)
	add := func(name string, limit int, l *span) {
		groups[name], bound[name] = append(groups[name], l), limit
	}
	for e, l := range k.lives {
		add("run "+e.run.String(), 1, l)
		switch job := k.runs[e.run].Job; job {
		case "one", "pair":
			add("job "+job, limits[job], l)
		case "keyed":
			add("key "+l.key, 1, l)
		}
	}
	for name, spans := range groups {
		if n, at := most(spans); n > bound[name] {
			k.t.Errorf("%s: %d executions at a time, %d allowed, at %d: %s", name, n, bound[name], at, k.around(at, spans))
		}
	}
}

// most returns how many spans there are at once at most, and when.
func most(spans []*span) (n int, at int64) {
	type edge struct {
		at int64
		d  int
	}
	var edges []edge
	for _, l := range spans {
		edges = append(edges, edge{l.begin, 1}, edge{l.end, -1})
	}
	// At one moment what begins comes first: an execution of one sign is one.
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.d, a.d)) })
	now := 0
	for _, e := range edges {
		if now += e.d; now > n {
			n, at = now, e.at
		}
	}
	return n, at
}

func (k *checker) around(at int64, spans []*span) string {
	var b strings.Builder
	for e, l := range k.lives {
		if l.begin <= at && at <= l.end && slices.Contains(spans, l) {
			fmt.Fprintf(&b, "\n  run %s under lease %d for %s", e.run, e.lease, time.Duration(l.end-l.begin))
		}
	}
	return b.String()
}

// quiets: nothing began while it was not to, but for what was claimed before
// and began a little late. What was at work when the window opened goes on, and
// if it is cut off it is kept back like others.
func (k *checker) quiets() {
	inOrder := slices.SortedFunc(maps.Keys(k.lives), func(a, b execution) int { return cmp.Compare(k.lives[a].begin, k.lives[b].begin) })
	for _, q := range k.quiet {
		late := make(map[bellhop.RunID]int) // how many executions may begin
		for id := range q.running {
			late[id] = 1
		}
		for e, l := range k.lives {
			if l.begin <= q.from && l.end >= q.from {
				delete(late, e.run)
			}
		}
		for _, e := range inOrder {
			l := k.lives[e]
			if k.runs[e.run].Job != "still" || l.begin <= q.from || l.begin >= q.to {
				continue
			}
			if late[e.run]--; late[e.run] < 0 {
				k.t.Errorf("%s: run %s began under lease %d, %s after the window opened and %s before its end",
					q.what, e.run, e.lease, time.Duration(l.begin-q.from), time.Duration(q.to-l.begin))
			}
		}
	}
}
