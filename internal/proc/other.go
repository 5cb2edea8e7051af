//go:build !linux

package proc

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Read is not possible here.
func Read(int) (Process, error) { return Process{}, errors.ErrUnsupported }

// Find finds nothing here.
func Find(Mark) ([]Process, error) { return nil, nil }

// KillAll finds nothing to end here.
func KillAll(context.Context, Mark) (int, error) { return 0, nil }

// Kill ends the process with SIGKILL.
func (p Process) Kill() error { return syscall.Kill(p.PID, syscall.SIGKILL) }

// GroupOf returns the group that process pid leads, its start time unknown.
func GroupOf(pid int) (Group, error) { return Group{ID: pid}, nil }

// Ticks is not possible here.
func Ticks() uint64 { return 0 }

// Members is not possible here.
func (g Group) Members() ([]Process, error) { return nil, errors.ErrUnsupported }

// Kill ends every member of the group with SIGKILL, and reports whether there
// was something to end. A number that was given to another group is not
// noticed here.
func (g Group) Kill(func(Process) bool) (bool, error) {
	if g.ID < 2 {
		return false, nil
	}
	err := syscall.Kill(-g.ID, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ending process group %d: %w", g.ID, err)
	}
	return true, nil
}
