package bellhop

import (
	"context"
	"time"
)

// Principal is who asks, as the gate knows them: made anew for each decision
// from what a source says of a Person and from the active configuration.
type Principal struct {
	Person
	// Internal: listed in `people:`. Without that section also whoever proved a
	// key in authorized_keys, and the owner of the control socket.
	Internal bool
	Groups   []string // of `people:`
}

// Member is one of `people:`.
type Member struct {
	Name       string
	Identities []string // slack:T1/U123, ssh:alice, email:alice@example.com
	Groups     []string
	Pos        Position `json:"-"`
}

// Rule is one of a list of `allow:`. The first that matches decides; when none
// does, it is refused. Fields that are empty match everybody and everything,
// and of each list one must match. A rule without any names everybody.
type Rule struct {
	// People are names of principals (alice, schedule:deploys/morning) and
	// identities (slack:T1/U123, slack:reminder).
	People []string `json:"people,omitempty"`
	// Groups are those of `people:` (ops), those that a chat keeps
	// (slack-usergroup:S123, slack-channel-members:C0123), and GroupInternal.
	Groups  []string `json:"groups,omitempty"`
	Sources []string `json:"sources,omitempty"` // names of sources: slack, ssh
	// In are channels by id, SOURCE:CHANNEL: slack:C0123.
	In []string `json:"in,omitempty"`
	// When holds, by parameter, the values of which the argument is one.
	When   map[string][]string `json:"when,omitempty"`
	Refuse bool                `json:"refuse,omitempty"` // whoever matches is refused
	Pos    Position            `json:"-"`
}

// GroupInternal stands, in a rule, for all internal people.
const GroupInternal = "internal"

// Access is `access:` and `people:` of a configuration.
type Access struct {
	People []Member
	// Peopled: there is a section `people:`, maybe an empty one.
	Peopled bool
	// DenyByDefault: services are restricted unless they say otherwise.
	DenyByDefault bool
	// Admins may change configuration, secrets and tokens, read the audit
	// trail and pause; besides them, who runs the server.
	Admins []Rule
}

// Decision is what the gate says of a request, and by which rule.
type Decision struct {
	Allowed bool
	// Rule names what decided, for people and the audit trail: "restricted:
	// true of service deploys", "allow rule 2 of job deploys deploy".
	Rule string
	Pos  Position // where that stands; zero = nowhere in a file
	// Reason says, of a refusal, what is missing and who could help.
	Reason string
}

// Foretold is what would become of something if somebody asked for it now.
type Foretold struct {
	Who      Principal
	Known    string // how the gate knows them, for people
	Decision Decision
	Placed   string    // the rule that decides, and where it stands
	Approval string    // by whom it would have to be approved; "" = by nobody
	Start    time.Time // at the earliest; zero = it makes no run, or would be refused
	Hold     *Hold     // what would keep it from starting; nil = nothing is known to
}

// Right is whether somebody may have a job done.
type Right struct {
	Service, Job string // Job "": the service as a whole, which is closed
	Decision     Decision
	Placed       string // the rule that decides, and where it stands
	// Some: it depends on the arguments. Allowed then says that there are some
	// with which they may.
	Some     bool
	Approval string // by whom runs are approved, and which; "" = by nobody
}

// Directory tells who belongs to the groups that chats keep, which rules name
// as KIND:ID (slack-usergroup:S123). It may be slow: it asks the chat.
type Directory interface {
	// Member reports whether an identity belongs to a group. An answer may be
	// as old as the chat's documentation states; with fresh, it is asked for
	// anew. Unavailable when it can't be known now: then nobody does.
	Member(ctx context.Context, group, identity string, fresh bool) (bool, error)
}
