package e2e_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a condition is waited for that must come true soon: a
// machine that is busy with other tests is slow.
const patience = 30 * time.Second

// place is a folder of its own with what was started in it.
type place struct {
	t   testing.TB
	dir string
	env []string

	procs *started
}

// started is what was started in a place, by name.
type started struct {
	mu     sync.Mutex
	byName map[string]*process
}

func (s *started) add(t testing.TB, x *process) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byName[x.name]; old != nil && !old.ended() {
		t.Errorf("%s is started while one of that name still runs", x.name)
	}
	s.byName[x.name] = x
}

func (s *started) named(name string) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

func (s *started) all() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.byName))
}

// newPlace makes a place for a Go test; it is closed with the test.
func newPlace(t testing.TB) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "bellhop-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := openPlace(t, dir)
	t.Cleanup(p.close)
	return p
}

// openPlace makes a place of a folder that is there.
func openPlace(t testing.TB, dir string) *place {
	t.Helper()
	p := &place{t: t, dir: dir, procs: &started{byName: make(map[string]*process)}}
	for _, d := range []string{"home", ".tmp", "bin"} {
		if err := os.MkdirAll(p.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.write("bin/ssh-as", sshAs)
	if err := os.Chmod(p.path("bin/ssh-as"), 0o755); err != nil {
		t.Fatal(err)
	}
	me := "unknown"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	p.env = []string{
		"WORK=" + dir,
		"PATH=" + p.path("bin") + ":" + bin.dir + ":" + os.Getenv("PATH"),
		"HOME=" + p.path("home"), "TMPDIR=" + p.path(".tmp"),
		"LANG=C.UTF-8", "TZ=UTC", "USER=" + me, "ME=" + me, "TERM=xterm",
		// Without it a race-built program waits a second before it exits.
		"GORACE=atexit_sleep_ms=0",
	}
	return p
}

func (p *place) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

func (p *place) write(name, text string) {
	p.t.Helper()
	path := p.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// read returns a file's content, "" when it is not there yet.
func (p *place) read(name string) string {
	b, err := os.ReadFile(p.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return string(b)
}

// command is a program that runs here.
func (p *place) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(lookPath(p.env, program), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

// lookPath looks for a program on the PATH of an environment.
func lookPath(env []string, program string) string {
	if strings.Contains(program, "/") {
		return program
	}
	for _, kv := range slices.Backward(env) {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, program)
			if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return path
			}
		}
		break
	}
	return program
}

// result is how a program ended.
type result struct {
	status         int
	stdout, stderr string
}

// run runs a program to its end.
func (p *place) run(program string, args ...string) result {
	p.t.Helper()
	return finish(p.t, p.command(program, args...))
}

func finish(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	fault := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](fault); fault != nil && !ok {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), fault)
	}
	return result{statusOf(cmd.ProcessState), out.String(), err.String()}
}

// finishTogether runs a program with both streams in one, as at a terminal.
func finishTogether(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	out, fault := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](fault); fault != nil && !ok {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), fault)
	}
	return result{status: statusOf(cmd.ProcessState), stdout: string(out)}
}

