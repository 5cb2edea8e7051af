package chat_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// talk is a conversation with its two channels.
type talk struct {
	*chat.Conversation
	out, err buffer
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func converse(d chat.Desk, change func(*chat.Options)) *talk {
	x := &talk{}
	opt := chat.Options{Out: &x.out, Err: &x.err, Command: "bellhop ", Exit: chat.AskExit()}
	if change != nil {
		change(&opt)
	}
	x.Conversation = chat.New(d, opt)
	return x
}

func (x *talk) want(t *testing.T, status, wantStatus int, out, errs string) {
	t.Helper()
	if status != wantStatus || x.out.String() != out || x.err.String() != errs {
		t.Errorf("status %d, out %q, err %q; want %d, %q, %q", status, x.out.String(), x.err.String(), wantStatus, out, errs)
	}
}

const receipt = "accepted 000001: example hello\n"

func TestOnce(t *testing.T) {
	text := chattest.TextRule()
	t.Run("nothing stands around what the run reports", func(t *testing.T) {
		d := chattest.NewDesk()
		d.OnRun("x", chattest.Plan{Rule: text, Output: []chattest.Piece{chattest.Out("Hello")}})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "x"), 0, "Hello", receipt)
	})
	t.Run("a failure's text begins on a line of its own", func(t *testing.T) {
		d := chattest.NewDesk()
		d.OnRun("x", chattest.Plan{Rule: text, State: bellhop.Failed, Status: 3, Output: []chattest.Piece{chattest.Out("Hel")}})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "x"), 1, "Hel\nexample hello failed: exit status 3 (000001)\nto read its log: bellhop logs 000001\n", receipt)
	})
	t.Run("what is not live comes with the outcome", func(t *testing.T) {
		d := chattest.NewDesk()
		rule := text
		rule.Format = bellhop.FormatBlocks
		d.OnRun("x", chattest.Plan{Rule: rule, Output: []chattest.Piece{chattest.Out("[]"), chattest.Err("no")}})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "x"), 0, "[]", receipt)
	})
	t.Run("other answers go to out", func(t *testing.T) {
		d := chattest.NewDesk()
		d.OnAnswer("status", bellhop.Answer{Action: bellhop.ActionStatus, Status: &bellhop.Status{}})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "status"), 0, "Nothing is happening.\n", "")
	})
	t.Run("a repeated ask that was nothing", func(t *testing.T) {
		d := chattest.NewDesk()
		d.OnAnswer("x", bellhop.Answer{Action: bellhop.ActionRun, Accepted: &bellhop.Accepted{How: bellhop.Repeated, Ended: true}})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "x"), 0, "", "asked before: nothing was to be done\n")
	})
	t.Run("logs of a run that is not there", func(t *testing.T) {
		d := chattest.NewDesk()
		d.OnAnswer("logs 000009", bellhop.Answer{Action: bellhop.ActionLogs, Run: 9})
		x := converse(d, nil)
		x.want(t, x.Once(t.Context(), "logs 000009"), 2, "", "there is no run 000009\n")
	})
}

func TestOnceWaitsAsLongAsItsContext(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("x", chattest.Plan{Rule: chattest.TextRule(), Hold: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	x := converse(d, nil)
	x.want(t, x.Once(ctx, "x"), 4, "", receipt+"000001 goes on; to see it: bellhop logs 000001\n")
	d.Finish(1)
	y := converse(d, nil)
	if y.Once(t.Context(), "nonsense"); len(d.Cancelled()) != 0 {
		t.Error("it was cancelled")
	}
}

func TestLiveOutputComesBeforeTheRunHasEnded(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("x", chattest.Plan{Rule: chattest.TextRule(), Hold: true, Output: []chattest.Piece{chattest.Out("now")}})
	seen := make(chan struct{})
	x := converse(d, func(o *chat.Options) {
		o.Out = writerFunc(func(b []byte) (int, error) {
			if string(b) == "now" {
				close(seen)
			}
			return len(b), nil
		})
	})
	done := make(chan int)
	go func() { done <- x.Once(t.Context(), "x") }()
	<-seen
	d.Finish(1)
	if status := <-done; status != 0 {
		t.Errorf("status %d", status)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// An outcome that could not be shown stays unread.
func TestBrokenPipeLeavesTheReportUnread(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}})
	x := converse(d, func(o *chat.Options) {
		o.Out = writerFunc(func([]byte) (int, error) { return 0, errors.New("broken pipe") })
	})
	if status := x.Once(t.Context(), "x"); status == 0 {
		t.Error("status 0")
	}
	if len(d.Read()) != 0 {
		t.Error("it was read")
	}
}

// Two live runs on one terminal: every line is whole, whatever the chunks are.
func TestLinesOfRunsDoNotMix(t *testing.T) {
	d := chattest.NewDesk()
	plan := chattest.Plan{Rule: chattest.TextRule(), Hold: true}
	d.OnRun("a", plan)
	d.OnRun("b", plan)
	in, x := newPipe(), &buffer{}
	p := chat.NewPrompt(rw{in, x}, d, chat.Options{Exit: chat.AskExit()})
	done := make(chan error)
	go func() { done <- p.Run(t.Context()) }()
	in.send("a\rb\r")
	d.WaitAsked(2)
	for range 50 {
		for _, id := range []bellhop.RunID{1, 2} {
			half := strings.Repeat(id.String(), 3)
			d.Write(id, chattest.Out(half), chattest.Err("e"))
			d.Write(id, chattest.Out(half+"\n"), chattest.Err("e\n"))
		}
	}
	d.Finish(1)
	d.Finish(2)
	d.WaitRead(2)
	in.send("\x04")
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, l := range []string{strings.Repeat("000001", 6), strings.Repeat("000002", 6)} {
		if n := strings.Count(x.String(), l+"\r\n"); n != 50 {
			t.Errorf("%d lines of %s are whole", n, l)
		}
	}
}

type rw struct {
	*pipe
	*buffer
}

func (x rw) Write(b []byte) (int, error) { return x.buffer.Write(b) }

// pipe is what is typed.
type pipe struct{ typed chan string }

func newPipe() *pipe { return &pipe{make(chan string, 100)} }

func (p *pipe) send(keys string) { p.typed <- keys }

func (p *pipe) Read(b []byte) (int, error) { return copy(b, <-p.typed), nil }

// The same outcome, delivered for two asks of one conversation or twice for
// one, is told once.
func TestAnOutcomeIsToldOnce(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}})
	x := converse(twice{d}, nil)
	x.want(t, x.Lines(t.Context(), strings.NewReader("x\n")), 0, "example hello succeeded (000001)\n", receipt)
}

