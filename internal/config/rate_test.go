package config

import (
	"testing"
	"time"
)

func FuzzRate(f *testing.F) {
	for _, s := range []string{"100/s", "60/m", "1/h", "unlimited", "", "/", "0/s", "-1/s", "+1/s", "1/d", "1 /s", "1000001/s", "99999999999999999999/s", "1/s/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseRate(s)
		if ok && s != "unlimited" && (r.N < 1 || r.N > maxRate || r.Per < time.Second || r.Per > time.Hour) || !ok && r != (Rate{}) {
			t.Errorf("%q is %+v, %v", s, r, ok)
		}
	})
}

func TestRates(t *testing.T) {
	for s, want := range map[string]Rate{
		"100/s": {100, time.Second}, "60/m": {60, time.Minute}, "1/h": {1, time.Hour}, "unlimited": {}, "1000000/s": {1_000_000, time.Second},
	} {
		if got, ok := parseRate(s); !ok || got != want {
			t.Errorf("%s is %+v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "/", "0/s", "-1/s", "+1/s", "1/d", "1 /s", " 1/s", "1000001/s", "99999999999999999999/s", "1/s/s", "100", "s", "none"} {
		if got, ok := parseRate(s); ok {
			t.Errorf("%q is %+v", s, got)
		}
	}
}
