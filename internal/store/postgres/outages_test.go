package postgres_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
)

// hand is a clock that is moved by hand.
type hand struct {
	bellhop.SystemClock
	now time.Time
}

func (h *hand) Now() time.Time { return h.now }

// TestAnOutageIsLoggedOnce: when it begins, once a minute, and when it ends,
// however many calls fail; each in one line.
func TestAnOutageIsLoggedOnce(t *testing.T) {
	twice := errors.New("no way:\n\thost:1 (host): refused\n\thost:1 (host): refused")
	for name, c := range map[string]struct {
		do   func(o *postgres.Outages, clock *hand)
		want []string
	}{
		"away for two minutes and a half": {func(o *postgres.Outages, clock *hand) {
			o.Succeed(true)
			for range 150 {
				o.Fail(false, twice)
				o.Fail(true, twice)
				clock.now = clock.now.Add(time.Second)
			}
			o.Succeed(false)
			o.Succeed(true)
		}, []string{
			`level=WARN msg="the store is unavailable: it is away" store=x doing=trying err="no way:; host:1 (host): refused"`,
			`level=WARN msg="the store is still unavailable: it is away" store=x for=1m0s failed=121 err="no way:; host:1 (host): refused"`,
			`level=WARN msg="the store is still unavailable: it is away" store=x for=2m0s failed=241 err="no way:; host:1 (host): refused"`,
			`level=INFO msg="the store is back" store=x after=2m30s failed=300`,
		}},
		"a read says nothing of a full disk": {func(o *postgres.Outages, _ *hand) {
			for range 3 {
				o.Fail(true, errors.New("full"))
				o.Succeed(false)
			}
			o.Succeed(true)
		}, []string{
			`level=WARN msg="the store is unavailable: it is away" store=x doing=trying err=full`,
			`level=INFO msg="the store is back" store=x after=0s failed=3`,
		}},
		"coming and going": {func(o *postgres.Outages, clock *hand) {
			for range 100 {
				o.Fail(false, errors.New("gone"))
				o.Succeed(false)
			}
			clock.now = clock.now.Add(time.Minute)
			o.Fail(false, errors.New("again"))
		}, append(slices.Repeat([]string{
			`level=WARN msg="the store is unavailable: it is away" store=x doing=trying err=gone`,
			`level=INFO msg="the store is back" store=x after=0s failed=1`,
		}, 5), `level=WARN msg="the store is unavailable: it is away" store=x doing=trying err=again`)},
	} {
		t.Run(name, func(t *testing.T) {
			var log logs
			clock := &hand{now: time.Unix(1e9, 0)}
			c.do(postgres.NewOutages(log.logger(), clock), clock)
			var got []string
			for line := range strings.Lines(log.String()) {
				_, line, _ = strings.Cut(strings.TrimSpace(line), " ") // the time
				got = append(got, line)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
