package shell_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/executortest"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
	"github.com/bellhop-io/bellhop/internal/proc"
)

func TestOutcomesInWords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		file := filepath.Join(h.home, "workspace", "example", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", "x", 0o644)
	put("lost", "#!/no/such/interpreter\n", 0o755)
	put("bare", "echo hello\n", 0o755)
	for _, tc := range []struct {
		name   string
		src    bellhop.JobSource
		end    bellhop.End
		status int
		error  string // part of it
	}{
		{"success", bellhop.JobSource{Script: "true"}, bellhop.EndSucceeded, 0, ""},
		{"failure", bellhop.JobSource{Script: "exit 42"}, bellhop.EndFailed, 42, "exit status 42"},
		{"kill", bellhop.JobSource{Script: "kill -KILL $$"}, bellhop.EndFailed, 137, "killed by signal 9 (SIGKILL)"},
		{"segv", bellhop.JobSource{Script: "kill -SEGV $$"}, bellhop.EndFailed, 139, "killed by signal 11 (SIGSEGV)"},
		{"sh", bellhop.JobSource{Script: "exit 3", Shell: "sh"}, bellhop.EndFailed, 3, "exit status 3"},
		{"a failing line does not end a script", bellhop.JobSource{Script: "false\ntrue"}, bellhop.EndSucceeded, 0, ""},
		{"argv on PATH", bellhop.JobSource{Argv: []string{"sh", "-c", "exit 9"}}, bellhop.EndFailed, 9, "exit status 9"},
		{"not on PATH", bellhop.JobSource{Argv: []string{"no-such-program"}}, bellhop.EndNotStarted, -1, "no-such-program was not found on PATH"},
		{"not there", bellhop.JobSource{Argv: []string{"./missing"}}, bellhop.EndNotStarted, -1, "workspace/example/missing is not there"},
		{"not executable", bellhop.JobSource{Argv: []string{"./plain"}}, bellhop.EndNotStarted, -1, "chmod +x"},
		{"a folder", bellhop.JobSource{Argv: []string{"./"}}, bellhop.EndNotStarted, -1, "is a folder"},
		{"no interpreter", bellhop.JobSource{Argv: []string{"./lost"}}, bellhop.EndNotStarted, -1, "the interpreter that its first line names is not there"},
		{"no first line", bellhop.JobSource{Argv: []string{"./bare"}}, bellhop.EndNotStarted, -1, "add that line"},
		{"no folder", bellhop.JobSource{Script: "true", Dir: "nowhere"}, bellhop.EndNotStarted, -1, "correct the job's dir:"},
		{"dir is a file", bellhop.JobSource{Script: "true", Dir: "workspace/example/plain"}, bellhop.EndNotStarted, -1, "is not a folder"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, _ := h.run(t, t.Context(), compiled(t, tc.src))
			status := -1
			if out.ExitStatus != nil {
				status = *out.ExitStatus
			}
			if out.End != tc.end || status != tc.status || !strings.Contains(out.Error, tc.error) || (tc.error == "") != (out.Error == "") {
				t.Errorf("ended %s with status %d and %q, want %s, %d, %q", out.End, status, out.Error, tc.end, tc.status, tc.error)
			}
		})
	}
}

