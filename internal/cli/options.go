package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/console"
	"github.com/bellhop-io/bellhop/internal/server"
)

// terminal reports whether f is a terminal.
func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// colorful reports whether f is to have colours (https://no-color.org).
func colorful(f *os.File) bool {
	return terminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// style words things for stdout.
func (a *app) style() chat.Style {
	return chat.Style{Now: a.now(), Color: colorful(a.Out), Command: "bellhop "}
}

// console are the options of a conversation on this process's streams.
func (a *app) console() console.Options {
	return console.Options{
		In: a.In, Out: a.Out, Err: a.Err, NoColor: !colorful(a.Out),
		Command: "bellhop ", Exit: chat.AskExit(), Clock: zoned{zone: a.zone},
	}
}

// zoned tells the time in the zone in which times are told.
type zoned struct {
	bellhop.SystemClock
	zone *time.Location // nil = the machine's
}

// Now returns the time.
func (z zoned) Now() time.Time {
	if z.zone == nil {
		return time.Now()
	}
	return time.Now().In(z.zone)
}

// now is the time, in the zone in which times are told.
func (a *app) now() time.Time { return zoned{zone: a.zone}.Now() }

// streams are this process's streams for what runs have written: what goes to a
// terminal is made safe for it.
func (a *app) streams() chat.Options {
	return chat.Options{
		Out: a.Out, Err: a.Err, OutTerminal: terminal(a.Out), ErrTerminal: terminal(a.Err), Color: colorful(a.Out),
	}
}

// tell prints a line to stderr.
func (a *app) tell(format string, args ...any) {
	fmt.Fprintln(a.Err, chat.CleanText(fmt.Sprintf(format, args...)))
}

// load reads the configuration; faults are printed.
func (a *app) load() (*server.Loaded, error) {
	loaded, faults, err := server.Load(a.config)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, a.faulty(faults)
	}
	return loaded, nil
}

// faulty prints faults to stderr and returns the error that sums them up.
func (a *app) faulty(faults []bellhop.Fault) error {
	for _, f := range faults {
		a.tell("%s", f)
	}
	return bellhop.Errorf(bellhop.Invalid, "the configuration has %s, so nothing was started", count(len(faults), "fault"))
}

// serverLog is the log of a server, to stderr as configured.
func (a *app) serverLog(l *server.Loaded) *slog.Logger { return newLog(a.Err, l, l.Log.Level) }

// quietLog is that of an `ask` that serves itself: only what went wrong.
func (a *app) quietLog(l *server.Loaded) *slog.Logger {
	return newLog(a.Err, l, max(l.Log.Level, slog.LevelError))
}

func newLog(w io.Writer, l *server.Loaded, level slog.Level) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if l.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
