package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// stateWord is a state as people say it.
func stateWord(s bellhop.State) string {
	switch s {
	case bellhop.TimedOut:
		return "timed out"
	case bellhop.Held:
		return "needs approval"
	}
	return string(s)
}

// stateIcon is the drawing of a state, so that colour is never all that tells.
func stateIcon(s bellhop.State) string {
	switch s {
	case bellhop.Succeeded:
		return "ok"
	case bellhop.Failed, bellhop.TimedOut:
		return "bad"
	case bellhop.Cancelled:
		return "stop"
	case bellhop.Running:
		return "run"
	case bellhop.Held:
		return "hand"
	}
	return "wait"
}

// states in the order in which a run comes to them.
var states = []bellhop.State{bellhop.Held, bellhop.Waiting, bellhop.Running, bellhop.Succeeded, bellhop.Failed, bellhop.Cancelled, bellhop.TimedOut}

// argsText is what a run was given, on one line.
func argsText(args bellhop.Args) string {
	names := make([]string, 0, len(args))
	for n := range args {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, n := range names {
		v := args[n].String()
		if v == "" || strings.ContainsAny(v, " \t\n\"") {
			v = fmt.Sprintf("%q", v)
		}
		names[i] = n + "=" + v
	}
	return chat.Clean(strings.Join(names, " "))
}

// short cuts a text to about n characters.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// tookText is how long something took: 5 ms, 1.3 s, 42 s, 3 min 5 s, 2 h 10 min.
func tookText(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// ranFor is how long the last attempt of a run has taken so far.
func ranFor(r bellhop.Run, now time.Time) time.Duration {
	switch {
	case r.Started == nil:
		return 0
	case r.Finished != nil:
		return r.Finished.Sub(*r.Started)
	}
	return now.Sub(*r.Started)
}

// waits says why a run has not started.
func (p Page) waits(r bellhop.Run) string {
	return strings.TrimPrefix(p.style().WhyText(r), r.ID.String()+" "+r.Service+" "+r.Job+" ") // which stands above it
}

// style words answers for a page.
func (p Page) style() chat.Style {
	return chat.Style{Now: p.now.In(p.zone())}
}

// zone is in which the server makes times; the browser says them in its own.
func (p Page) zone() *time.Location {
	if p.About.Zone == nil {
		return time.UTC
	}
	return p.About.Zone
}

// count is "1 run", "2 runs".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// zoneName is the zone in which the configuration's times of day are meant.
func (p Page) zoneName() string {
	if p.About.Zone == nil || p.About.Zone.String() == "Local" {
		return "the server's time zone"
	}
	return p.About.Zone.String()
}
