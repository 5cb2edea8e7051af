package bellhop

import (
	"slices"
	"time"
)

// SourceOutside is the source of what entries ask for when outside sources send
// data.
const SourceOutside = "source"

// OutsideSession is the session of every origin of an outside source: what is
// told there is told to that one program, whichever connection it has.
func OutsideSession(source string) string { return SourceOutside + ":" + source }

// SourceEntry is an entry that asks for a run when an outside source sends
// data.
type SourceEntry struct {
	Service, Name string
	Source        string // whose data
	When          []Condition
	Job           string
	// Args are templates over the data: {event.PATH}.
	Args     Args
	Delay    time.Duration
	OnRepeat OnRepeat
	ReportTo string   // "" = the source that sent it
	Pos      Position `json:"-"`
}

// Principal is who asks for the runs of an entry: source:SERVICE/NAME.
func (s *SourceEntry) Principal() string { return SourceOutside + ":" + s.Service + "/" + s.Name }

// Outside reports whether an outside source of that name is configured.
func (c *Catalog) Outside(source string) bool { return slices.Contains(c.Sources, source) }
