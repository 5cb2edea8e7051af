package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestChaos kills the server alone, at random moments, and holds what is left
// and what the next server makes of it against the promises: every accepted
// request has one outcome, which its asker gets or can read; no process of the
// former life remains; executions of one run never overlap; and the record
// says what happened.
//
// BELLHOP_CHAOS is the number of rounds of each kind (3), BELLHOP_SEED the
// seed of the moments, which is printed.
func TestChaos(t *testing.T) {
	if processes() == nil {
		t.Skip("the processes of runs can be listed on Linux only")
	}
	rounds := number(t, "BELLHOP_CHAOS", 3)
	seed := number(t, "BELLHOP_SEED", int(time.Now().UnixNano()&0x7fffffff))
	for i, k := range []kind{
		{"right after accepted", 5 * time.Millisecond, func(r *round) bool { return r.receipts() > 0 }},
		{"in the middle of a run", 250 * time.Millisecond, func(r *round) bool { return r.journal("start") > 0 }},
		{"between the end and the report", 5 * time.Millisecond, func(r *round) bool { return r.journal("end") > 0 }},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			t.Logf("%d rounds, BELLHOP_SEED=%d", rounds, seed)
			c := newChaos(t, rand.New(rand.NewPCG(uint64(seed), uint64(i))))
			for n := range rounds {
				c.round(n, k)
			}
			c.settle()
		})
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it takes a whole number", name, text)
	}
	return n
}

// kind is when a round's server is killed: up to jitter after a condition.
type kind struct {
	name   string
	jitter time.Duration
	when   func(*round) bool
}

const chaosConfig = `
lease: 1s
runner: {slots: 32}
%s
services:
  c:
    dir: .
    jobs:
      work:
        run: bash work.sh
        params: {tag: {}, ms: {type: int}}
        concurrency: unlimited
        report: {stdout: true}
    commands: [{command: "work [tag] [ms]", job: work}]
`

// chaosWork is a job that says in a journal what it does, so that overlaps are
// seen, and has children that outlive everything but SIGKILL.
const chaosWork = `
read -r _ _ _ grand _ </proc/$PPID/stat
say() { echo "$1 $BELLHOP_RUN $BELLHOP_LEASE ${EPOCHREALTIME/./} $BELLHOP_ARG_tag $PPID $grand" >>journal; }
say start
trap '' TERM
(trap '' TERM; exec sleep 600) >/dev/null 2>&1 & child=$!
setsid sh -c 'trap "" TERM; while :; do sleep 0.3; done' >/dev/null 2>&1 & far=$!
until=$(( ${EPOCHREALTIME/./} + BELLHOP_ARG_ms * 1000 ))
while (( ${EPOCHREALTIME/./} < until )); do say tick; sleep 0.01; done
kill -KILL $child $far
echo "done $BELLHOP_ARG_tag"
say end
`

// chaos is one kind's place: its store lives through all rounds.
type chaos struct {
	*place
	t      *testing.T
	random *rand.Rand
	server *process
	ups    map[string]bool // process numbers of the servers so far
	ssh    bool
	unread []string // tags whose reports nobody was there for
	known  map[string]string
}

func newChaos(t *testing.T, random *rand.Rand) *chaos {
	c := &chaos{place: newPlace(t), t: t, random: random, known: make(map[string]string), ups: make(map[string]bool)}
	chats := ""
	if lookPath(c.env, "ssh") != "ssh" {
		port := freePort(t)
		c.ssh, c.env = true, append(c.env, "SSH_PORT="+port)
		c.admit("alice")
		chats = fmt.Sprintf("chats: {ssh: {listen: \"127.0.0.1:%s\", authorized_keys: authorized_keys}}", port)
	} else if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
		t.Fatal("ssh is not on PATH; install it with: apt-get install openssh-client")
	} else {
		t.Log("ssh is not on PATH (apt-get install openssh-client), so nobody asks over SSH here")
	}
	c.write("bellhop.yaml", fmt.Sprintf(chaosConfig, chats))
	c.write("work.sh", chaosWork)
	c.write("journal", "")
	c.up("up0")
	return c
}

func (c *chaos) up(name string) {
	c.t.Helper()
	c.server = c.serve(name)
	c.ups[strconv.Itoa(c.server.cmd.Process.Pid)] = true
}

// round is one life of a server: requests, a kill, and the next server.
type round struct {
	c    *chaos
	n    int
	asks []*asked
}

// asked is one request under way.
type asked struct {
	tag  string
	proc *process // of `ask` or ssh
	http *request
}

