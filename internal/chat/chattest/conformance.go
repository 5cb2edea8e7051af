package chattest

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Front is a front end under test.
type Front struct {
	// Lines gives it input where there is no terminal, and waits for its end.
	Lines func(t *testing.T, d *Desk, input string) (stdout, stderr string, status int)
	// Prompt opens it on a terminal; wait waits for its end.
	Prompt func(t *testing.T, d *Desk, x *Terminal) (wait func())
	// Exit is its table.
	Exit chat.ExitTable
}

// TextRule is the rule of a job that shows its stdout.
func TextRule() bellhop.ReportRule {
	return bellhop.ReportRule{Stdout: true, Success: true, Format: bellhop.FormatText}
}

// Run runs the cases that every front end with a prompt must pass.
func Run(t *testing.T, f Front) {
	t.Run("lines", func(t *testing.T) { runLines(t, f) })
	t.Run("prompt", func(t *testing.T) { runPrompt(t, f) })
}

func runLines(t *testing.T, f Front) {
	t.Run("each line is asked in turn, blank ones are not", func(t *testing.T) {
		d := NewDesk()
		d.OnRun("one", Plan{Rule: TextRule(), Output: []Piece{Out("1\n"), Err("warn\n")}})
		d.OnRun("two", Plan{Rule: TextRule(), Output: []Piece{Out("2")}})
		stdout, stderr, status := f.Lines(t, d, "one\n\n  \r\ntwo")
		equal(t, "stdout", stdout, "1\n2")
		equal(t, "status", status, 0)
		contain(t, stderr, "accepted 000001: example hello\n", "warn\n", "accepted 000002: example hello\n")
		equal(t, "asked", strings.Join(d.Asked(), "|"), "one|two")
		if !d.WaitRead(2) {
			t.Error("the reports were not read")
		}
	})
	t.Run("the first failure is the exit status, later lines are asked", func(t *testing.T) {
		d := NewDesk()
		d.OnError("secret", bellhop.Errorf(bellhop.NotAllowed, "that is restricted"))
		d.OnRun("one", Plan{Rule: TextRule(), Output: []Piece{Out("1\n")}})
		stdout, stderr, status := f.Lines(t, d, "secret\nnonsense\none\n")
		equal(t, "stdout", stdout, "1\n")
		equal(t, "status", status, f.Exit.NotAllowed)
		contain(t, stderr, "that is restricted\n", "I did not understand")
	})
	t.Run("exit leaves", func(t *testing.T) {
		d := NewDesk()
		_, _, status := f.Lines(t, d, "EXIT\nnever\n")
		equal(t, "status", status, 0)
		equal(t, "asked", len(d.Asked()), 0)
	})
	t.Run("bytes stay as they are where there is no terminal", func(t *testing.T) {
		d := NewDesk()
		d.OnRun("one", Plan{Rule: TextRule(), Output: []Piece{Out("\x1b[31mred\x00\xff\r\n")}})
		stdout, _, _ := f.Lines(t, d, "one\n")
		equal(t, "stdout", stdout, "\x1b[31mred\x00\xff\r\n")
	})
	t.Run("a line of 100 KB arrives whole", func(t *testing.T) {
		d := NewDesk()
		long := "say " + strings.Repeat("x", 100_000)
		d.OnAnswer(long, bellhop.Answer{Action: bellhop.ActionHelp, Text: "ok"})
		stdout, _, _ := f.Lines(t, d, long+"\n")
		equal(t, "stdout", stdout, "ok\n")
	})
	t.Run("a line above the limit is refused and the next one is asked", func(t *testing.T) {
		d := NewDesk()
		d.OnAnswer("help", bellhop.Answer{Action: bellhop.ActionHelp, Text: "ok"})
		stdout, stderr, status := f.Lines(t, d, strings.Repeat("x", chat.MaxLine+1)+"\nhelp\n")
		equal(t, "stdout", stdout, "ok\n")
		equal(t, "status", status, f.Exit.NotUnderstood)
		contain(t, stderr, "longer than 1,048,576 bytes")
	})
}

func runPrompt(t *testing.T, f Front) {
	for name, test := range map[string]func(*testing.T, Front){
		"asks and leaves":         promptAsks,
		"history and editing":     promptHistory,
		"completion":              promptCompletes,
		"ctrl-c cancels":          promptCancels,
		"ctrl-c, no":              promptDoesNotCancel,
		"typing while a run goes": promptKeepsLine,
		"while you were away":     promptAway,
		"hostile output":          promptHostile,
		"logs are followed":       promptLogs,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

func promptAsks(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnRun("say hello", Plan{Rule: TextRule(), Output: []Piece{Out("Hello\n")}})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "This is Bellhop.")
	x.Type(t, "say hello\r")
	x.Expect(t, "accepted 000001: example hello\r\n")
	x.Expect(t, "Hello\r\n")
	x.Type(t, "nonsense\r")
	x.Expect(t, "I did not understand")
	x.Type(t, "\x04")
	wait()
}

func promptHistory(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnAnswer("help", bellhop.Answer{Action: bellhop.ActionHelp, Text: "HELP TEXT"})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "hlp\x1b[D\x1b[De\r") // two to the left, an e between
	x.Expect(t, "HELP TEXT")
	x.Type(t, "\x1b[A\r") // up
	x.Expect(t, "HELP TEXT")
	x.Type(t, "exit\r")
	wait()
	equal(t, "asked", strings.Join(d.Asked(), "|"), "help|help")
}

