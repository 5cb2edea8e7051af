// Package watchdog is the process beside a runner that ends what the runner
// started when the runner can't: when it is gone, and when it is held up for so
// long that a lease would end.
//
// The two speak over a pipe, a line a message; the end of the pipe without a
// goodbye is the runner's death. Times are those of the monotonic clock, which
// both processes share.
package watchdog

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bellhop-io/bellhop"
	"golang.org/x/sys/unix"
)

const (
	// DefaultMargin is how long before a lease's end its processes are killed.
	// It is a quarter of the lease when that is shorter.
	DefaultMargin = 5 * time.Second
	// writeTime is how long the watchdog may take to read; one that takes
	// longer is replaced.
	writeTime = time.Second
	// maxBackoff is the longest pause before a watchdog that died is replaced.
	maxBackoff = time.Second
	// stopTime is how long Stop waits for the watchdog to go by itself.
	stopTime = 3 * time.Second
)

// Options are what a Watchdog is made of. StoreID is needed.
type Options struct {
	// Command starts a process that calls Main; nil = this program with the
	// one argument "watchdog".
	Command []string
	StoreID string
	// Instance is what the runner's processes carry as BELLHOP_INSTANCE, so
	// that those of the next server, which may start while the watchdog still
	// looks for the last one's, are left alone. "" = any of the store.
	Instance string
	Margin   time.Duration // 0 = DefaultMargin
	// Killed is told, once each, of attempts that the watchdog has ended or may
	// have ended because their lease was not extended in time: they crashed,
	// whatever their exit status says. It is called from any goroutine.
	Killed func(run bellhop.RunID, lease int64)
	Log    *slog.Logger // nil = discarded
}

// Watchdog is the runner's side. Its methods may be called at once.
type Watchdog struct {
	opt  Options
	done chan struct{} // the supervisor has returned
	quit chan struct{} // closed by Stop

	mu     sync.Mutex
	guards map[key]*guard
	child  *os.Process
	in     *os.File // to the child; nil while there is none
	pings  int64
	pongs  map[int64]chan struct{} // that are waited for
	closed bool
}

// guard is what the watchdog is told of an attempt.
type guard struct {
	handle string
	at     int64 // when it is killed, on the monotonic clock
	killed bool  // Killed was told
}

// Start starts the watchdog. Whatever happens to it later is made good: a new
// one is started and told everything.
func Start(o Options) (*Watchdog, error) {
	o.Margin = cmp.Or(o.Margin, DefaultMargin)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Killed == nil {
		o.Killed = func(bellhop.RunID, int64) {}
	}
	if o.Command == nil {
		o.Command = []string{self(), "watchdog"}
	}
	w := &Watchdog{opt: o, done: make(chan struct{}), quit: make(chan struct{}), guards: map[key]*guard{}, pongs: map[int64]chan struct{}{}}
	out, err := w.launch()
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Internal, "the watchdog could not be started (%w); runs would outlive a server that is killed, so none are run", err)
	}
	go w.supervise(out)
	return w, nil
}

// launch starts a process and tells it everything. It returns the process's
// output.
func (w *Watchdog) launch() (out *os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	defer childOut.Close()
	child, err := os.StartProcess(w.opt.Command[0], w.opt.Command, &os.ProcAttr{
		Dir: "/", Env: environ(), Files: []*os.File{childIn, childOut, null},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.child, w.in = child, in
	if w.closed {
		w.drop()
		return nil, errors.Join(errors.New("it is not needed any more"), out.Close())
	}
	session, _ := unix.Getsid(0) // fails for other processes only
	w.send(message{verb: verbHello, numbers: []int64{int64(session)}, texts: []string{w.opt.StoreID, w.opt.Instance}})
	for k, g := range w.guards {
		w.send(k.guard(g))
	}
	return out, nil
}

// environ is this process's environment without what runs are known by.
func environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "BELLHOP_") && !strings.HasPrefix(e, "GOMAXPROCS=") {
			env = append(env, e)
		}
	}
	return append(env, "GOMAXPROCS=1")
}

func (k key) guard(g *guard) message {
	return message{verb: verbGuard, numbers: []int64{int64(k.run), k.lease, g.at}, texts: []string{g.handle}}
}

// send writes a line; w.mu is held. A child that takes no lines is killed
// before its pipe is closed, since the end of the pipe would mean the end of
// every run to it.
func (w *Watchdog) send(m message) {
	if w.in == nil {
		return // the next one is told everything
	}
	_ = w.in.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := io.WriteString(w.in, m.line()); err != nil {
		w.opt.Log.Warn("the watchdog takes no messages and is replaced", "error", err)
		w.drop()
	}
}

// drop ends the child; w.mu is held.
func (w *Watchdog) drop() {
	if w.in == nil {
		return
	}
	_ = w.child.Kill()
	_, _ = w.child.Wait()
	_ = w.in.Close()
	w.in = nil
}

