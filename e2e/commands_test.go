package e2e_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar, each in a folder of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			p := openPlace(env.T().(testing.TB), env.WorkDir)
			env.Vars = append(env.Vars, p.env...)
			env.Values[placeKey{}] = p
			env.Defer(p.close)
			return nil
		},
		Cmds: commands,
	})
}

type placeKey struct{}

// commands are what scripts may say beside what testscript knows.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"needs":       needs,
	"needs-root":  needsRoot,
	"exits":       exits,
	"start":       start,
	"serve":       serve,
	"signal":      sendSignal,
	"kill9":       kill9,
	"ends":        ends,
	"waitfor":     waitFor,
	"until":       until,
	"gone":        gone,
	"freeport":    setFreePort,
	"keys":        keys,
	"mount-tmpfs": mountTmpfs,
}

// script is a running script's place, with its present environment.
func script(ts *testscript.TestScript) *place {
	p := ts.Value(placeKey{}).(*place)
	p.env = slicesWithout(p.env, "SSH_PORT", "SSH_OPTIONS")
	for _, name := range []string{"SSH_PORT", "SSH_OPTIONS", "NO_COLOR", "XDG_RUNTIME_DIR", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"} {
		if v := ts.Getenv(name); v != "" {
			p.env = append(p.env, name+"="+v)
		}
	}
	return p
}

func slicesWithout(env []string, names ...string) []string {
	var out []string
next:
	for _, kv := range env {
		for _, n := range names {
			if strings.HasPrefix(kv, n+"=") {
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// needs PROGRAM PACKAGE: skips the script on a machine without the program.
func needs(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "needs PROGRAM PACKAGE")
	need(script(ts).t, args[0], "apt-get install "+args[1])
}

// needs-root WHAT: skips the script unless it runs as root, who alone may do
// that.
func needsRoot(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "needs-root WHAT")
	skipUnlessRoot(script(ts).t, args[0])
}

// exits STATUS PROGRAM [ARGUMENT]...: runs a program, which must end with just
// that status; stdout and stderr then look at what it said. With "-stdin FILE"
// before the status the program reads that file.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	stdin := ""
	if len(args) > 1 && args[0] == "-stdin" {
		stdin = ts.ReadFile(args[1])
		args = args[2:]
	}
	usage(ts, !neg && len(args) >= 2, "exits [-stdin FILE] STATUS PROGRAM [ARGUMENT]...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := scriptCommand(ts, args[1:])
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	fault := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](fault); fault != nil && !ok {
		ts.Fatalf("%s: %v", args[1], fault)
	}
	if got := statusOf(cmd.ProcessState); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func scriptCommand(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := script(ts).command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	return cmd
}

// start NAME PROGRAM [ARGUMENT]...: runs a program in the background; it
// writes to NAME.out and NAME.err in $WORK.
func start(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "start NAME PROGRAM [ARGUMENT]...")
	script(ts).startCmd(args[0], scriptCommand(ts, args[1:]))
}

// serve NAME [FLAG]...: runs `bellhop up` in the background and waits until it
// is ready.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 1, "serve NAME [FLAG]...")
	x := script(ts).startCmd(args[0], scriptCommand(ts, append([]string{"bellhop", "up"}, args[1:]...)))
	if !x.tryOutput(args[0]+".out", "ready ") {
		ts.Fatalf("%s is not ready:\n%s%s", args[0], x.stdout(), x.stderr())
	}
}

func named(ts *testscript.TestScript, name string) *process {
	x := script(ts).procs.named(name)
	if x == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return x
}

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM,
	"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

// signal SIGNAL NAME: sends HUP, INT, TERM, STOP or CONT to that process alone.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2 && signals[args[0]] != 0, "signal HUP|INT|TERM|STOP|CONT NAME")
	named(ts, args[1]).signal(signals[args[0]])
}

// kill9 NAME: ends that process alone, as a crash would.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "kill9 NAME")
	named(ts, args[0]).kill9()
}

