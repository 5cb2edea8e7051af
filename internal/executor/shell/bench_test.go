package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
)

// bareExec is the floor that a run is measured against.
func bareExec(stdout, stderr io.Writer) *exec.Cmd {
	cmd := exec.Command("sh", "-c", "echo hello")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd
}

// block is how many runs of one kind are made before as many of the other, so
// that what else the machine does meets both.
const block = 50

// inParallel runs f n times on that many goroutines, and returns how long it
// took.
func inParallel(n, goroutines int, f func()) time.Duration {
	var done atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range goroutines {
		wg.Go(func() {
			for done.Add(1) <= int64(n) {
				f()
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// BenchmarkEcho compares runs of `sh -c 'echo hello'` with the bare floor. The
// metric to look at is how many runs there are per bare command.
func BenchmarkEcho(b *testing.B) {
	for _, parallel := range []int{1, 4} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			h := newHouse(b, func(o *shell.Options) { o.SweepAfter = 0 })
			job := compiled(b, bellhop.JobSource{Argv: []string{"sh", "-c", "echo hello"}})
			var runs, bare time.Duration
			var lease atomic.Int64
			n := 0
			for b.Loop() {
				runs += inParallel(block, parallel, func() {
					var n counter
					task := taskOf(job)
					task.Lease = lease.Add(1)
					if out := h.Execute(context.Background(), task, &n); out.End != bellhop.EndSucceeded || n[bellhop.Stdout] != 6 {
						b.Error(out)
					}
				})
				bare += inParallel(block, parallel, func() {
					var stdout, stderr bytes.Buffer
					if err := bareExec(&stdout, &stderr).Run(); err != nil || stdout.Len() != 6 {
						b.Error(err)
					}
				})
				n += block
			}
			b.ReportMetric(float64(n)/runs.Seconds(), "runs/s")
			b.ReportMetric(float64(n)/bare.Seconds(), "bare/s")
			b.ReportMetric(float64(bare)/float64(runs), "runs/bare")
		})
	}
}
