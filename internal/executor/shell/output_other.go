//go:build !linux

package shell

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/bellhop-io/bellhop"
)

// output is both outputs of a process. Each has a goroutine, so the order of
// what comes on both at almost the same time is not known.
type output struct {
	pipes   [2]*os.File   // what is read: stdout, stderr
	drained chan struct{} // closed when read has returned
}

// newOutput makes the pipes. The caller closes ends, which the process writes
// to, and calls either read or close.
func newOutput() (o *output, ends [2]*os.File, err error) {
	o = &output{drained: make(chan struct{})}
	for i := range o.pipes {
		if o.pipes[i], ends[i], err = os.Pipe(); err != nil {
			closeAll(ends[:])
			o.close()
			return nil, ends, err
		}
	}
	return o, ends, nil
}

func (o *output) close() { closeAll(o.pipes[:]) }

// abandon has read take what is in the pipes now, and no more.
func (o *output) abandon() {
	for _, f := range o.pipes {
		_ = f.SetReadDeadline(aLongTimeAgo())
	}
}

// read hands on what comes until both have ended.
func (o *output) read(sink bellhop.Sink, buf []byte) {
	defer o.close()
	var wg sync.WaitGroup
	wg.Go(func() { readOne(sink, bellhop.Stderr, o.pipes[1], make([]byte, readSize)) })
	readOne(sink, bellhop.Stdout, o.pipes[0], buf)
	wg.Wait()
}

func readOne(sink bellhop.Sink, c bellhop.Channel, f *os.File, buf []byte) {
	for {
		n, err := f.Read(buf)
		if n > 0 {
			sink.Write(c, buf[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			drain(sink, c, f, buf)
		}
		if err != nil {
			return
		}
	}
}

// drain hands on what is in the pipe without waiting for more.
func drain(sink bellhop.Sink, c bellhop.Channel, f *os.File, buf []byte) {
	_ = f.SetReadDeadline(time.Time{})
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	for total := 0; total < maxDrain; {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.Read(int(fd), buf)
			return true
		})
		if err != nil || n <= 0 {
			return
		}
		sink.Write(c, buf[:n])
		total += n
	}
}
