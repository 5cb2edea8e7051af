package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestAskAlone has several asks at once, at random moments, and no server: one
// of them serves the others, and when it leaves, whoever comes next serves.
// Each gets its own answer, and each request is executed once.
func TestAskAlone(t *testing.T) {
	t.Parallel()
	seed := number(t, "BELLHOP_SEED", int(time.Now().UnixNano()&0x7fffffff))
	t.Logf("BELLHOP_SEED=%d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 9))
	p := newPlace(t)
	p.write("bellhop.yaml", `
services:
  alone:
    jobs: {echo: {run: [echo, "{word}"], concurrency: unlimited, report: {stdout: true}}}
    commands: [{command: "echo [word]", job: echo}]
`)
	const rounds, askers = 6, 5
	for n := range rounds {
		var asks []*process
		for i := range askers {
			asks = append(asks, p.start(fmt.Sprintf("n%d-%d", n, i), "bellhop", "ask", "alone", "echo", fmt.Sprintf("n%d-%d", n, i)))
			time.Sleep(time.Duration(random.Int64N(int64(40 * time.Millisecond)))) // a random moment
		}
		for _, a := range asks {
			if status := a.wait(); status != 0 || a.stdout() != a.name+"\n" {
				t.Errorf("%s: status %d, answered %q\n%s", a.name, status, a.stdout(), a.stderr())
			}
		}
	}
	for _, r := range p.runs() {
		if r.State != "succeeded" {
			t.Errorf("%s (%s) is %s: %s", r.ID, r.Args["word"], r.State, r.Error)
		}
	}
	if got := len(p.runs()); got != rounds*askers {
		t.Errorf("%d runs, want %d", got, rounds*askers)
	}
}
