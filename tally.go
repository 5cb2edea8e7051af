package bellhop

import "time"

// Tally counts runs of one job that ended in one state with one verdict.
type Tally struct {
	Service string  `json:"service"`
	Job     string  `json:"job"`
	State   State   `json:"state"`
	Verdict Verdict `json:"verdict,omitempty"`
	Count   int64   `json:"count"`
	// Timed are those that were begun; Took is how long their last attempts took
	// together, and Spread how many took less than each of TallyBounds (and not
	// less than the one before), the last one: longer.
	Timed  int64                       `json:"timed"`
	Took   time.Duration               `json:"took"`
	Spread [len(tallyBounds) + 1]int64 `json:"spread"`
}

var tallyBounds = [...]time.Duration{
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 3 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour,
}

// TallyBounds returns the bounds of Tally.Spread.
func TallyBounds() []time.Duration { return append([]time.Duration(nil), tallyBounds[:]...) }

// Add adds what another one counts.
func (t *Tally) Add(o *Tally) {
	t.Count += o.Count
	t.Timed += o.Timed
	t.Took += o.Took
	for i := range t.Spread {
		t.Spread[i] += o.Spread[i]
	}
}

// Quantile returns a time that a part (0 to 1) of those that were timed did not
// take longer than: the upper one of the bounds between which it lies, the
// highest bound for what took longer; 0 when none was timed.
func (t *Tally) Quantile(part float64) time.Duration {
	var n int64
	for i, k := range t.Spread {
		if n += k; k > 0 && float64(n) >= part*float64(t.Timed) {
			return tallyBounds[min(i, len(tallyBounds)-1)]
		}
	}
	return 0
}

// TallyBucket is what ended in a span of time.
type TallyBucket struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Tallies []Tally   `json:"tallies"` // by service, job, state, verdict
}
