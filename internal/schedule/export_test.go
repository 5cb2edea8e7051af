package schedule

import (
	"context"
	"time"
)

// Round does what the loops do between two waits.
func (c *Clockwork) Round(ctx context.Context) time.Duration {
	return min(c.round(ctx), c.laterRound(ctx))
}

// Jitter is how late a tick's run is.
var Jitter = jitter
