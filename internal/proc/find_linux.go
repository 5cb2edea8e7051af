package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxEnviron bounds how much of an environment is read; the kernel allows
// about 6 MiB on a usual machine.
const maxEnviron = 8 << 20

// Read returns a process as it is now, without its Mark.
func Read(pid int) (Process, error) {
	b, err := readProc(pid, "stat", 4096)
	if err != nil {
		return Process{}, err
	}
	return parseStat(b)
}

// readProc reads a file of a process. It goes to the kernel directly, since
// os.File would cost as much again for files as small as these.
func readProc(pid int, file string, limit int) (string, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open("/proc/"+strconv.Itoa(pid)+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var first [4096]byte
	buf := first[:]
	for n := 0; ; {
		m, err := retry(func() (int, error) { return unix.Read(fd, buf[n:]) })
		n += max(m, 0)
		if err != nil || m == 0 || n >= limit {
			return string(buf[:n]), err
		}
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

// retry calls f again while signals interrupt it.
func retry(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// pids returns the numbers of all processes.
func pids() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("finding processes: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("finding processes: %w", err)
	}
	all := make([]int, 0, len(names))
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' {
			if pid, err := strconv.Atoi(name); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all, nil
}

// Find returns the living processes whose environment carries m, this process
// and its ancestors excepted. m.Store must be set. A process between fork and
// exec carries its parent's environment, so one look may miss it.
func Find(m Mark) ([]Process, error) {
	if m.Store == "" {
		return nil, errors.New("finding processes: no store is named")
	}
	all, err := pids()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, pid := range all {
		env, err := readProc(pid, "environ", maxEnviron)
		if err != nil || env == "" {
			continue // gone, dead, of the kernel, or not ours to look into
		}
		carried := ReadMark(env)
		if !m.Matches(carried) {
			continue
		}
		if p, err := Read(pid); err == nil && !p.Dead() {
			p.Mark = carried
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	mine := ancestors()
	kept := found[:0]
	for _, p := range found {
		if !mine[p.PID] {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// ancestors returns this process and those that it descends from.
func ancestors() map[int]bool {
	mine := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !mine[pid]; {
		mine[pid] = true
		p, err := Read(pid)
		if err != nil {
			break
		}
		pid = p.Parent
	}
	return mine
}

// Kill ends the process with SIGKILL unless it is gone and its number belongs
// to another one now.
func (p Process) Kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	switch {
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM):
		fd = -1 // an old kernel, or a sandbox: a moment's race remains
	case errors.Is(err, unix.ESRCH):
		return nil
	case err != nil:
		return fmt.Errorf("ending process %d: %w", p.PID, err)
	default:
		defer unix.Close(fd)
	}
	now, err := Read(p.PID)
	if err != nil || now.Start != p.Start {
		return nil
	}
	if fd >= 0 {
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	} else {
		err = unix.Kill(p.PID, unix.SIGKILL)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("ending process %d: %w", p.PID, err)
	}
	return nil
}

// KillAll ends all that Find finds, again and again until it finds nothing or
// ctx ends. It returns how many processes it ended; the error names what is
// left.
func KillAll(ctx context.Context, m Mark) (killed int, err error) {
	type key struct {
		pid   int
		start uint64
	}
	seen := map[key]bool{}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		found, err := Find(m)
		if err != nil || len(found) == 0 {
			return len(seen), err
		}
		var fault error
		for _, p := range found {
			seen[key{p.PID, p.Start}] = true
			fault = errors.Join(fault, p.Kill())
		}
		select {
		case <-ctx.Done():
			return len(seen), fmt.Errorf("%d processes of store %s did not end, such as %d: %w", len(found), m.Store, found[0].PID, errors.Join(ctx.Err(), fault))
		case <-time.After(pause):
		}
	}
}
