package schedule

import (
	"context"
	"time"
)

// Round does what the loop does between two waits.
func (c *Clockwork) Round(ctx context.Context) time.Duration { return c.round(ctx) }

// Jitter is how late a tick's run is.
var Jitter = jitter
