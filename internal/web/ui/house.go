// Package ui serves the web page: what Bellhop does, what one may ask of it,
// and how to stop it. Pages are made on the server (templ), kept up to date by
// htmx and server-sent events, and need nothing from any other host.
package ui

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Source is the source of what is asked on the page. Its reports are told
// nobody: the page shows the run.
const Source = bellhop.SourceWeb

// House is what the pages need of the server. Each call is made for a person,
// and judged by the engine.
type House interface {
	Doors
	Asks
	Looks
	Tells
	Hooks
	Manages
	Folk
	Knows
}

// Manages is what admins look after.
type Manages interface {
	Trail
	Holdings
}

// Knows is what every page has.
type Knows interface {
	Who(p bellhop.Person) bellhop.Principal
	// Manages reports whether the pages for admins are for somebody. That is
	// recorded nowhere: each of them asks for itself.
	Manages(ctx context.Context, p bellhop.Person) bool
	About() About
}

// Asks is how something is asked for.
type Asks interface {
	Desk(p bellhop.Person, source, session string) chat.Desk
	Do(ctx context.Context, p bellhop.Person, source, session, key string, inv bellhop.Invocation) (bellhop.Answer, error)
	// Bind checks a job's arguments and fills in defaults, for somebody who may
	// have it done.
	Bind(ctx context.Context, p bellhop.Person, service, job string, args bellhop.Args) (bellhop.Args, error)
}

// Looks is what somebody may see.
type Looks interface {
	Services(ctx context.Context, p bellhop.Person) ([]bellhop.Service, error)
	// Brokers are those that ask for a job which the person may have done.
	Brokers(ctx context.Context, p bellhop.Person) []bellhop.Broker
	// Search lists a page of runs.
	Search(ctx context.Context, p bellhop.Person, s bellhop.RunSearch) (bellhop.RunPage, error)
	Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error)
	// Schedules are those that the person sees, the one whose tick comes next
	// first.
	Schedules(ctx context.Context, p bellhop.Person) ([]bellhop.ScheduleState, error)
	// Tally counts runs that ended since a time, in spans of equal length:
	// multiples of a quarter of an hour, or days. Service and job narrow it.
	Tally(ctx context.Context, p bellhop.Person, since time.Time, bucket time.Duration, service, job string) ([]bellhop.TallyBucket, error)
	// Watch calls fn with runs that have changed, which are not to be changed, and
	// with none from time to time.
	Watch(ctx context.Context, p bellhop.Person, after bellhop.RunID, fn func([]*bellhop.Run) error) error
}

// Tells is what becomes of runs, as far as somebody may see it.
type Tells interface {
	// History tells what became of a run.
	History(ctx context.Context, p bellhop.Person, id bellhop.RunID) (*bellhop.History, error)
	// Failed lists runs that failed since a time, newest first, n at most.
	Failed(ctx context.Context, p bellhop.Person, since time.Time, n int) (runs []bellhop.Run, more bool, err error)
	// Votable lists held runs that wait for what the person says.
	Votable(ctx context.Context, p bellhop.Person) ([]bellhop.Run, error)
	// LastLines returns the last line that running runs have printed.
	LastLines(ctx context.Context, p bellhop.Person, ids []bellhop.RunID) (map[bellhop.RunID]string, error)
	// Health tells how the server and what it reaches outside are; NotAllowed: it
	// is not for this person.
	Health(ctx context.Context, p bellhop.Person) (bellhop.Health, error)
	// Link is a link to the message by which a run was asked for; "" = none.
	Link(ctx context.Context, o bellhop.Origin) string
}

// Doors is how people come in.
type Doors interface {
	// LookLink tells whom a link for logging in is for, and leaves it as it is.
	LookLink(ctx context.Context, code string) (bellhop.Principal, error)
	// OpenSession uses up a link, and returns what proves the session.
	OpenSession(ctx context.Context, code string, about bellhop.SessionAbout) (text string, s bellhop.Session, err error)
	// SessionPerson tells who shows what proves a session; NotAllowed: it is
	// none any more.
	SessionPerson(ctx context.Context, text string) (bellhop.Person, bellhop.Session, error)
	// RotateSession returns what proves a session from now on; "" = what did.
	RotateSession(ctx context.Context, text string) (string, error)
	EndSession(ctx context.Context, p bellhop.Person, id string) error
}

// About is what every page shows of the server.
type About struct {
	Bot     string
	Version string
	Zone    *time.Location // of the configuration
	Peopled bool           // there is a section people:
}