func (c *chaos) round(n int, k kind) {
	c.t.Helper()
	r := &round{c: c, n: n}
	for i := range 6 {
		r.ask(i)
	}
	c.until(fmt.Sprintf("round %d: %s", n, k.name), func() bool { return k.when(r) })
	time.Sleep(time.Duration(c.random.Int64N(int64(k.jitter)))) // the random moment
	before := c.instances()
	c.server.kill9()
	for id := range c.instances() {
		before[id] = true
	}
	if c.random.IntN(2) == 0 {
		// The watchdog ends what the server left; nobody else is there to do it.
		var left []leftover
		if !waitUntil(func() bool { left = c.runProcesses(); return len(left) == 0 }, nil) {
			c.t.Fatalf("round %d: processes outlive their server:%s", n, list(left))
		}
	}
	c.up(fmt.Sprintf("up%d", n+1))
	for _, l := range c.runProcesses() {
		if before[l.env["BELLHOP_INSTANCE"]] {
			c.t.Errorf("round %d: a process of the first life lives on in the second: %s", n, l.line)
		}
	}
	for _, a := range r.asks {
		r.answered(a)
	}
	c.until(fmt.Sprintf("round %d: every run ends", n), func() bool {
		return strings.Contains(c.must("bellhop", "status"), "Nothing is happening")
	})
	c.check(n)
}

// ask begins the i-th request of a round: three by `ask`, two by the API, and
// one over SSH.
func (r *round) ask(i int) {
	c := r.c
	a := &asked{tag: fmt.Sprintf("r%d-%d", r.n, i)}
	ms := strconv.Itoa(c.random.IntN(300))
	switch {
	case i < 3:
		a.proc = c.start(a.tag, "bellhop", "ask", "c", "work", a.tag, ms)
	case i < 5 || !c.ssh:
		a.http = c.post(a.tag, "c work "+a.tag+" "+ms)
	default:
		a.proc = c.start(a.tag, "ssh-as", "alice", "c", "work", a.tag, ms)
	}
	r.asks = append(r.asks, a)
}

// receipts counts requests of this round that were accepted.
func (r *round) receipts() (n int) {
	for _, a := range r.asks {
		if a.http != nil && a.http.first() != "" || a.proc != nil && strings.Contains(a.proc.stderr(), "accepted ") {
			n++
		}
	}
	return n
}

// journal counts what jobs of this round have said.
func (r *round) journal(what string) (n int) {
	for _, e := range r.c.entries() {
		if e.what == what && strings.HasPrefix(e.tag, fmt.Sprintf("r%d-", r.n)) {
			n++
		}
	}
	return n
}

// answered holds what one asker was told against what was promised.
func (r *round) answered(a *asked) {
	c := r.c
	c.t.Helper()
	switch {
	case a.http != nil: // asked until answered, under one key; nobody waits for its report
		first, last := a.http.first(), a.http.wait(c.t)
		if first != "" && first != last {
			c.t.Errorf("%s was accepted as %s, and the same key again is %s", a.tag, first, last)
		}
		c.known[a.tag] = last
		c.unread = append(c.unread, a.tag)
	case a.tag == fmt.Sprintf("r%d-5", r.n): // ssh: the connection is cut, what was accepted is not
		status := a.proc.wait()
		if id := acceptedID(a.proc.stderr()); id != "" {
			c.known[a.tag] = id
		} else if status == 0 {
			c.t.Errorf("%s: ssh ended well without a receipt: %s", a.tag, a.proc.stderr())
		}
	default:
		if status := a.proc.wait(); status != 0 {
			c.t.Errorf("%s: ask ended with status %d:\n%s%s", a.tag, status, a.proc.stdout(), a.proc.stderr())
		}
		out := strings.Fields(strings.ReplaceAll(a.proc.stdout(), "done "+a.tag, "ok"))
		if len(out) == 0 || slices.ContainsFunc(out, func(s string) bool { return s != "ok" }) {
			c.t.Errorf("%s: the answer is %q:\n%s", a.tag, a.proc.stdout(), a.proc.stderr())
		}
		id := acceptedID(a.proc.stderr())
		if id == "" {
			c.t.Errorf("%s: no receipt: %s", a.tag, a.proc.stderr())
		}
		c.known[a.tag] = id
	}
}

// acceptedID is the run that a receipt names, "" without one.
func acceptedID(text string) string {
	for line := range strings.Lines(text) {
		for _, begin := range []string{"accepted ", "asked before: "} {
			if rest, ok := strings.CutPrefix(line, begin); ok {
				id, _, _ := strings.Cut(rest, ":")
				return id
			}
		}
	}
	return ""
}

// instances are the lives of servers that runs' processes carry now.
func (c *chaos) instances() map[string]bool {
	ids := make(map[string]bool)
	for _, l := range c.runProcesses() {
		ids[l.env["BELLHOP_INSTANCE"]] = true
	}
	return ids
}

// entry is a line of the journal.
type entry struct {
	what, run, lease, tag string
	at                    int64     // microseconds
	parents               [2]string // processes above it; a server is among them
}

func (c *chaos) entries() (out []entry) {
	for line := range strings.Lines(c.read("journal")) {
		f := strings.Fields(line)
		if len(f) != 7 || !strings.HasSuffix(line, "\n") {
			continue // being written
		}
		at, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			c.t.Fatalf("the journal says %q", line)
		}
		out = append(out, entry{f[0], f[1], f[2], f[4], at, [2]string{f[5], f[6]}})
	}
	return out
}

