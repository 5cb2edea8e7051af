package ui

import (
	"fmt"
	"math"
	"time"

	"github.com/bellhop-io/bellhop"
)

// ended is what ended in a span of time.
type ended struct {
	Start, End     time.Time
	Good, Bad, Off int64 // succeeded; failed or timed out; cancelled
	Timed          int64
	Took           time.Duration // together
}

func (e *ended) all() int64 { return e.Good + e.Bad + e.Off }

// endedIn adds up what was counted in each span.
func endedIn(buckets []bellhop.TallyBucket) []ended {
	all := make([]ended, len(buckets))
	for i, b := range buckets {
		e := &all[i]
		e.Start, e.End = b.Start, b.End
		var sum bellhop.Tally
		for j := range b.Tallies {
			t := &b.Tallies[j]
			sum.Add(t)
			switch t.State {
			case bellhop.Succeeded:
				e.Good += t.Count
			case bellhop.Failed, bellhop.TimedOut:
				e.Bad += t.Count
			default:
				e.Off += t.Count
			}
		}
		e.Timed, e.Took = sum.Timed, sum.Took
	}
	return all
}

// The plot of bars, in its own units.
const (
	plotWide = 960
	plotHigh = 60
)

// column is one column of a plot: three parts, from below.
type column struct {
	X, W                 string
	Good, Bad, Off       string // heights
	GoodY, BadY, OffY    string
	Title                string
	Any, Fail, Cancelled bool
}

// barsOf draws what ended as columns, the highest of which is as high as the
// plot. zone is in which times are told.
func barsOf(all []ended, zone *time.Location, layout string) []column {
	most := int64(1)
	for i := range all {
		most = max(most, all[i].all())
	}
	bars := make([]column, len(all))
	wide := float64(plotWide) / float64(max(1, len(all)))
	high := func(n int64) float64 {
		if n == 0 {
			return 0
		}
		return math.Max(2, float64(n)/float64(most)*(plotHigh-2)) // what is there can be seen
	}
	for i := range all {
		e := &all[i]
		g, b, o := high(e.Good), high(e.Bad), high(e.Off)
		if over := g + b + o - plotHigh; over > 0 {
			g = math.Max(0, g-over)
		}
		bars[i] = column{
			X: num(float64(i) * wide), W: num(math.Max(1, wide-1)),
			Bad: num(b), BadY: num(plotHigh - b), Off: num(o), OffY: num(plotHigh - b - o), Good: num(g), GoodY: num(plotHigh - b - o - g),
			Any: e.all() > 0, Fail: e.Bad > 0, Cancelled: e.Off > 0,
			Title: fmt.Sprintf("%s: %d succeeded, %d failed, %d cancelled", e.Start.In(zone).Format(layout), e.Good, e.Bad, e.Off),
		}
	}
	return bars
}

func num(f float64) string { return fmt.Sprintf("%.1f", f) }

// sum adds up some spans.
func sum(all []ended) (t ended) {
	for i := range all {
		t.Good, t.Bad, t.Off = t.Good+all[i].Good, t.Bad+all[i].Bad, t.Off+all[i].Off
		t.Timed, t.Took = t.Timed+all[i].Timed, t.Took+all[i].Took
	}
	return t
}

// rate is how many of what succeeded or failed did succeed.
func (e *ended) rate() string {
	if e.Good+e.Bad == 0 {
		return "none yet"
	}
	p := float64(e.Good) / float64(e.Good+e.Bad) * 100
	if p > 99 && p < 100 { // not all of them, and not to be read as such
		return fmt.Sprintf("%.2f %%", math.Min(p, 99.99))
	}
	return fmt.Sprintf("%.0f %%", p)
}

// mean is how long one took.
func (e *ended) mean() string {
	if e.Timed == 0 {
		return "not known"
	}
	return tookText(e.Took / time.Duration(e.Timed))
}

// line is the way of a curve through a plot, and its highest value.
func line(all []ended, of func(*ended) time.Duration) (path string, most time.Duration) {
	for i := range all {
		most = max(most, of(&all[i]))
	}
	if most == 0 {
		return "", 0
	}
	wide, up := float64(plotWide)/float64(max(1, len(all))), false
	for i := range all {
		d := of(&all[i])
		if all[i].Timed == 0 {
			up = false
			continue
		}
		x, y := (float64(i)+.5)*wide, plotHigh-2-float64(d)/float64(most)*(plotHigh-4)
		verb := "L"
		if !up {
			verb, up = "M", true
			path += fmt.Sprintf("M%.1f %.1fh.1", x, y) // a day alone is a point
		}
		path += fmt.Sprintf("%s%.1f %.1f", verb, x, y)
	}
	return path, most
}
