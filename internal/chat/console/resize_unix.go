//go:build unix

package console

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// onResize calls fn whenever the size of the terminal changes, until the
// returned function is called.
func onResize(fn func()) (stop func()) {
	changed, quit, done := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		defer close(done)
		for {
			select {
			case <-changed:
				fn()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(changed)
		close(quit)
		<-done
	}
}
