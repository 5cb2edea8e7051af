package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

const rigConfig = `
lease: 2s
store: "%s"
runner: {slots: 24}
services:
  c:
    dir: .
    jobs:
      free:  {run: &work ["%s", chaos-work, "%s", "{tag}", "{key}", "{ms}"], params: &params {tag: {}, key: {}, ms: {type: int}}, concurrency: unlimited, report: &report {stdout: true}}
      one:   {run: *work, params: *params, report: *report}
      pair:  {run: *work, params: *params, report: *report, concurrency: 2}
      keyed: {run: *work, params: *params, report: *report, concurrency: "k-{key}"}
      still: {run: *work, params: *params, report: *report, concurrency: unlimited}
    commands:
      - {command: "free [tag] [key] [ms]", job: free}
      - {command: "one [tag] [key] [ms]", job: one}
      - {command: "pair [tag] [key] [ms]", job: pair}
      - {command: "keyed [tag] [key] [ms]", job: keyed}
      - {command: "still [tag] [key] [ms]", job: still}
`

// rig is one store with the servers on it, those who ask them, and the
// journals of what was seen.
type rig struct {
	t       *testing.T
	random  *rand.Rand
	journal string
	clock   string // the file by which the servers' clocks are stepped
	servers []*rigServer

	mu    sync.Mutex
	asks  map[string]*rigAsk // by tag
	maybe map[string]bool    // tags of asks that were refused
	under sync.WaitGroup     // asks that are not accepted yet
	over  chan struct{}      // closed when nobody asks any more
	// refusals: an ask may be refused, since the store can't be written for a while.
	refusals bool
	quiet    []quiet
	n        int
}

// rigServer is one server's folder with its present life.
type rigServer struct {
	*place
	proc  *process
	lives int
}

// rigAsk is one request, and the run that its asker was told of.
type rigAsk struct {
	tag, job string
	run      bellhop.RunID // 0: not accepted yet
	proc     *process      // of `ask`, which waits for the outcome; nil: by the API, and nobody waits
}

// refused reports whether the asker was told that it is not accepted.
func (a *rigAsk) refused() bool {
	return a.proc != nil && a.proc.ended() && acceptedID(a.proc.stderr()) == "" && strings.Contains(a.proc.stderr(), "not accepted")
}

// quiet is a time in which no run of the job "still" may begin.
type quiet struct {
	what     string
	from, to int64 // by boottime
	running  map[bellhop.RunID]bool
}