// ends NAME STATUS: waits for the end of a process, with just that status.
func ends(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "ends NAME STATUS")
	x := named(ts, args[0])
	if !waitUntil(x.ended, nil) {
		_ = x.cmd.Process.Signal(syscall.SIGQUIT) // so that it tells where it stands
		waitUntil(x.ended, nil)
		ts.Fatalf("%s does not end:\n%s%s", args[0], x.stdout(), x.stderr())
	}
	if got := strconv.Itoa(statusOf(x.cmd.ProcessState)); got != args[1] {
		ts.Fatalf("%s ended with status %s, want %s:\n%s%s", args[0], got, args[1], x.stdout(), x.stderr())
	}
}

// waitfor FILE [PATTERN]: waits until a file is there, and holds what a
// regular expression matches.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1 || len(args) == 2, "waitfor FILE [PATTERN]")
	p, path := script(ts), ts.MkAbs(args[0])
	if len(args) == 1 {
		if !waitUntil(func() bool { ok, _ := filepath.Glob(path); return len(ok) > 0 }, nil) {
			ts.Fatalf("%s does not appear", args[0])
		}
		return
	}
	pattern := regexp.MustCompile("(?m)" + args[1])
	if !waitUntil(func() bool { return pattern.MatchString(p.read(path)) }, nil) {
		ts.Fatalf("%s does not come to match %s:\n%s", args[0], args[1], p.read(path))
	}
}

// until PATTERN PROGRAM [ARGUMENT]...: runs a program again and again until
// its stdout matches a regular expression.
func until(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "until PATTERN PROGRAM [ARGUMENT]...")
	pattern := regexp.MustCompile("(?m)" + args[0])
	var last []byte
	if !waitUntil(func() bool {
		last, _ = scriptCommand(ts, args[1:]).Output()
		return pattern.Match(last)
	}, nil) {
		ts.Fatalf("%s never says %s:\n%s", strings.Join(args[1:], " "), args[0], last)
	}
}

// gone FILE: waits until no process lives of which FILE has the number, one a
// line, and no process of any run.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "gone FILE")
	p := script(ts)
	pids := make(map[int]bool)
	for _, word := range strings.Fields(ts.ReadFile(args[0])) {
		pid, err := strconv.Atoi(word)
		ts.Check(err)
		pids[pid] = true
	}
	if len(pids) == 0 {
		ts.Fatalf("%s names no process", args[0])
	}
	var left []leftover
	if !waitUntil(func() bool {
		left = left[:0]
		for _, l := range p.leftovers() {
			if pids[l.pid] || l.env["BELLHOP_RUN"] != "" {
				left = append(left, l)
			}
		}
		return len(left) == 0
	}, nil) {
		ts.Fatalf("still there:%s", list(left))
	}
}

// freeport VARIABLE: sets a variable to a port that nobody listens on.
func setFreePort(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "freeport VARIABLE")
	ts.Setenv(args[0], freePort(script(ts).t))
}

// keys NAME...: makes a key for each name and admits them in authorized_keys.
func keys(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 1, "keys NAME...")
	script(ts).admit(args...)
}

// mount-tmpfs FOLDER SIZE: mounts a file system of that size, until the end of
// the script. Without leave to mount the script is skipped.
func mountTmpfs(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "mount-tmpfs FOLDER SIZE")
	p := script(ts)
	skipUnlessRoot(p.t, "mounting a small file system")
	need(p.t, "mount", "apt-get install mount")
	path := ts.MkAbs(args[0])
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+args[1], "tmpfs", path).CombinedOutput(); err != nil {
		lack(p.t, "mounting is not allowed here: "+strings.TrimSpace(string(out)))
	}
	ts.Defer(func() {
		p.close() // what uses it ends first
		if out, err := exec.Command("umount", path).CombinedOutput(); err != nil {
			ts.Logf("umount: %s", out)
		}
	})
}