func TestEnvironmentIsBuilt(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "x")
	t.Setenv("TZ", "Europe/London")
	t.Setenv("LANG", "C.UTF-8")
	h := newHouse(t, func(o *shell.Options) { o.Instance = "one" })
	job := compiled(t, bellhop.JobSource{Argv: []string{"env", "-0"}},
		bellhop.Param{Name: "name", Type: bellhop.TypeString}, bellhop.Param{Name: "words", Type: bellhop.TypeList},
		bellhop.Param{Name: "big", As: bellhop.AsFile}, bellhop.Param{Name: "in", As: bellhop.AsStdin})
	job.Env = map[string]string{"LANG": "C", "EXTRA": "a b\nc", "BELLHOP_STORE": "theirs", "BELLHOP_NEW": "x"}
	task := taskOf(job, "name", "Bob", "big", "B", "in", "I")
	task.Args["words"] = bellhop.List("a", "b c")
	task.Callback = "https://bellhop.example.org/callback/x"
	sink := executortest.NewSink()
	if out := h.Execute(t.Context(), task, sink); out.End != bellhop.EndSucceeded {
		t.Fatalf("ended %s: %s", out.End, out.Error)
	}
	got := map[string]string{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(sink.Text(bellhop.Stdout), "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := got[name]; twice {
			t.Errorf("%s stands there twice", name)
		}
		got[name] = value
	}
	if !strings.HasPrefix(got["BELLHOP_ARG_big"], h.home) {
		t.Errorf("BELLHOP_ARG_big is %q, want the path of a file", got["BELLHOP_ARG_big"])
	}
	delete(got, "BELLHOP_ARG_big")
	want := map[string]string{
		"PATH": os.Getenv("PATH"), "TZ": "Europe/London", "LANG": "C", "EXTRA": "a b\nc",
		"PYTHONPATH": filepath.Join(h.home, "workspace"), "WRITEABLE_DIR": filepath.Join(h.home, "writeable", "example"),
		"BELLHOP_STORE": h.store, "BELLHOP_INSTANCE": "one", "BELLHOP_RUN": "000001", "BELLHOP_LEASE": "7",
		"BELLHOP_SERVICE": "example", "BELLHOP_JOB": "job", "BELLHOP_PRINCIPAL": "alice", "BELLHOP_CALLBACK": "https://bellhop.example.org/callback/x",
		"BELLHOP_ARG_name": "Bob", "BELLHOP_ARG_words": `["a","b c"]`,
	}
	if home, ok := os.LookupEnv("HOME"); ok {
		want["HOME"] = home
	}
	if !maps.Equal(got, want) {
		t.Errorf("the environment is\n%v\nwant\n%v", got, want)
	}
}

// TestTraceparent hands a process the trace that its attempt is part of, and
// never the one that the server was started in.
func TestTraceparent(t *testing.T) {
	const ours = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	t.Setenv("TRACEPARENT", "00-11111111111111111111111111111111-1111111111111111-01")
	h := newHouse(t)
	for _, tc := range []struct{ name, task, job, want string }{
		{"traced", ours, "", ours},
		{"not traced", "", "", "none"},
		{"the job's own", ours, "mine", "mine"},
	} {
		job := compiled(t, bellhop.JobSource{Script: `echo ${TRACEPARENT-none}`})
		if tc.job != "" {
			job.Env = map[string]string{"TRACEPARENT": tc.job}
		}
		task, sink := taskOf(job), executortest.NewSink()
		task.Traceparent = tc.task
		if out := h.Execute(t.Context(), task, sink); out.End != bellhop.EndSucceeded || strings.TrimSpace(sink.Text(bellhop.Stdout)) != tc.want {
			t.Errorf("%s: it printed %q, want %q (%s)", tc.name, sink.Text(bellhop.Stdout), tc.want, out.Error)
		}
	}
}

func TestFoldersOfARun(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := os.MkdirAll(filepath.Join(h.home, "scripts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, dir, want string }{
		{"the service's", "", filepath.Join(h.home, "workspace", "example")},
		{"relative", "scripts", filepath.Join(h.home, "scripts")},
		{"absolute", "/", "/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, sink := h.run(t, t.Context(), compiled(t, bellhop.JobSource{Script: `pwd -P; touch "$WRITEABLE_DIR/x"`, Dir: tc.dir}))
			want, _ := filepath.EvalSymlinks(tc.want)
			if got := strings.TrimSpace(sink.Text(bellhop.Stdout)); out.End != bellhop.EndSucceeded || got != want {
				t.Errorf("ran in %q, want %q (%s)", got, want, out.Error)
			}
		})
	}
}

