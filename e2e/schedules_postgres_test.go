package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// TestChaosSchedulesPostgres has three servers share a database and a number of
// schedules that tick each second for a while. Servers are killed all the time
// and started again. In the end each tick has its run, and just one.
func TestChaosSchedulesPostgres(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t)
	url := db.URL(t)
	c := newRig(t, rigSeed(t), 3, url)
	schedules, seconds, lead := 10, 10, 20*time.Second
	long := os.Getenv("BELLHOP_CHAOS") != ""
	if long {
		schedules, seconds = 25, 40
	}
	// All servers have the same configuration, which is written once the first
	// one has begun: what is past by then would not be made up for.
	write := func(from time.Time) {
		var text strings.Builder
		for i := range schedules {
			fmt.Fprintf(&text, "      - {name: n%d, cron: \"* * * * * *\", job: work, missed: all, overlap: queue, from: %q, until: %q}\n",
				i, from.Format(time.DateTime), from.Add(time.Duration(seconds)*time.Second).Format(time.DateTime))
		}
		for _, s := range c.servers {
			s.write("bellhop.yaml", fmt.Sprintf("lease: 2s\nstore: %q\ntimezone: UTC\nrunner: {slots: 8}\nservices:\n  c:\n    jobs:\n      work: {run: \"true\", concurrency: unlimited}\n    schedules:\n%s", url, text.String()))
		}
	}
	write(time.Now().UTC().Add(time.Hour))
	c.up(0, "")
	from := time.Now().UTC().Truncate(time.Second).Add(lead + time.Second)
	write(from)
	c.servers[0].must("bellhop", "reload")
	c.servers[0].until("the schedules are known", func() bool {
		return strings.Count(c.servers[0].must("bellhop", "schedules", "--json"), from.Format("2006-01-02T15:04:05Z")) >= schedules
	})
	if time.Now().After(from) {
		t.Fatalf("the schedules were not known within %v, so ticks are past that nobody makes up for", lead)
	}
	for i := 1; i < 3; i++ {
		c.up(i, "")
	}
	kills := 0
	kill := func(i int) {
		kills++
		c.servers[i].proc.kill9()
		c.moment(300 * time.Millisecond)
		c.up(i, "")
	}
	time.Sleep(time.Until(from.Add(1500 * time.Millisecond))) // it has asked for some
	kill(0)
	for until := from.Add(time.Duration(seconds) * time.Second); time.Now().Before(until); {
		if long {
			c.moment(4 * time.Second)
			kill(c.random.IntN(3))
			continue
		}
		c.moment(3 * time.Second)
		kill(0) // others have the role, or soon
	}

	store, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Admin.Close()
	var runs []bellhop.Run
	c.long("every tick has its run, and all have ended", func() bool {
		if runs, err = store.Records.Runs(t.Context(), bellhop.RunFilter{}); err != nil {
			t.Fatal(err)
		}
		for i := range runs {
			if !runs[i].State.Terminal() {
				return false
			}
		}
		return len(runs) >= schedules*seconds
	})
	seen := map[string]bellhop.RunID{}
	for i := range runs {
		asks, err := store.Records.Asks(t.Context(), runs[i].ID)
		if err != nil || len(asks) != 1 {
			t.Fatal(asks, err)
		}
		key := asks[0].Key
		if other := seen[key]; other != 0 {
			t.Errorf("%s has the runs %s and %s", key, other, runs[i].ID)
		}
		seen[key] = runs[i].ID
		if runs[i].State != bellhop.Succeeded {
			t.Errorf("%s: run %s is %s: %s", key, runs[i].ID, runs[i].State, runs[i].Error)
		}
	}
	for i := range schedules {
		for at := range seconds {
			key := fmt.Sprintf("schedule:c/n%d/%d", i, from.Unix()+int64(at))
			if seen[key] == 0 {
				t.Errorf("%s has no run", key)
			}
			delete(seen, key)
		}
	}
	if len(seen) > 0 {
		t.Errorf("nobody promised these: %v", seen)
	}
	t.Logf("%d runs of %d schedules, %d kills, all done %s after the last tick", len(runs), schedules, kills, time.Since(from.Add(time.Duration(seconds)*time.Second)).Round(time.Second))
}
