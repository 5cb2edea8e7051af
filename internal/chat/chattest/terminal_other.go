//go:build !linux

package chattest

import "testing"

// OpenTerminal skips the test: pseudo-terminals are opened on Linux only.
func OpenTerminal(t *testing.T, columns, rows uint16) *Terminal {
	t.Skip("pseudo-terminals are opened on Linux only")
	return nil
}

// Resize changes the size of the terminal.
func (x *Terminal) Resize(t *testing.T, columns, rows uint16) {}

// Raw reports whether the terminal is in raw mode.
func (x *Terminal) Raw(t *testing.T) bool { return false }
