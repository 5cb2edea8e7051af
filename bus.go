package bellhop

// Bus carries hints between parts: wake-ups and news of output. A hint may be
// lost or coalesced; the store is the truth, and whoever waits for a hint also
// looks from time to time.
type Bus interface {
	// Publish wakes every present subscriber of topic. It never blocks.
	Publish(topic string)
	// Subscribe returns a channel that has room for one wake-up of topic, so
	// that a hint between two looks is never missed, and a function that ends
	// the subscription; it may be called twice.
	Subscribe(topic string) (<-chan struct{}, func())
}

// Topics of the bus.
const (
	TopicQueue  = "queue"  // something may be claimable
	TopicCancel = "cancel" // a running run was cancelled
	TopicOutbox = "outbox" // a report is due
	TopicBegun  = "begun"  // a run was claimed
)

// TopicRun is where news of a run is told: output stored, finished.
func TopicRun(id RunID) string { return "run." + id.String() }
