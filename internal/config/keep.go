package config

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// keep is how long is kept what is not said otherwise of: 90 days, output 30
// days, and at most 5 GB of it.
func (b *builder) keep(raw keepRaw) bellhop.Keep {
	const day = 24 * time.Hour
	k := b.keepFor(raw.Runs, raw.Output)
	if k.Runs == 0 {
		k.Runs = 90 * day
	}
	if k.Output == 0 {
		k.Output = 30 * day
		if k.Runs != forEver {
			k.Output = min(k.Output, k.Runs)
		}
	}
	k.MaxOutput = 5 * 1000 * 1000 * 1000
	if raw.MaxOutput.good() {
		k.MaxOutput = raw.MaxOutput.val
	}
	return k
}

// keepFor reads how long something is kept; what is not said stays 0.
func (b *builder) keepFor(runs, output age) bellhop.Keep {
	var k bellhop.Keep
	if runs.good() {
		k.Runs = runs.val
	}
	if output.good() {
		k.Output = output.val
	}
	if k.Runs > 0 && output.good() && (k.Output == forEver || k.Output > k.Runs) {
		b.fault(output.at, "output: it can't be kept longer than its run, which runs: says; write at most that, or keep runs longer")
	}
	return k
}