// buildChaos builds the program with faults in it, once.
var buildChaos = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(bin.dir, "chaos")
	args := []string{"build", "-buildvcs=false", "-tags", "chaos", "-o", filepath.Join(dir, "bellhop")}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv("BELLHOP_TEST_RACE") == "1" {
		args, env = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	cmd := exec.Command("go", append(args, "../cmd/bellhop")...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// newRig makes n servers' folders for one store, which none of them has open
// yet. An empty url stands for a file in the first one's folder.
func newRig(t *testing.T, seed, n int, url string) *rig {
	t.Helper()
	if processes() == nil {
		t.Skip("the processes of runs can be listed on Linux only")
	}
	program, err := buildChaos()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &rig{t: t, random: rand.New(rand.NewPCG(uint64(seed), 0)), asks: make(map[string]*rigAsk), maybe: make(map[string]bool), over: make(chan struct{})}
	for range n {
		s := &rigServer{place: newPlace(t)}
		s.env = append(slicesWithout(s.env, "PATH"), "PATH="+s.path("bin")+":"+program+":"+os.Getenv("PATH"), "BELLHOP_KEY="+strings.Repeat("ab", 32)) // servers of one store share it
		c.servers = append(c.servers, s)
		if c.journal == "" {
			c.journal, c.clock = s.path("journal"), s.path("clock")
		}
		s.write("bellhop.yaml", fmt.Sprintf(rigConfig, orElse(url, "sqlite:bellhop.db"), worker, c.journal))
	}
	t.Cleanup(func() {
		c.stopAsking()
		c.under.Wait()
	})
	t.Logf("BELLHOP_SEED=%d", seed)
	return c
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (c *rig) stopAsking() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.over:
	default:
		close(c.over)
	}
}

// up starts the i-th server with faults. One that a fault ends or stops before
// it is ready is not waited for. As whatever looks after servers does, it starts
// one again that found the store in use: `ask`, which opens the store when
// there is no server, has it until its run has ended.
func (c *rig) up(i int, faults string) {
	c.t.Helper()
	s := c.servers[i]
	for range 100 {
		name := c.begin(i, faults)
		ready := s.proc.tryOutput(name+".out", "ready ")
		switch {
		case ready, faults != "" && (s.proc.ended() || stopped(s.proc.cmd.Process.Pid)):
			return
		case s.proc.ended() && strings.Contains(s.proc.stderr(), "is in use by another"):
			time.Sleep(200 * time.Millisecond) // between two starts
			continue
		}
		break
	}
	c.t.Fatalf("the server is not ready:\n%s%s", s.proc.stdout(), s.proc.stderr())
}

// begin starts the i-th server with faults, and does not wait for it. It
// returns the name that its process has.
func (c *rig) begin(i int, faults string) (name string) {
	c.t.Helper()
	s := c.servers[i]
	s.lives++
	name = fmt.Sprintf("up%d", s.lives)
	cmd := s.command("bellhop", "up")
	cmd.Env = append(append([]string(nil), s.env...), "BELLHOP_FAULT="+faults, "BELLHOP_FAULT_CLOCK="+c.clock,
		"BELLHOP_FAULT_SEED="+strconv.Itoa(c.random.IntN(1<<30)))
	s.proc = s.startCmd(name, cmd)
	return name
}

// ask has somebody ask for a run of a job; whoever is not answered asks again,
// under the same key.
func (c *rig) ask(i int, job string, ms int) {
	c.n++
	a := &rigAsk{tag: fmt.Sprintf("t%d", c.n), job: job}
	text := fmt.Sprintf("c %s %s k%d %d", job, a.tag, c.random.IntN(3), ms)
	c.mu.Lock()
	c.asks[a.tag] = a
	c.mu.Unlock()
	s := c.servers[i]
	if c.n%6 == 0 && s.proc != nil && !s.proc.ended() && !stopped(s.proc.cmd.Process.Pid) {
		a.proc = s.start(a.tag, "bellhop", "ask", text)
		return
	}
	c.under.Go(func() {
		client := s.socket()
		defer client.CloseIdleConnections()
		first := c.patiently(func() (bellhop.RunID, error) { return submit(client, a.tag, text) })
		again := c.patiently(func() (bellhop.RunID, error) { return submit(client, a.tag, text) })
		if first != again && again != 0 {
			c.t.Errorf("%s was accepted as %s, and the same key again is %s", a.tag, first, again)
		}
		c.mu.Lock()
		a.run = first
		c.mu.Unlock()
	})
}

// patiently asks until it is answered, or nobody asks any more.
func (c *rig) patiently(ask func() (bellhop.RunID, error)) bellhop.RunID {
	for {
		if id, err := ask(); err == nil {
			return id
		}
		select {
		case <-c.over:
			return 0
		case <-time.After(20 * time.Millisecond): // between two tries
		}
	}
}

// command has a server carry out a command that is not a run, and returns once
// one has said that it is done.
func (c *rig) command(i int, text string) {
	c.t.Helper()
	c.n++
	client, key := c.servers[i].socket(), fmt.Sprintf("command%d", c.n)
	defer client.CloseIdleConnections()
	var last error
	c.servers[i].until("somebody answers to "+text, func() bool {
		last = post(client, key, text)
		return last == nil
	})
}

// post asks by the API for what is not a run.
func post(client *http.Client, key, text string) error {
	req, err := http.NewRequest("POST", "http://bellhop/v1/runs", strings.NewReader(fmt.Sprintf("{\"text\": %q}", text)))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// pending are the asks that nobody was told of whether they are accepted.
func (c *rig) pending() (tags []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asks {
		if a.run == 0 && (a.proc == nil || acceptedID(a.proc.stderr()) == "") && !(c.refusals && a.refused()) {
			tags = append(tags, a.tag)
		}
	}
	return tags
}

// step steps the servers' clocks.
func (c *rig) step(by time.Duration) {
	c.t.Helper()
	if err := os.WriteFile(c.clock, []byte(by.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// stopped reports whether a process was stopped by SIGSTOP, or has ended.
func stopped(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "T") || strings.HasPrefix(after, "Z")
}

// watchdog returns the process number of a server's watchdog, 0 when it has
// none.
func (s *rigServer) watchdog() int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !strings.Contains(string(line), "\x00watchdog\x00") {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(s.proc.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

// resume lets a server that was stopped go on, once its runs are over, which
// is for its watchdog to see to.
func (s *rigServer) resume() {
	s.t.Helper()
	s.until("the runs of a stopped server end", func() bool { return len(s.ownRuns()) == 0 })
	s.proc.signal(syscall.SIGCONT)
}

// ownRuns are the processes of runs that were started from this folder's
// server.
func (s *rigServer) ownRuns() []leftover { return s.runProcesses() }
