package shell

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/bellhop-io/bellhop"
	"golang.org/x/sys/unix"
)

// output is both outputs of a process. The Go runtime says when there is
// something to read, and an epoll instance that nobody waits for lists the
// pipes in the order in which it came: so the order survives when this process
// is slow to look.
type output struct {
	pipes   [2]*os.File // what is read: stdout, stderr
	raws    [2]syscall.RawConn
	fds     [2]int
	order   int           // epoll instance; -1 = none
	left    atomic.Bool   // abandon was called
	drained chan struct{} // closed when read has returned

	mu    sync.Mutex
	hung  [2]bool // nobody can write any more
	ended [2]bool
	ready []int // in order of arrival
}

// newOutput makes the pipes. The caller closes ends, which the process writes
// to, and calls either read or close.
func newOutput() (o *output, ends [2]*os.File, err error) {
	o = &output{order: -1, drained: make(chan struct{})}
	defer func() {
		if err != nil {
			closeAll(ends[:])
			o.close()
		}
	}()
	if o.order, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return o, ends, err
	}
	for i := range o.pipes {
		if o.pipes[i], ends[i], err = os.Pipe(); err != nil {
			return o, ends, err
		}
		if o.raws[i], err = o.pipes[i].SyscallConn(); err != nil {
			return o, ends, err
		}
		// Edge-triggered: what was read to its end is listed again when more
		// comes, behind what came before.
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(i)}
		var added error
		err = o.raws[i].Control(func(fd uintptr) {
			o.fds[i] = int(fd)
			added = unix.EpollCtl(o.order, unix.EPOLL_CTL_ADD, int(fd), &ev)
		})
		if err = errors.Join(err, added); err != nil {
			return o, ends, err
		}
	}
	return o, ends, nil
}

func (o *output) close() {
	closeAll(o.pipes[:])
	if o.order >= 0 {
		_ = unix.Close(o.order)
	}
}

// abandon has read take what is in the pipes now, and no more.
func (o *output) abandon() {
	o.left.Store(true)
	for _, f := range o.pipes {
		_ = f.SetReadDeadline(aLongTimeAgo())
	}
}

// read hands on what comes until both have ended. Whichever pipe wakes it, it
// reads both.
func (o *output) read(sink bellhop.Sink, buf []byte) {
	defer o.close()
	var wg sync.WaitGroup
	wg.Go(func() { o.follow(1, sink, buf) })
	o.follow(0, sink, buf)
	wg.Wait()
}

// follow reads until pipe i has ended.
func (o *output) follow(i int, sink bellhop.Sink, buf []byte) {
	err := o.raws[i].Read(func(uintptr) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.takeAll(sink, buf)
		return o.ended[i] || o.left.Load()
	})
	if err != nil || o.left.Load() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.drain(i, sink, buf)
	}
}

// takeAll hands on what there is, in order of arrival; o.mu is held.
func (o *output) takeAll(sink bellhop.Sink, buf []byte) {
	for !o.left.Load() {
		var events [2]unix.EpollEvent
		n, _ := retry(func() (int, error) { return unix.EpollWait(o.order, events[:], 0) })
		for _, ev := range events[:max(n, 0)] {
			i := int(ev.Fd)
			o.hung[i] = o.hung[i] || ev.Events&unix.EPOLLHUP != 0
			if !slices.Contains(o.ready, i) {
				o.ready = append(o.ready, i)
			}
		}
		if len(o.ready) == 0 {
			return
		}
		i := o.ready[0]
		o.ready = o.ready[:copy(o.ready, o.ready[1:])]
		// What is not listed again: more than the buffer holds, and the end
		// when it came together with the last of the output.
		if n := o.take(i, sink, buf); n == len(buf) || (n > 0 && o.hung[i]) {
			o.ready = append(o.ready, i)
		}
	}
}

// take reads pipe i once; o.mu is held. A whole buffer says that there may be
// more.
func (o *output) take(i int, sink bellhop.Sink, buf []byte) int {
	if o.ended[i] {
		return 0
	}
	n, err := retry(func() (int, error) { return unix.Read(o.fds[i], buf) })
	switch {
	case n > 0:
		sink.Write(bellhop.Channel(i+1), buf[:n])
	case !errors.Is(err, unix.EAGAIN):
		o.ended[i] = true
	}
	return n
}

// drain hands on what is in pipe i without waiting for more; o.mu is held.
func (o *output) drain(i int, sink bellhop.Sink, buf []byte) {
	for total := 0; total < maxDrain; {
		n := o.take(i, sink, buf)
		if n <= 0 {
			return
		}
		total += n
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
