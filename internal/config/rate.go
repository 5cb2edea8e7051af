package config

import (
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen: N times in Per, and N at once. The
// zero Rate is without limit.
type Rate struct {
	N   int
	Per time.Duration
}

// defaultRate of requests is far above what one program asks for in earnest,
// and below what a machine can be asked.
var defaultRate = Rate{N: 10_000, Per: time.Second}

const maxRate = 1_000_000

// parseRate reads "100/s", "60/m", "1000/h" or "unlimited".
func parseRate(s string) (r Rate, ok bool) {
	if s == "unlimited" {
		return Rate{}, true
	}
	n, per, found := strings.Cut(s, "/")
	r.Per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[per]
	var err error
	r.N, err = strconv.Atoi(n)
	if !found || err != nil || r.Per == 0 || r.N < 1 || r.N > maxRate || n[0] == '+' {
		return Rate{}, false
	}
	return r, true
}

// rate is that of a key.
func (b *builder) rate(key string, t text, def Rate) Rate {
	if !t.good() {
		return def
	}
	r, ok := parseRate(t.val)
	if !ok {
		b.fault(t.at, "%s: %s is no rate; write one such as 100/s, 600/m or 5000/h, or unlimited", key, shorten(t.val))
		return def
	}
	return r
}
