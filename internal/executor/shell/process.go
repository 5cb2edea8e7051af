package shell

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bellhop-io/bellhop/internal/proc"
)

// process is a started command.
type process struct {
	os     *os.Process
	group  proc.Group
	output *output
}

// start starts cmd and begins to read its outputs.
func (a *attempt) start(cmd *command) (*process, error) {
	defer cmd.close()
	program, err := lookProgram(cmd.argv[0], cmd.env.path, cmd.dir)
	if err != nil {
		return nil, err
	}
	stdin := cmd.stdin
	if stdin == nil {
		if stdin, err = os.Open(os.DevNull); err != nil {
			return nil, err
		}
		defer stdin.Close()
	}
	out, ends, err := newOutput()
	if err != nil {
		return nil, fmt.Errorf("no pipe for the output: %w; the server may need a higher limit of open files", err)
	}
	before := proc.Ticks()
	child, err := os.StartProcess(program, cmd.argv, &os.ProcAttr{
		Dir: cmd.dir, Env: cmd.env.list, Files: []*os.File{stdin, ends[0], ends[1]}, Sys: ownGroup(),
	})
	after := proc.Ticks()
	closeAll(ends[:])
	if err != nil {
		out.close()
		return nil, explainStart(err, program, cmd.dir)
	}
	go func() {
		buf := a.e.buffers.Get().(*[]byte)
		out.read(a.sink, *buf)
		a.e.buffers.Put(buf)
		close(out.drained)
	}()
	return &process{os: child, group: a.e.groupOf(child.Pid, before, after), output: out}, nil
}

// How far the clock of start times is trusted to agree with proc(5).
const (
	ticksUnknown = iota
	ticksGood
	ticksBad
)

// groupOf returns the group of a process that was started between two readings
// of the clock of start times. Reading proc(5) for every process would cost a
// tenth of what starting a short one does, so it is read when the readings
// differ, and once to see that the two agree.
func (e *Executor) groupOf(pid int, before, after uint64) proc.Group {
	sure := before == after && before != 0
	if sure && e.ticks.Load() == ticksGood {
		return proc.Group{ID: pid, Start: before}
	}
	// Until it is waited for, the process is there, even when it has ended.
	g, err := proc.GroupOf(pid)
	if err != nil {
		e.opt.Log.Warn("the start time of a process can't be read", "error", err)
		return proc.Group{ID: pid}
	}
	if sure {
		verdict := int32(ticksGood)
		if g.Start != before {
			verdict = ticksBad
		}
		e.ticks.CompareAndSwap(ticksUnknown, verdict)
	}
	return g
}

// lookProgram finds a program as a shell would: on path, or, when its name
// holds a slash, in dir. Relative folders of path are passed over.
func lookProgram(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, name)
		}
		return file, runnable(file)
	}
	var denied error
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		file := filepath.Join(folder, name)
		err := runnable(file)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("%s was not found on PATH (%s); install it, or write its whole path", name, path)
}

func runnable(file string) error {
	var st syscall.Stat_t // os.Stat costs twice as much, for each folder of PATH
	err := syscall.Stat(file, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is not there (%w); put it there, or correct the job's run:", file, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("%s can't be looked at: %w", file, err)
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return fmt.Errorf("%s is a folder, not a program; correct the job's run:", file)
	case st.Mode&0o111 == 0:
		return fmt.Errorf("%s is not executable; run: chmod +x %s", file, file)
	}
	return nil
}

// explainStart puts into words why a program that is there did not start.
func explainStart(err error, program, dir string) error {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return fmt.Errorf("%s: arguments and environment are too long together; pass the long ones with `as: stdin` or `as: file`", program)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s is neither a program nor a script with a first line such as #!/bin/sh; add that line", program)
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM):
		return fmt.Errorf("%s could not be started: %w; the machine has no room for more processes", program, errors.Unwrap(err))
	case errors.Is(err, syscall.ENOENT):
		if _, gone := os.Stat(dir); gone != nil {
			return fmt.Errorf("folder %s is not there; make it, or correct the job's dir:", dir)
		}
		return fmt.Errorf("%s could not be started: the interpreter that its first line names is not there; install it, or correct that line", program)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s may not be started in %s (%w); look at the permissions of both", program, dir, syscall.EACCES)
	}
	return fmt.Errorf("%s could not be started: %w", program, err)
}