// check holds the record against what was accepted, and against the journal.
func (c *chaos) check(n int) {
	c.t.Helper()
	byTag := make(map[string][]run)
	byID := make(map[string]run)
	for _, r := range c.runs() {
		byTag[r.Args["tag"]] = append(byTag[r.Args["tag"]], r)
		byID[r.ID] = r
		if r.State != "succeeded" {
			c.t.Errorf("round %d: %s (%s) is %s: %s", n, r.ID, r.Args["tag"], r.State, r.Error)
		}
	}
	for tag, id := range c.known {
		if got := byTag[tag]; len(got) != 1 || got[0].ID != id {
			c.t.Errorf("round %d: %s was accepted as %s, and the record has %+v", n, tag, id, got)
		}
	}
	for tag, got := range byTag {
		if len(got) > 1 {
			c.t.Errorf("round %d: %s was asked for once and has %d runs", n, tag, len(got))
		}
	}
	for id, lives := range c.executions() {
		// An ask that serves itself in between may interrupt one, which does not count.
		crashed := len(slices.DeleteFunc(slices.Clone(lives), func(l life) bool { return !l.up }))
		if attempt := byID[id].Attempt; attempt < crashed {
			c.t.Errorf("round %d: %s was executed %d times by servers, and the record says attempt %d", n, id, crashed, attempt)
		}
		for i := 1; i < len(lives); i++ {
			if lives[i].begin <= lives[i-1].end {
				c.t.Errorf("round %d: executions of %s overlap by %d us", n, id, lives[i-1].end-lives[i].begin)
			}
		}
	}
}

// life is from the first to the last sign of one execution.
type life struct {
	begin, end int64
	up         bool // by a server, not by an ask that served itself
}

// executions are the lives of each run, in order of their beginning.
func (c *chaos) executions() map[string][]life {
	type key struct{ run, lease string }
	lives := make(map[key]life)
	for _, e := range c.entries() {
		k := key{e.run, e.lease}
		l, ok := lives[k]
		if !ok {
			l = life{e.at, e.at, c.ups[e.parents[0]] || c.ups[e.parents[1]]}
		}
		lives[k] = life{min(l.begin, e.at), max(l.end, e.at), l.up}
	}
	out := make(map[string][]life)
	for k, l := range lives {
		out[k.run] = append(out[k.run], l)
	}
	for _, ls := range out {
		slices.SortFunc(ls, func(a, b life) int { return int(a.begin - b.begin) })
	}
	return out
}

// settle reads what nobody was there for: it is kept for its people. For a
// while after a start, connections of the former life may come back for it.
func (c *chaos) settle() {
	var all strings.Builder
	deadline := time.Now().Add(2 * patience)
	for {
		all.WriteString(c.must("bellhop", "runs", "--mine"))
		missing := slices.DeleteFunc(slices.Clone(c.unread), func(tag string) bool { return strings.Contains(all.String(), "done "+tag+"\n") })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			c.t.Errorf("nobody read the reports of %v, and they are not kept either", missing)
			break
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
	crashed := 0
	for _, lives := range c.executions() {
		if len(lives) > 1 {
			crashed++
		}
	}
	c.t.Logf("%d requests, %d of them executed again after a crash", len(c.known), crashed)
	c.server.signal(syscall.SIGTERM)
	if status := c.server.wait(); status != 0 {
		c.t.Errorf("the last server ended with status %d", status)
	}
}

// TestStoppedServer stops a server with SIGSTOP. Its watchdog ends its runs
// before their lease does, so that nobody else could be working them; when it
// goes on, they run again.
func TestStoppedServer(t *testing.T) {
	t.Parallel()
	if processes() == nil {
		t.Skip("the processes of runs can be listed on Linux only")
	}
	c := &chaos{place: newPlace(t), t: t, ups: make(map[string]bool)}
	c.write("bellhop.yaml", strings.Replace(fmt.Sprintf(chaosConfig, ""), "lease: 1s", "lease: 8s", 1))
	c.write("work.sh", chaosWork)
	c.up("up")
	ask := c.start("ask", "bellhop", "ask", "c", "work", "tag", "15000")
	c.until("the run begins", func() bool { return len(c.entries()) > 3 })
	c.server.signal(syscall.SIGSTOP)
	stopped := time.Now()
	c.until("the runs of a stopped server end", func() bool { return len(c.runProcesses()) == 0 })
	if took := time.Since(stopped); took > 8*time.Second {
		t.Errorf("the processes lived %s after the server was stopped; its lease is 8 s", took)
	}
	c.server.signal(syscall.SIGCONT)
	if status := ask.wait(); status != 0 || !strings.HasSuffix(ask.stdout(), "done tag\n") {
		t.Errorf("status %d:\n%s%s", status, ask.stdout(), ask.stderr())
	}
	c.check(0)
	if r := c.runs(); len(r) != 1 || r[0].Attempt != 2 {
		t.Errorf("the record says %+v", r)
	}
}
