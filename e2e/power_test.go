package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

const powerConfig = `
services:
  p:
    dir: .
    jobs:
      later: {run: "true", params: {tag: {}}, concurrency: unlimited}
      now:   {run: "echo {tag}", params: {tag: {}}, concurrency: unlimited, report: {stdout: true}}
      big:   {run: "head -c 1000000 /dev/zero | tr '\\0' x"}
    commands:
      - {command: "later [tag]", job: later, delay: 1d}
      - {command: big, job: big}
      - {command: "now [tag]", job: now}
`

// TestPowerLoss records what the program asks of the disk while it is asked for
// runs, in three lives: one that ends well, one that outgrows its log and is
// killed, and one that is killed as well. Then the power is lost at every point
// of the recording where the disk knows more, and with a part of what it does
// not have to know. Each time the store opens, and has every run that somebody
// was told is accepted, and every outcome that somebody was told.
//
// BELLHOP_POWER is how often the power is lost at most (200), BELLHOP_SEED the
// seed of what is torn.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	need(t, "strace", "apt-get install strace")
	cuts := number(t, "BELLHOP_POWER", 200)
	seed := number(t, "BELLHOP_SEED", 1)
	p := newPlace(t)
	if os.Getenv("BELLHOP_E2E_BIN") == "" { // the race detector's own calls are many
		if err := build(p.path("bin/bellhop")); err != nil {
			t.Fatal(err)
		}
	}
	p.write("bellhop.yaml", powerConfig)
	journal := make(map[bellhop.RunID]string)
	var trace []*call
	for i, life := range []struct {
		asks int
		ask  string // now and then, to its end
		end  syscall.Signal
	}{{100, "now hello", syscall.SIGTERM}, {300, "big", syscall.SIGKILL}, {40, "now hello", syscall.SIGKILL}} {
		trace = append(trace, p.record(t, i, life.asks, life.ask, life.end, journal)...)
	}
	told := make(map[bellhop.RunID]bool)
	for _, c := range trace {
		for _, id := range acknowledged(c) {
			told[id] = true
		}
	}
	for id := range journal {
		if !told[id] {
			t.Fatalf("a client was told of run %s, and the recording does not show it", id)
		}
	}

	loss := &powerLoss{t: t, path: p.path("bellhop.db"), trace: trace, asked: journal, torn: rand.New(rand.NewPCG(uint64(seed), 0))}
	begin := time.Now()
	loss.play(cuts, newDisk(loss.path))
	t.Logf("%d calls, %d runs accepted, %d outcomes told; %d losses of power in %s, seed %d",
		len(trace), len(told), len(loss.outcomes), loss.cuts, time.Since(begin).Round(time.Millisecond), seed)
	if len(loss.outcomes) < 10 {
		t.Errorf("only %d outcomes were told", len(loss.outcomes))
	}
	if n := loss.checkpoints(); n < 2 {
		t.Errorf("the log was brought into the store %d times; there was to be one in its midst and one at the end of a life", n)
	}
	if len(loss.faults) > 0 {
		t.Errorf("%d faults, among them:\n%s", len(loss.faults), strings.Join(loss.faults[:min(5, len(loss.faults))], "\n"))
	}
	if loss.cuts < min(cuts, 100) {
		t.Errorf("the power was lost only %d times", loss.cuts)
	}

	// On a disk that lies about what is synced the same runs are lost, so this
	// test can tell.
	liar := newDisk(loss.path)
	liar.lies = true
	blind := &powerLoss{t: t, path: loss.path, trace: trace, asked: journal}
	blind.play(10, liar)
	if len(blind.faults) == 0 {
		t.Error("nothing is missing after a loss of power where nothing was synced; this test can't fail")
	}
}

// record lets a server live while it is asked for runs, and returns what it
// asked of the system.
func (p *place) record(t *testing.T, life, asks int, ask string, end syscall.Signal, journal map[bellhop.RunID]string) []*call {
	t.Helper()
	file := p.path(fmt.Sprintf("trace%d", life))
	name := fmt.Sprintf("up%d", life)
	server := p.start(name, "strace", "-f", "--seccomp-bpf", "-q", "-y", "-xx", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=write,pwrite64,pwritev,pwritev2,writev,ftruncate,fallocate,fsync,fdatasync,sync_file_range,unlink,unlinkat,rename,renameat,renameat2",
		"-o", file, "bellhop", "up")
	server.waitOutput(name+".out", "ready ")
	holder, err := strconv.Atoi(strings.TrimSpace(p.read("bellhop.db.lock")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if !server.ended() {
			_ = syscall.Kill(holder, syscall.SIGKILL)
		}
	}()
	var clients sync.WaitGroup
	var mu sync.Mutex
	next := make(chan int)
	for range 6 {
		clients.Go(func() {
			client := keptSocket(p)
			defer client.CloseIdleConnections()
			for n := range next {
				tag := fmt.Sprintf("t%d-%d", life, n)
				id, err := submit(client, tag, "p later "+tag)
				if err != nil {
					t.Errorf("asking for run %d of life %d: %v", n, life, err)
					continue
				}
				mu.Lock()
				journal[id] = tag
				mu.Unlock()
			}
		})
	}
	for n := range asks {
		if n%10 == 5 {
			p.must("bellhop", "ask", "p "+ask)
		}
		next <- n
	}
	close(next)
	clients.Wait()
	if err := syscall.Kill(holder, end); err != nil {
		t.Fatal(err)
	}
	server.wait()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := readTrace(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return trace
}

// keptSocket is a client of the control socket that keeps its connection.
func keptSocket(p *place) *http.Client {
	return &http.Client{Timeout: 2 * patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.path(".bellhop/control.sock"))
		},
	}}
}

