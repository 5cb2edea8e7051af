package slack

import "github.com/bellhop-io/bellhop"

// Ready is nil when Slack can be heard.
func (c *Chat) Ready() error {
	select {
	case <-c.ready:
	default:
		return bellhop.Errorf(bellhop.Unavailable, "Slack was not reached yet")
	}
	if c.away.Load() {
		return bellhop.Errorf(bellhop.Unavailable, "the socket to Slack is lost, and is opened again")
	}
	return nil
}
