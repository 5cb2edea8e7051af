package watchdog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop/internal/proc"
)

const (
	// settle is how long lines that are already under way are waited for
	// before somebody is killed for want of one.
	settle = 20 * time.Millisecond
	// lookFor is how long processes of a runner that is gone are looked for: a
	// child that is between fork and exec can't be told yet.
	lookFor = time.Second
	// lastWait bounds the waiting for processes that were killed.
	lastWait = 10 * time.Second
	// maxLine is the longest line, in bytes.
	maxLine = 64 << 10
)

// Main is the watchdog's process. It returns when the runner has said that all
// is well, or is gone and nothing of it is left. It changes this process:
// signals, files and folder; so it has a process to itself.
func Main(stdin io.Reader, stdout io.Writer) error {
	harden()
	d := &dog{guards: map[key]watched{}, out: make(chan message, 1024)}
	go d.write(stdout)
	lines := make(chan message, 64)
	go d.read(stdin, lines)
	for {
		select {
		case m, ok := <-lines:
			switch {
			case ok:
				d.hear(m)
			case d.bye:
				d.kills.Wait()
				return nil
			default:
				return d.orphaned()
			}
		case <-d.timer():
			d.due(lines)
		}
	}
}

// dog is the watchdog's state.
type dog struct {
	mark    proc.Mark // of everything that the runner starts
	session int       // of the runner
	guards  map[key]watched
	next    int64 // when the timer fires; 0 = never
	armed   *time.Timer
	out     chan message
	kills   sync.WaitGroup
	bye     bool // the runner has taken its leave
}

type watched struct {
	group proc.Group // ID 0 = not known
	at    int64      // when to kill
}

// read hands on lines until the end of input. What it can't understand it
// tells and leaves out.
func (d *dog) read(stdin io.Reader, lines chan<- message) {
	defer close(lines)
	in := bufio.NewScanner(stdin)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		m, err := parse(in.Text())
		if err != nil {
			d.tell(message{verb: verbNote, texts: []string{err.Error()}})
			continue
		}
		lines <- m
		if m.verb == verbBye {
			return
		}
	}
}

// write writes lines to the runner for as long as it reads. A runner that was
// stopped does not hold the watchdog up.
func (d *dog) write(stdout io.Writer) {
	for m := range d.out {
		_, _ = io.WriteString(stdout, m.line())
	}
}

func (d *dog) tell(m message) {
	select {
	case d.out <- m:
	default:
	}
}

// hear takes one line in.
func (d *dog) hear(m message) {
	switch m.verb {
	case verbHello:
		d.mark = proc.Mark{Store: m.texts[0], Instance: m.texts[1]}
		d.session = int(m.numbers[0])
	case verbGuard:
		w := watched{at: m.at()}
		if h := m.texts[0]; h != "" {
			g, err := proc.ParseHandle(h)
			if err != nil {
				d.tell(message{verb: verbNote, texts: []string{err.Error()}})
			}
			w.group = g
		}
		d.guards[m.key()] = w
		d.arm(w.at)
	case verbExtend:
		if w, ok := d.guards[m.key()]; ok {
			w.at = m.at()
			d.guards[m.key()] = w
			d.arm(w.at)
		}
	case verbRelease:
		delete(d.guards, m.key())
	case verbPing:
		d.tell(message{verb: verbPong, numbers: m.numbers})
	case verbBye:
		d.bye = true
		clear(d.guards)
	}
}

// timer is the channel of the next thing that is due, nil when nothing is.
func (d *dog) timer() <-chan time.Time {
	if d.armed == nil || d.next == 0 {
		return nil
	}
	return d.armed.C
}

// arm has the timer fire at the latest at the given time.
func (d *dog) arm(at int64) {
	if d.next != 0 && d.next <= at {
		return
	}
	d.next = at
	wait := time.Duration(max(at-monotonic(), 0))
	if d.armed == nil {
		d.armed = time.NewTimer(wait)
		return
	}
	d.armed.Reset(wait)
}

// due kills what was not extended in time.
func (d *dog) due(lines <-chan message) {
	if d.overdue() != nil {
		d.catchUp(lines)
	}
	late := d.overdue()
	for k, w := range late {
		delete(d.guards, k)
		d.tell(message{verb: verbKilled, numbers: []int64{int64(k.run), k.lease}})
		d.killGroup(w.group)
	}
	for k := range late {
		d.kills.Go(func() { d.killMarked(k) })
	}
	d.next = 0
	first := int64(math.MaxInt64)
	for _, w := range d.guards {
		first = min(first, w.at)
	}
	if len(d.guards) > 0 {
		d.arm(first)
	}
}

// overdue returns those whose time has come, nil when there are none.
func (d *dog) overdue() map[key]watched {
	var late map[key]watched
	now := monotonic()
	for k, w := range d.guards {
		if w.at <= now {
			if late == nil {
				late = map[key]watched{}
			}
			late[k] = w
		}
	}
	return late
}

// catchUp takes in the lines that are under way: an extension may lie in the
// pipe when this process itself was held up.
func (d *dog) catchUp(lines <-chan message) {
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		select {
		case m, ok := <-lines:
			if !ok {
				return // Main sees it next
			}
			d.hear(m)
		case <-quiet.C:
			return
		}
	}
}

func (d *dog) killGroup(g proc.Group) {
	if g.ID == 0 {
		return
	}
	_, err := g.Kill(func(p proc.Process) bool {
		return d.mark.Matches(p.Mark) || p.Session == d.session
	})
	if err != nil {
		d.tell(message{verb: verbNote, texts: []string{err.Error()}})
	}
}

// killMarked ends what an attempt has outside of its group.
func (d *dog) killMarked(k key) {
	if d.mark.Store == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	m := d.mark
	m.Run, m.Lease = k.run.String(), fmt.Sprint(k.lease)
	if _, err := proc.KillAll(ctx, m); err != nil {
		d.tell(message{verb: verbNote, texts: []string{err.Error()}})
	}
}

// orphaned ends everything that the runner started.
func (d *dog) orphaned() error {
	for _, w := range d.guards {
		d.killGroup(w.group)
	}
	if d.mark.Store == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	var err error
	for begin := time.Now(); time.Since(begin) < lookFor && ctx.Err() == nil; time.Sleep(settle) {
		_, err = proc.KillAll(ctx, d.mark)
	}
	return err
}
