package chattest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// OpenTerminal opens a pseudo-terminal, which ends with the test.
func OpenTerminal(t *testing.T, columns, rows uint16) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	// Non-blocking, so that Close ends a Read.
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(dup(t, fd, master)), "ptmx")
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := newTerminal(t, master, slave)
	x.Resize(t, columns, rows)
	return x
}

func dup(t *testing.T, fd int, old *os.File) int {
	n, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	_ = old.Close()
	return n
}

// Resize changes the size of the terminal.
func (x *Terminal) Resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(x.Slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
}

// Raw reports whether the terminal is in raw mode.
func (x *Terminal) Raw(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(x.Slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ICANON == 0
}