// twice delivers every report twice.
type twice struct{ *chattest.Desk }

func (d twice) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	return d.Desk.Reports(ctx, func(r bellhop.Report) error {
		_ = fn(r)
		return fn(r)
	})
}

// A store that is away for a while costs no report.
func TestReportsComeAfterAnOutage(t *testing.T) {
	d := &away{Desk: chattest.NewDesk(), left: 3}
	d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}})
	x := converse(d, func(o *chat.Options) { o.Clock = hasty{} })
	x.want(t, x.Once(t.Context(), "x"), 0, "example hello succeeded (000001)\n", receipt)
	if d.left != 0 {
		t.Errorf("%d outages are left", d.left)
	}
}

// away is a desk whose store is not there for the first few times.
type away struct {
	*chattest.Desk
	left int
}

func (d *away) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	if d.left--; d.left >= 0 {
		return bellhop.Errorf(bellhop.Unavailable, "the store is unavailable")
	}
	d.left = 0
	return d.Desk.Reports(ctx, fn)
}

// An outcome whose output can't be read now is told when it can be.
func TestAnOutcomeIsToldOnceTheStoreIsBack(t *testing.T) {
	d := &unreadable{Desk: chattest.NewDesk(), left: 2}
	rule := chattest.TextRule()
	rule.Format = bellhop.FormatBlocks
	d.OnRun("x", chattest.Plan{Rule: rule, Output: []chattest.Piece{chattest.Out("[]")}})
	x := converse(d, func(o *chat.Options) { o.Clock = hasty{} })
	x.want(t, x.Once(t.Context(), "x"), 0, "[]", receipt)
}

// unreadable is a desk whose output can't be read for the first few times. A
// report that could not be told comes again.
type unreadable struct {
	*chattest.Desk
	left  int
	again *bellhop.Report
}

func (d *unreadable) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	if d.left--; d.left >= 0 {
		return bellhop.Errorf(bellhop.Unavailable, "the store is unavailable")
	}
	return d.Desk.Output(ctx, id, follow, fn)
}

func (d *unreadable) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	if d.again != nil {
		if err := fn(*d.again); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	err := d.Desk.Reports(ctx, func(r bellhop.Report) error {
		if failed = fn(r); failed != nil {
			d.again = &r
			cancel()
		}
		return failed
	})
	if failed != nil {
		return failed
	}
	return err
}

// hasty is a clock whose timers are due at once, up to those of a second.
type hasty struct{ bellhop.SystemClock }

func (c hasty) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if d <= time.Second {
		d = 0
	}
	return c.SystemClock.NewTimer(d)
}

// An outcome waits for live output that is still on its way.
func TestOutcomeComesAfterLiveOutput(t *testing.T) {
	d := late{chattest.NewDesk(), make(chan struct{})}
	d.OnRun("x", chattest.Plan{Rule: chattest.TextRule(), State: bellhop.Failed, Status: 3, Output: []chattest.Piece{chattest.Out("Hello\n")}})
	x := converse(d, nil)
	x.want(t, x.Once(t.Context(), "x"), 1, "Hello\nexample hello failed: exit status 3 (000001)\nto read its log: bellhop logs 000001\n", receipt)
}

// late gives output a while after the report came.
type late struct {
	*chattest.Desk
	came chan struct{}
}

func (d late) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	return d.Desk.Reports(ctx, func(r bellhop.Report) error {
		close(d.came)
		return fn(r)
	})
}

func (d late) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	<-d.came
	time.Sleep(50 * time.Millisecond) // only ever hides a fault, never makes one
	return d.Desk.Output(ctx, id, follow, fn)
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "\n", "help\nexit\nx", "a\r\nb", "\x00\xff", " quit "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, input string) {
		d := chattest.NewDesk()
		x := converse(d, nil)
		x.Lines(t.Context(), strings.NewReader(input))
		var want []string
		for _, l := range strings.Split(input, "\n") {
			l = strings.TrimSuffix(l, "\r")
			word := strings.ToLower(strings.TrimSpace(l))
			if word == "exit" || word == "quit" {
				break
			}
			if word != "" {
				want = append(want, l)
			}
		}
		if got := d.Asked(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q asked %q, want %q", input, got, want)
		}
	})
}