// supervise listens to the child, and replaces it when it goes.
func (w *Watchdog) supervise(out *os.File) {
	defer close(w.done)
	backoff := 10 * time.Millisecond
	for {
		begin := time.Now()
		w.listen(out)
		w.mu.Lock()
		closed := w.closed
		if !closed {
			w.drop()
		}
		w.mu.Unlock()
		if closed {
			return
		}
		if time.Since(begin) > 10*maxBackoff {
			backoff = 10 * time.Millisecond
		}
		for out = nil; out == nil; backoff = min(2*backoff, maxBackoff) {
			w.opt.Log.Warn("the watchdog ended by itself; another one is started", "after", backoff)
			select {
			case <-w.quit:
				return
			case <-time.After(backoff):
			}
			var err error
			if out, err = w.launch(); err != nil {
				w.opt.Log.Error("the watchdog could not be started", "error", err)
			}
		}
	}
}

// listen takes in what the child tells until it tells no more.
func (w *Watchdog) listen(out *os.File) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		m, err := parse(lines.Text())
		switch {
		case err != nil:
			w.opt.Log.Warn("the watchdog was not understood", "error", err)
		case m.verb == verbNote:
			w.opt.Log.Warn("watchdog", "note", m.texts[0])
		case m.verb == verbKilled:
			w.opt.Log.Warn("the watchdog ended an attempt whose lease was not extended in time", "run", m.key().run, "lease", m.key().lease)
			w.lost(m.key(), false)
		case m.verb == verbPong:
			w.answered(m.numbers[0])
		}
	}
}

// lost tells of an attempt that the watchdog ended; with onlyLate, if its time
// has come.
func (w *Watchdog) lost(k key, onlyLate bool) bool {
	w.mu.Lock()
	g, ok := w.guards[k]
	if !ok || (onlyLate && !g.killed && monotonic() < g.at) {
		w.mu.Unlock()
		return false
	}
	told := g.killed
	g.killed = true
	w.mu.Unlock()
	if !told {
		w.opt.Killed(k.run, k.lease)
	}
	return true
}

// killAt returns when to kill what is leased until then. The monotonic clock is
// read first: a process that is held up between the two kills too early, and
// never too late.
func (w *Watchdog) killAt(until time.Time) int64 {
	now := monotonic()
	left := time.Until(until)
	return now + int64(left-min(w.opt.Margin, max(left, 0)/4))
}

// Guard begins to watch an attempt, which is killed some time before until. A
// second Guard of an attempt replaces the first. An empty handle names nothing;
// processes are found by their environment then.
func (w *Watchdog) Guard(run bellhop.RunID, lease int64, handle string, until time.Time) {
	k, g := key{run, lease}, &guard{handle: handle, at: w.killAt(until)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.guards[k] = g
	w.send(k.guard(g))
}

// Extend moves the end of a lease. It is too late once the attempt's time has
// come: Killed is told then, before Extend returns.
func (w *Watchdog) Extend(run bellhop.RunID, lease int64, until time.Time) {
	k, at := key{run, lease}, w.killAt(until)
	if w.lost(k, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if g, ok := w.guards[k]; ok && !g.killed {
		g.at = at
		w.send(message{verb: verbExtend, numbers: []int64{int64(run), lease, at}})
	}
}

// Release ends the watch. When the watchdog has or may have ended the attempt,
// Killed has been told before Release returns.
func (w *Watchdog) Release(run bellhop.RunID, lease int64) {
	k := key{run, lease}
	w.lost(k, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.guards[k]; ok {
		delete(w.guards, k)
		w.send(message{verb: verbRelease, numbers: []int64{int64(run), lease}})
	}
}

// settleTime is how long Settle waits for an answer.
const settleTime = 5 * time.Second

// Settle returns when Killed was told of all that the watchdog has ended so
// far, or after five seconds. An attempt that ended by a signal which nobody
// here has sent may be one: an extension that was under way came too late.
func (w *Watchdog) Settle() {
	w.mu.Lock()
	if w.in == nil || w.closed {
		w.mu.Unlock()
		return
	}
	w.pings++
	n, done := w.pings, make(chan struct{})
	w.pongs[n] = done
	w.send(message{verb: verbPing, numbers: []int64{n}})
	w.mu.Unlock()
	late := time.NewTimer(settleTime)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		w.answered(n)
	case <-w.quit:
	}
}

func (w *Watchdog) answered(ping int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if done, ok := w.pongs[ping]; ok {
		close(done)
		delete(w.pongs, ping)
	}
}

// Stop sends the watchdog away, which ends nothing. It may be called twice.
func (w *Watchdog) Stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.quit)
		w.send(message{verb: verbBye})
		if w.in != nil {
			child, in := w.child, w.in
			w.in = nil
			late := time.AfterFunc(stopTime, func() { _ = child.Kill() })
			_, _ = child.Wait()
			late.Stop()
			_ = in.Close()
		}
	}
	w.mu.Unlock()
	<-w.done
}
