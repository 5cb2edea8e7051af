package bellhop

import (
	"context"
	"time"
)

// RoleKeeper is the role of the one server that does what must be done once:
// expiring, forgetting. All of it may be done twice without harm.
const RoleKeeper = "keeper"

// RoleClock is the role of the one server that asks for what schedules want: one
// whose configuration is the newest. Two that do it do no harm.
const RoleClock = "clock"

// Activation says which configuration a server made the active one.
type Activation struct {
	Digest string    `json:"digest"`
	Server string    `json:"server"`
	At     time.Time `json:"at"`
}

// Cluster is what the servers of one store know of each other. Times are by
// the store's own clock. Names of servers are chosen at random at each start.
type Cluster interface {
	// Beat says that a server lives for ttl from now; 0: it is leaving, and
	// gives up its roles.
	Beat(ctx context.Context, server string, ttl time.Duration) error
	// Lead takes a role for ttl from now when nobody has it, or keeps it, and
	// reports whether the server has it.
	Lead(ctx context.Context, role, server string, ttl time.Duration) (bool, error)
	// Activate notes the newest activated configuration.
	Activate(ctx context.Context, a Activation) error
	// Activated returns the newest one; zero when there was none yet.
	Activated(ctx context.Context) (Activation, error)
	// Alive returns the servers that live, sorted.
	Alive(ctx context.Context) ([]string, error)
}