func promptCompletes(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnComplete("ex", "example")
	d.OnComplete("example ", "say", "shout", "sh\x1b[2Jow")
	d.OnComplete("example s", "say", "shout")
	d.OnComplete("example sh", "shout", "show")
	d.OnAnswer("example shout", bellhop.Answer{Action: bellhop.ActionHelp, Text: "DONE"})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "ex\t")
	x.Expect(t, "example ")
	x.Type(t, "s\t")
	x.Expect(t, "say  shout")
	x.Type(t, "h\tut\r")
	x.Expect(t, "DONE")
	x.Type(t, "\x04")
	wait()
	equal(t, "asked", strings.Join(d.Asked(), "|"), "example shout")
}

func promptCancels(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnRun("work", Plan{Rule: TextRule(), Output: []Piece{Out("working\n")}, Hold: true})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "work\r")
	x.Expect(t, "working")
	x.Type(t, "half a li\x03")
	x.Expect(t, "Cancel 000001? [y/N]")
	x.Type(t, "y\r")
	x.Expect(t, "was cancelled")
	x.Type(t, "\x04")
	wait()
	equal(t, "cancelled", len(d.Cancelled()), 1)
	equal(t, "asked", strings.Join(d.Asked(), "|"), "work")
}

func promptDoesNotCancel(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnRun("work", Plan{Rule: TextRule(), Output: []Piece{Out("working\n")}, Hold: true})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "gone\x03work\r") // with no run, Ctrl-C clears the line
	x.Expect(t, "working")
	for _, no := range []string{"n", "\r", "x"} {
		x.Type(t, "\x03")
		x.Expect(t, "Cancel 000001? [y/N]")
		x.Type(t, no)
		x.Expect(t, "> ")
	}
	x.Type(t, "\x04")
	x.Expect(t, "000001 goes on")
	wait()
	equal(t, "cancelled", len(d.Cancelled()), 0)
	equal(t, "asked", strings.Join(d.Asked(), "|"), "work")
}

func promptKeepsLine(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.OnRun("work", Plan{Rule: TextRule(), Hold: true})
	d.OnAnswer("help", bellhop.Answer{Action: bellhop.ActionHelp, Text: "HELP TEXT"})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "work\r")
	x.Expect(t, "accepted")
	x.Type(t, "hel")
	x.Expect(t, "hel")
	d.Write(1, Out("step one\n"))
	x.Expect(t, "step one")
	x.Expect(t, "> hel") // drawn again below the output
	x.Type(t, "p\r")
	x.Expect(t, "HELP TEXT")
	d.Write(1, Out("last words"))
	d.Finish(1)
	x.Expect(t, "last words\r\n")
	x.Type(t, "\x04")
	wait()
}

func promptAway(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	d.AddUnread(Plan{Rule: TextRule(), Output: []Piece{Out("Hello Bob\n")}})
	d.AddUnread(Plan{State: bellhop.Failed, Status: 3, Output: []Piece{Err("no such file\n")}})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "While you were away:")
	x.Expect(t, "000001 example hello succeeded")
	x.Expect(t, "Hello Bob")
	x.Expect(t, "exit status 3")
	x.Expect(t, "no such file")
	x.Type(t, "\x04")
	wait()
	equal(t, "read", len(d.Read()), 2)
}

func promptHostile(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	evil := "\x1b]0;title\x07A\x1b[2JB\x1b[6nC\x07D\u009b6nE\u202eF\x1b[8mG\x1bcH\n"
	d.OnRun("evil", Plan{Rule: TextRule(), Output: []Piece{Out(evil)}})
	d.OnError("refuse", bellhop.Errorf(bellhop.Invalid, "bad %s", evil))
	wait := f.Prompt(t, d, x)
	x.Expect(t, "> ")
	x.Type(t, "evil\r")
	x.Expect(t, `ABC^GD\u009b6nE\u202eFG^[cH`)
	x.Type(t, "refuse\r")
	x.Expect(t, "bad ^[]0;title^GA^[[2JB")
	x.Type(t, "\x04")
	wait()
}

func promptLogs(t *testing.T, f Front) {
	d, x := NewDesk(), OpenTerminal(t, 80, 24)
	id := d.AddUnread(Plan{Rule: bellhop.ReportRule{Success: true}, Output: []Piece{Out("first\n"), {Channel: bellhop.Stdout, Text: "last\n", Skip: 1234}}})
	d.OnAnswer("logs 000001", bellhop.Answer{Action: bellhop.ActionLogs, Run: id})
	wait := f.Prompt(t, d, x)
	x.Expect(t, "succeeded")
	x.Type(t, "logs 000001\r")
	for _, line := range []string{"first\r\n", "[... 1,234 bytes not kept ...]\r\n", "last\r\n"} {
		x.Expect(t, line)
	}
	x.Type(t, "\x04")
	wait()
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %#v, want %#v", what, got, want)
	}
}

func contain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in %q", part, text)
		}
	}
}