// statusOf is an exit status as a shell tells it.
func statusOf(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// must runs a program that is to succeed and returns its stdout.
func (p *place) must(program string, args ...string) string {
	p.t.Helper()
	r := p.run(program, args...)
	if r.status != 0 {
		p.t.Fatalf("%s %s: exit status %d\n%s%s", program, strings.Join(args, " "), r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// process is a program in the background. Its output goes to the files
// NAME.out and NAME.err.
type process struct {
	p    *place
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a program in the background.
func (p *place) start(name, program string, args ...string) *process {
	p.t.Helper()
	return p.startCmd(name, p.command(program, args...))
}

func (p *place) startCmd(name string, cmd *exec.Cmd) *process {
	p.t.Helper()
	out, err := os.Create(p.path(name + ".out"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	errs, err := os.Create(p.path(name + ".err"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer errs.Close()
	cmd.Stderr = errs
	return p.launch(name, cmd, out)
}

// startOn starts a program that writes to one file, such as a terminal.
func (p *place) startOn(name string, cmd *exec.Cmd, out *os.File) *process {
	p.t.Helper()
	cmd.Stderr = out
	return p.launch(name, cmd, out)
}

func (p *place) launch(name string, cmd *exec.Cmd, out *os.File) *process {
	p.t.Helper()
	cmd.Stdout = out
	x := &process{p: p, name: name, cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	go func() {
		defer close(x.done)
		_ = cmd.Wait()
	}()
	p.procs.add(p.t, x)
	return x
}

// serve starts `bellhop up` and waits until it is ready.
func (p *place) serve(name string, args ...string) *process {
	p.t.Helper()
	x := p.start(name, "bellhop", append([]string{"up"}, args...)...)
	x.waitOutput(name+".out", "ready ")
	return x
}

// waitOutput waits until a file holds a text. A process that ends without it
// ends the test.
func (x *process) waitOutput(file, text string) {
	x.p.t.Helper()
	if !x.tryOutput(file, text) {
		x.p.t.Fatalf("%s does not say %q:\n%s%s", x.name, text, x.stdout(), x.stderr())
	}
}

// tryOutput reports whether a file came to hold a text before its process
// ended.
func (x *process) tryOutput(file, text string) bool {
	x.p.t.Helper()
	return waitUntil(func() bool { return strings.Contains(x.p.read(file), text) }, x.done)
}

func (x *process) stdout() string { return x.p.read(x.name + ".out") }
func (x *process) stderr() string { return x.p.read(x.name + ".err") }

func (x *process) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to this process alone.
func (x *process) signal(sig syscall.Signal) {
	x.p.t.Helper()
	if err := x.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		x.p.t.Fatal(err)
	}
}

// kill9 ends this process alone, as a crash would.
func (x *process) kill9() {
	x.p.t.Helper()
	x.signal(syscall.SIGKILL)
	<-x.done
}

// wait waits for the end of the process and returns its exit status.
func (x *process) wait() int {
	x.p.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		_ = x.cmd.Process.Signal(syscall.SIGQUIT) // so that it tells where it stands
		select {
		case <-x.done:
		case <-time.After(5 * time.Second):
		}
		x.p.t.Fatalf("%s does not end:\n%s%s", x.name, x.stdout(), x.stderr())
	}
	return statusOf(x.cmd.ProcessState)
}

// close ends what still runs here. What is left then was forgotten by
// Bellhop, and so was what raced or panicked on the way.
func (p *place) close() {
	p.t.Helper()
	procs := p.procs.all()
	for _, sig := range []syscall.Signal{syscall.SIGCONT, syscall.SIGTERM} {
		for _, x := range procs {
			if !x.ended() {
				_ = x.cmd.Process.Signal(sig)
			}
		}
	}
	for _, x := range procs {
		select {
		case <-x.done:
			continue
		case <-time.After(5 * time.Second):
		}
		_ = x.cmd.Process.Signal(syscall.SIGTERM) // the second one stops a server at once
		select {
		case <-x.done:
		case <-time.After(5 * time.Second):
			p.t.Errorf("%s (process %d) did not end by SIGTERM", x.name, x.cmd.Process.Pid)
			_ = x.cmd.Process.Kill()
			<-x.done
		}
	}
	for _, x := range procs {
		for _, bad := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if strings.Contains(x.stderr(), bad) {
				p.t.Errorf("%s: %s", x.name, x.stderr())
			}
		}
	}
	var left []leftover
	if !waitUntil(func() bool { left = p.leftovers(); return len(left) == 0 }, nil) {
		for _, l := range left {
			p.t.Errorf("process %d is left over: %s", l.pid, l.line)
			_ = syscall.Kill(l.pid, syscall.SIGKILL)
		}
	}
}

// leftover is a process that carries this place in its environment.
type leftover struct {
	pid  int
	line string // its command line
	env  map[string]string
}

// leftovers lists the processes that were started here, by whomever.
func (p *place) leftovers() []leftover {
	var out []leftover
	for _, l := range processes() {
		if l.env["WORK"] == p.dir || strings.HasPrefix(l.env["HOME"], p.dir+"/") || strings.HasPrefix(l.env["PYTHONPATH"], p.dir+"/") {
			out = append(out, l)
		}
	}
	return out
}

// runProcesses lists the processes of runs of this place's store.
func (p *place) runProcesses() []leftover {
	return slices.DeleteFunc(p.leftovers(), func(l leftover) bool { return l.env["BELLHOP_STORE"] == "" })
}

// waitUntil waits until cond holds and reports whether it did, within patience
// and at the latest when gone is closed.
func waitUntil(cond func() bool, gone <-chan struct{}) bool {
	deadline := time.Now().Add(patience)
	for {
		last := time.Now().After(deadline)
		select {
		case <-gone:
			last = true
		default:
		}
		if cond() {
			return true
		}
		if last {
			return false
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

// until fails the test unless cond comes true.
func (p *place) until(what string, cond func() bool) {
	p.t.Helper()
	if !waitUntil(cond, nil) {
		p.t.Fatalf("%s does not come true", what)
	}
}

// skipUnlessRoot is for what only root may do.
func skipUnlessRoot(t testing.TB, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		lack(t, what+" needs root; run the tests as root")
	}
}

func list(left []leftover) string {
	var b strings.Builder
	for _, l := range left {
		fmt.Fprintf(&b, "\n  %d %s (run %s, instance %s)", l.pid, l.line, cmp.Or(l.env["BELLHOP_RUN"], "-"), l.env["BELLHOP_INSTANCE"])
	}
	return b.String()
}
