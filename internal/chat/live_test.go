package chat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

// atPrompt holds a conversation at a prompt until talk returns, and returns
// all that it showed.
func atPrompt(t *testing.T, d *chattest.Desk, talk func(in *pipe, screen *buffer)) string {
	t.Helper()
	in, screen := newPipe(), &buffer{}
	p := chat.NewPrompt(rw{in, screen}, d, chat.Options{Exit: chat.AskExit()})
	done := make(chan error)
	go func() { done <- p.Run(t.Context()) }()
	talk(in, screen)
	in.send("\x04")
	if err := <-done; err != nil {
		t.Error(err)
	}
	return screen.String()
}

// shows waits until the screen shows text.
func shows(t *testing.T, screen *buffer, text string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !strings.Contains(screen.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%q never came: %q", text, screen.String())
		}
	}
}

func TestLinesAreLabelledWhileSeveralRunsAreLive(t *testing.T) {
	d := chattest.NewDesk()
	plan := chattest.Plan{Rule: chattest.TextRule(), Hold: true}
	d.OnRun("a", plan)
	d.OnRun("b", plan)
	all := atPrompt(t, d, func(in *pipe, screen *buffer) {
		in.send("a\r")
		d.WaitAsked(1)
		d.Write(1, chattest.Out("alone\n"))
		shows(t, screen, "alone")
		in.send("b\r")
		d.WaitAsked(2)
		d.Write(2, chattest.Out("second\n"))
		shows(t, screen, "second")
		d.Write(1, chattest.Out("one\n"), chattest.Err("oops\n"))
		shows(t, screen, "oops")
		d.Finish(2)
		d.WaitRead(1)
		d.Write(1, chattest.Out("still\n"), chattest.Out("no newline"))
		shows(t, screen, "still")
		d.Finish(1)
		d.WaitRead(2)
	})
	for _, line := range []string{"alone\r\n", "000002 | second\r\n", "000001 | one\r\n", "000001 | oops\r\n", "000001 | still\r\n", "000001 | no newline\r\n"} {
		if !strings.Contains(all, line) {
			t.Errorf("%q is not in %q", line, all)
		}
	}
	if strings.Contains(all, "| alone") {
		t.Errorf("a run that was alone is labelled: %q", all)
	}
}

// One run after the other needs no labels, and neither does a run that waits.
func TestNoLabelsForOneLiveRun(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("a", chattest.Plan{Rule: chattest.TextRule(), Hold: true})
	all := atPrompt(t, d, func(in *pipe, screen *buffer) {
		in.send("a\ra\r")
		d.WaitAsked(2)
		d.Write(1, chattest.Out("first\n"))
		shows(t, screen, "first")
		d.Finish(1)
		d.WaitRead(1)
		d.Write(2, chattest.Out("second\n"))
		shows(t, screen, "second")
		d.Finish(2)
		d.WaitRead(2)
	})
	if strings.Contains(all, " | ") {
		t.Errorf("labelled: %q", all)
	}
}

func TestARunThatIsRunAgainSaysSo(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("a", chattest.Plan{Rule: chattest.TextRule(), Output: []chattest.Piece{
		chattest.Out("step 1\nste"),
		{Channel: bellhop.Stdout, Text: "step 1\n", Attempt: 2}, {Channel: bellhop.Stdout, Text: "step 2\n", Attempt: 2},
	}})
	x := converse(d, nil)
	again := "000001 is run again, from its beginning: the attempt before was lost, or failed\n"
	x.want(t, x.Once(t.Context(), "a"), 0, "step 1\nstestep 1\nstep 2\n", receipt+again)

	x = converse(d, func(o *chat.Options) { o.OutTerminal, o.ErrTerminal, o.Err = true, true, o.Out })
	x.want(t, x.Once(t.Context(), "a"), 0, strings.ReplaceAll(receipt+"step 1\nste\n"+again+"step 1\nstep 2\n", "000001", "000002"), "")
}

func TestACopyOfSeveralAttemptsTellsThemApart(t *testing.T) {
	d := chattest.NewDesk()
	d.OnRun("a", chattest.Plan{Output: []chattest.Piece{chattest.Out("ste"), {Channel: bellhop.Stdout, Text: "step 1\n", Attempt: 2}}})
	if _, err := d.Ask(t.Context(), "key", "a"); err != nil {
		t.Fatal(err)
	}
	var out, errs buffer
	if err := chat.CopyOutput(t.Context(), chat.Options{Out: &out, Err: &errs}, d, 1, false); err != nil {
		t.Fatal(err)
	}
	if want := "000001 is run again, from its beginning: the attempt before was lost, or failed\n"; out.String() != "stestep 1\n" || errs.String() != want {
		t.Errorf("out %q, err %q", out.String(), errs.String())
	}
}