// submit asks once by the API and returns the run that it was accepted as.
func submit(client *http.Client, key, text string) (bellhop.RunID, error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest("POST", "http://bellhop/v1/runs", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Accepted *struct{ Run string } `json:"accepted"`
	}
	if err := json.Unmarshal(b, &answer); err != nil || answer.Accepted == nil {
		return 0, fmt.Errorf("%s: %.300s", resp.Status, b)
	}
	return bellhop.ParseRunID(answer.Accepted.Run)
}

var (
	acceptedRun = regexp.MustCompile(`"accepted":\{"run":"([0-9a-z]+)"`)
	reportedRun = regexp.MustCompile(`"kind":"outcome","run":\{"id":"([0-9a-z]+)".*?"state":"([a-z_]+)"`)
)

// acknowledged are the runs that a call tells somebody are accepted.
func acknowledged(c *call) (ids []bellhop.RunID) {
	if c.name == "write" && bytes.Contains(c.data, []byte(`"accepted"`)) {
		for _, m := range acceptedRun.FindAllSubmatch(c.data, -1) {
			if id, err := bellhop.ParseRunID(string(m[1])); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// powerLoss plays a recording and loses the power on the way.
type powerLoss struct {
	t     *testing.T
	path  string // of the store when it was recorded
	trace []*call
	asked map[bellhop.RunID]string
	torn  *rand.Rand // nil: nothing is torn

	accepted map[bellhop.RunID]bool
	outcomes map[bellhop.RunID]string // states that somebody was told
	cuts     int
	faults   []string
}

// play loses the power about limit times: right before a sync takes effect,
// when the most was told that the disk need not know, and right after; and,
// torn, right before it as well, and somewhere else.
func (l *powerLoss) play(limit int, d *disk) {
	l.t.Helper()
	l.accepted, l.outcomes = make(map[bellhop.RunID]bool), make(map[bellhop.RunID]string)
	syncs := 0
	for _, c := range l.trace {
		if c.returns != nil && strings.HasSuffix(c.returns.name, "sync") && strings.HasPrefix(c.returns.path, filepath.Dir(l.path)) {
			syncs++
		}
	}
	every := max(1, (3*syncs+limit-1)/limit) // at each that is looked at, it is lost three times
	n := 0
	for i, c := range l.trace {
		for _, id := range acknowledged(c) {
			l.accepted[id] = true
		}
		if c.name == "write" && bytes.Contains(c.data, []byte(`"outcome"`)) {
			for _, m := range reportedRun.FindAllSubmatch(c.data, -1) {
				if id, err := bellhop.ParseRunID(string(m[1])); err == nil {
					l.outcomes[id] = string(m[2])
				}
			}
		}
		sync := c.returns != nil && strings.HasSuffix(c.returns.name, "sync") && strings.HasPrefix(c.returns.path, filepath.Dir(l.path))
		here := sync && n%every == 0
		if sync {
			n++
		}
		if here {
			l.lose(i, d, nil)
			if l.torn != nil {
				l.lose(i, d, l.torn)
			}
		}
		if err := d.apply(c); err != nil {
			l.t.Fatalf("call %d: %v", i, err)
		}
		if here && !d.lies {
			l.lose(i, d, nil)
		}
	}
	l.lose(len(l.trace), d, nil)
}

// checkpoints counts how often the store's own file was synced after the
// first run was accepted, which is when the log is brought into it.
func (l *powerLoss) checkpoints() (n int) {
	begun := false
	for _, c := range l.trace {
		begun = begun || len(acknowledged(c)) > 0
		if begun && strings.HasSuffix(c.name, "sync") && c.path == l.path {
			n++
		}
	}
	return n
}

// lose loses the power once, and looks what is there afterwards.
func (l *powerLoss) lose(at int, d *disk, torn *rand.Rand) {
	l.t.Helper()
	l.cuts++
	dir, err := os.MkdirTemp(l.scratch(), "bellhop-power-")
	if err != nil {
		l.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := writeFiles(dir, d.lose(torn)); err != nil {
		l.t.Fatal(err)
	}
	for _, fault := range l.look(filepath.Join(dir, filepath.Base(l.path))) {
		l.faults = append(l.faults, fmt.Sprintf("call %d of %d, torn %t, %d runs accepted: %s", at, len(l.trace), torn != nil, len(l.accepted), fault))
	}
}

// scratch is where files need not be kept in earnest.
func (l *powerLoss) scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return l.t.TempDir()
}

// look opens what is left as the next server would, and holds it against what
// was told.
func (l *powerLoss) look(path string) (faults []string) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 4*time.Minute)
	defer cancel()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return []string{fmt.Sprintf("the store does not open: %v", err)}
	}
	defer s.Admin.Close()
	runs, err := s.Records.Runs(ctx, bellhop.RunFilter{})
	if err != nil {
		return []string{fmt.Sprintf("the store can't be read: %v", err)}
	}
	have := make(map[bellhop.RunID]bellhop.Run, len(runs))
	for _, r := range runs {
		have[r.ID] = r
	}
	for id := range l.accepted {
		r, ok := have[id]
		if !ok {
			faults = append(faults, fmt.Sprintf("run %s was accepted and is not there", id))
		} else if tag, ok := l.asked[id]; ok && r.Args["tag"].Text != tag {
			faults = append(faults, fmt.Sprintf("run %s has the arguments of another one", id))
		}
	}
	for id, state := range l.outcomes {
		if got := have[id].State; string(got) != state {
			faults = append(faults, fmt.Sprintf("somebody was told that run %s is %s, and it is %s", id, state, got))
		}
	}
	if len(faults) > 0 {
		return faults[:1]
	}
	return nil
}
