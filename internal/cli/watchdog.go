package cli

import (
	"fmt"

	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
)

// watchdog is the process beside each server; see internal/runner/watchdog. It
// is not among the commands, since nobody types it.
func (a *app) watchdog() int {
	if err := watchdog.Main(a.In, a.Out); err != nil {
		fmt.Fprintln(a.Err, "bellhop watchdog:", err)
		return 70
	}
	return 0
}