func TestValuesByFileAndStdin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	file := bellhop.Param{Name: "data", Type: bellhop.TypeString, As: bellhop.AsFile}
	stdin := bellhop.Param{Name: "data", Type: bellhop.TypeString, As: bellhop.AsStdin}
	for _, tc := range []struct {
		name, text, want string
		param            bellhop.Param
	}{
		{"a file", `cat {data}`, large, file},
		{"a file of one's own", `stat -c %a {data}`, "600\n", file},
		{"stdin", `cat`, large, stdin},
		{"stdin that nobody reads", `echo hello`, "hello\n", stdin},
		{"no stdin", `cat; echo end`, "end\n", bellhop.Param{Name: "data"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, sink := h.run(t, t.Context(), script(t, tc.text, tc.param), "data", map[bool]string{true: large, false: "x"}[tc.param.As != ""])
			if got := sink.Text(bellhop.Stdout); out.End != bellhop.EndSucceeded || got != tc.want {
				t.Errorf("ended %s (%s) with %.50q of %d bytes, want %.50q of %d", out.End, out.Error, got, len(got), tc.want, len(tc.want))
			}
			if left, _ := filepath.Glob(filepath.Join(h.home, ".bellhop", "runs", "*", "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	t.Run("100 MB of each", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		var n counter
		out := h.Execute(t.Context(), taskOf(script(t, `head -c 100000000 /dev/zero & head -c 100000000 /dev/zero >&2; wait`)), &n)
		if out.End != bellhop.EndSucceeded || n[bellhop.Stdout] != 100_000_000 || n[bellhop.Stderr] != 100_000_000 {
			t.Errorf("ended %s with %d and %d bytes", out.End, n[bellhop.Stdout], n[bellhop.Stderr])
		}
	})
	t.Run("in order of arrival", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		// Each line waits until the one before was taken: which of two lines
		// came first can't be told where both pipes hold more than one.
		taken := &takenSink{Sink: executortest.NewSink(), dir: t.TempDir()}
		var want strings.Builder
		for i := range 10 {
			fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
		}
		out := h.Execute(t.Context(), taskOf(script(t, `taken() { until [ -e {dir}/"$1" ]; do sleep 0.005; done; }
for i in 0 1 2 3 4 5 6 7 8 9; do echo "out $i"; taken "$((2*i+1))"; echo "err $i" >&2; taken "$((2*i+2))"; done`), "dir", taken.dir), taken)
		if got := taken.All(); out.End != bellhop.EndSucceeded || got != want.String() {
			t.Errorf("ended %s (%s), and came as\n%s", out.End, out.Error, got)
		}
	})
	t.Run("in order of arrival, however late it is read", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		job := compiled(t, bellhop.JobSource{Script: "echo out; echo err >&2", Shell: "sh"})
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 40 {
					task := taskOf(job)
					task.Lease = int64(100*g + i)
					sink := executortest.NewSink()
					if out := h.Execute(t.Context(), task, sink); out.End != bellhop.EndSucceeded || sink.All() != "out\nerr\n" {
						t.Errorf("ended %s (%s) with %q", out.End, out.Error, sink.All())
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("goes on after closing it", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		out, sink := h.run(t, t.Context(), script(t, `echo before; exec >&- 2>&-; sleep 0.3; touch "$WRITEABLE_DIR/done"; exit 5`))
		_, err := os.Stat(filepath.Join(h.home, "writeable", "example", "done"))
		if out.End != bellhop.EndFailed || out.ExitStatus == nil || *out.ExitStatus != 5 || sink.All() != "before\n" || err != nil {
			t.Errorf("ended %s (%s) with %q; %v", out.End, out.Error, sink.All(), err)
		}
	})
	t.Run("a slow taker loses nothing", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		slow := &slowSink{release: make(chan struct{})}
		done := make(chan bellhop.Outcome)
		go func() {
			done <- h.Execute(t.Context(), taskOf(script(t, `(setsid sleep 3600 &) ; head -c 60000 /dev/zero; echo end >&2`)), slow)
		}()
		eventually(t, "the process has ended and its daemon too", func() bool { return len(h.left(t)) == 0 })
		close(slow.release)
		if out := <-done; out.End != bellhop.EndSucceeded || slow.n[bellhop.Stdout] != 60000 || slow.n[bellhop.Stderr] != 4 {
			t.Errorf("ended %s with %d and %d bytes", out.End, slow.n[bellhop.Stdout], slow.n[bellhop.Stderr])
		}
	})
}

// heldClock counts the times that an output was waited for longer than it
// should be open.
type heldClock struct {
	bellhop.SystemClock
	fired atomic.Int64
}

func (c *heldClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if d != 100*time.Millisecond {
		return c.SystemClock.NewTimer(d)
	}
	fire := make(chan time.Time, 1)
	t := time.AfterFunc(d, func() { c.fired.Add(1); fire <- time.Now() })
	return fire, func() { t.Stop() }
}

// TestEndOfOutputIsSeen: an end that comes together with the last output was
// once missed, and each third run took 100 ms more.
func TestEndOfOutputIsSeen(t *testing.T) {
	clock := &heldClock{}
	h := newHouse(t, func(o *shell.Options) { o.Clock = clock })
	job := compiled(t, bellhop.JobSource{Script: "echo out; echo err >&2", Shell: "sh"})
	for range 60 {
		h.run(t, t.Context(), job)
	}
	if n := clock.fired.Load(); n > 6 { // a busy machine may be late now and then
		t.Errorf("in %d of 60 runs the end of the output was not seen", n)
	}
}

// counter counts bytes; each channel has its own goroutine.
type counter [3]int

func (c *counter) Write(ch bellhop.Channel, p []byte) { c[ch] += len(p) }
func (c *counter) Handle(string)                      {}

// slowSink takes nothing until it is released.
// takenSink makes a file, named 1, 2, 3 ..., for each piece of output.
type takenSink struct {
	*executortest.Sink
	dir string
	n   atomic.Int64
}

func (s *takenSink) Write(ch bellhop.Channel, p []byte) {
	s.Sink.Write(ch, p)
	_ = os.WriteFile(filepath.Join(s.dir, strconv.FormatInt(s.n.Add(1), 10)), nil, 0o600)
}

type slowSink struct {
	n       counter
	release chan struct{}
}

func (s *slowSink) Write(ch bellhop.Channel, p []byte) { <-s.release; s.n.Write(ch, p) }
func (s *slowSink) Handle(string)                      {}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		within     time.Duration // that Execute returns in
	}{
		{"a child in the background", `sleep 3600 & echo hello`, 15 * time.Second},
		{"one that ignores SIGTERM", `bash -c 'trap "" TERM; while :; do sleep 1; done' & echo hello`, 15 * time.Second},
		{"a stopped one", `sleep 3600 & kill -STOP $!; echo hello`, 15 * time.Second},
		{"a daemon that holds the output", `(setsid bash -c 'trap "" TERM; while :; do sleep 1; done' &); echo hello`, 15 * time.Second},
		{"a daemon that holds nothing", daemon + `echo hello`, 15 * time.Second},
		{"a family of daemons", `for i in 1 2 3 4 5; do (setsid bash -c 'setsid sleep 3600 & setsid sleep 3600 & sleep 3600; :' >/dev/null 2>&1 &); done; echo hello`, 15 * time.Second},
		{"one without an environment", `env -i sleep 3600 & echo hello`, 15 * time.Second},
		{"an escaped one without an environment, holding the output", `(env -i setsid sleep 40 &); echo hello`, 15 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			begin := time.Now()
			out, sink := h.run(t, t.Context(), script(t, tc.text))
			if took := time.Since(begin); took > tc.within {
				t.Errorf("Execute took %v, want at most %v", took, tc.within)
			}
			if out.End != bellhop.EndSucceeded || sink.Text(bellhop.Stdout) != "hello\n" {
				t.Errorf("ended %s (%s) with %q", out.End, out.Error, sink.All())
			}
			g, err := proc.ParseHandle(sink.Handles()[0])
			if err != nil {
				t.Fatal(err)
			}
			if members, _ := g.Members(); len(members) > 0 {
				t.Errorf("left of the group: %v", members)
			}
			eventually(t, "nothing is left", func() bool { return len(h.left(t)) == 0 })
		})
	}
}

