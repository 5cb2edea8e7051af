package proc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// GroupOf returns the group that process pid leads.
func GroupOf(pid int) (Group, error) {
	p, err := Read(pid)
	if err != nil {
		return Group{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return Group{ID: pid, Start: p.Start}, nil
}

// ticksPerSecond is the unit of start times in proc(5); it has been 100 on
// every Linux there is.
const ticksPerSecond = 100

// Ticks is the present on the clock of start times. A process started between
// two equal readings has started at that time; where proc(5) says otherwise
// it can't be relied on.
func Ticks() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano()) / (1e9 / ticksPerSecond)
}

// Members returns the living members of whatever group has g's number now,
// with their Marks.
func (g Group) Members() ([]Process, error) {
	all, err := pids()
	if err != nil {
		return nil, err
	}
	var members []Process
	for _, pid := range all {
		p, err := Read(pid)
		if err != nil || p.Group != g.ID || p.Dead() {
			continue
		}
		if env, err := readProc(pid, "environ", maxEnviron); err == nil {
			p.Mark = ReadMark(env)
		}
		members = append(members, p)
	}
	return members, nil
}

// Kill ends every member of the group with SIGKILL, and reports whether there
// was something to end. While the first process is there, dead or alive, its
// start time tells whether the group is still g. A group that outlived its
// first process is g when mine says so of one of its members.
func (g Group) Kill(mine func(Process) bool) (bool, error) {
	if g.ID < 2 || unix.Kill(-g.ID, 0) != nil {
		return false, nil
	}
	if first, err := Read(g.ID); err == nil {
		if first.Start != g.Start {
			return false, nil
		}
	} else {
		members, err := g.Members()
		if err != nil {
			return false, err
		}
		known := false
		for _, p := range members {
			known = known || mine(p)
		}
		if !known {
			return false, nil
		}
	}
	if err := unix.Kill(-g.ID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("ending process group %d: %w", g.ID, err)
	}
	return true, nil
}