// daemon leaves a process that is in its own session by the time the script
// goes on, and holds nothing.
const daemon = `(setsid bash -c 'touch "$WRITEABLE_DIR/up"; sleep 3600; :' >/dev/null 2>&1 &)
until [ -e "$WRITEABLE_DIR/up" ]; do sleep 0.01; done
rm "$WRITEABLE_DIR/up"
`

// TestSweepLeavesOthersAlone runs daemons' runs and one that goes on, on one
// executor.
func TestSweepLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *shell.Options) { o.SweepAfter = 300 * time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	sink, done := executortest.NewSink(), make(chan bellhop.Outcome)
	other := taskOf(script(t, daemon+`echo ready; sleep 3600`))
	other.Run = 2
	go func() { done <- h.Execute(ctx, other, sink) }()
	sink.Await(t, "ready")
	count := func(run bellhop.RunID) int {
		found, _ := proc.Find(proc.Mark{Store: h.store, Run: run.String()})
		return len(found)
	}
	for lease := range 3 {
		task := taskOf(script(t, daemon))
		task.Lease = int64(lease)
		h.Execute(t.Context(), task, executortest.NewSink())
		if count(1) == 0 {
			t.Log("the daemon was found at once, so this turn tested no sweep")
		}
		eventually(t, "what it left is ended", func() bool { return count(1) == 0 })
	}
	if n := count(2); n < 3 {
		t.Errorf("%d processes of the run that goes on, want 3: its sleep, its daemon, the sleep of that", n)
	}
	stop()
	if out := <-done; out.End != bellhop.EndInterrupted {
		t.Errorf("ended %s", out.End)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, tc := range []struct{ name, text string }{
		{"one that ends when asked", `sleep 3600`},
		{"one that says it succeeded", `trap 'exit 0' TERM; while :; do sleep 0.05; done`},
		{"one that does not end", stubborn},
		{"one that starts more when asked", `trap 'setsid sleep 3600 & sleep 3600 & (exec -a x sleep 3600) &' TERM; while :; do sleep 0.05; done`},
		{"one that starts ever more", `f() { setsid bash -c "$1" "$1" & } ; while :; do setsid sleep 3600 >/dev/null 2>&1 & sleep 0.01; done`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, &bellhop.StopCause{End: bellhop.EndTimedOut, Reason: "it took longer than 300ms"})
			defer cancel()
			task := taskOf(script(t, tc.text))
			task.Run = bellhop.RunID(10 + len(tc.name))
			out := h.Execute(ctx, task, executortest.NewSink())
			if out.End != bellhop.EndTimedOut || out.Error != "it took longer than 300ms" || out.ExitStatus == nil {
				t.Errorf("ended %s (%s), status %v", out.End, out.Error, out.ExitStatus)
			}
			if found, _ := proc.Find(proc.Mark{Store: h.store, Run: task.Run.String()}); len(found) > 0 {
				t.Errorf("left when Execute had returned: %v", found)
			}
		})
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	old := newHouse(t)
	sink, done := executortest.NewSink(), make(chan bellhop.Outcome)
	go func() {
		done <- old.Execute(t.Context(), taskOf(script(t, `(setsid setsid sleep 3600 >/dev/null 2>&1 &); echo ready; sleep 3600`, bellhop.Param{Name: "x", As: bellhop.AsFile}), "x", "y"), sink)
	}()
	sink.Await(t, "ready")
	next := newHouse(t, func(o *shell.Options) { o.Home, o.StoreID = old.home, old.store })
	if err := next.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := next.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(old.home, ".bellhop", "runs", "*", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if out := <-done; out.End != bellhop.EndFailed {
		t.Errorf("the old attempt ended %s", out.End)
	}
}

func TestHandleNamesTheGroup(t *testing.T) {
	t.Parallel()
	_, sink := newHouse(t).run(t, t.Context(), script(t, `ps -o pgid= -p $$`))
	handles := sink.Handles()
	if len(handles) != 1 {
		t.Fatalf("handles are %q", handles)
	}
	g, err := proc.ParseHandle(handles[0])
	if err != nil || fmt.Sprint(g.ID) != strings.TrimSpace(sink.Text(bellhop.Stdout)) || g.Start == 0 {
		t.Errorf("handle %q (%v), but the group is %s", handles[0], err, sink.Text(bellhop.Stdout))
	}
}

func TestPythonFindsASibling(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if !slices.ContainsFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "python3"))
		return err == nil
	}) {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal("python3 is not on PATH; install it: apt-get install -y python3")
		}
		t.Skip("python3 is not on PATH; install it: apt-get install -y python3")
	}
	for name, text := range map[string]string{
		"shared/__init__.py": "", "shared/greet.py": "def hello(n): return 'hello ' + n\n",
		"example/do_job.py": "import sys, os\nfrom shared.greet import hello\nopen(os.path.join(os.environ['WRITEABLE_DIR'], 'f'), 'w').write('x')\nprint(hello(sys.argv[2]))\n",
	} {
		file := filepath.Join(h.home, "workspace", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, sink := h.run(t, t.Context(), script(t, "python3 do_job.py --some-arg {some_arg}"), "some_arg", "5")
	if out.End != bellhop.EndSucceeded || sink.All() != "hello 5\n" {
		t.Errorf("ended %s (%s): %s", out.End, out.Error, sink.All())
	}
}
