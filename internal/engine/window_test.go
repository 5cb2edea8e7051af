package engine_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/engine"
)

func london(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestWindows(t *testing.T) {
	const form = "2006-01-02 15:04:05"
	tests := []struct {
		name, now, from, until string
		wantFrom, wantUntil    string
	}{
		{"from now on", "2026-03-05 10:00:30", "", "18:00", "2026-03-05 10:00:30", "2026-03-05 18:00:00"},
		{"now, said", "2026-03-05 10:00:30", " NOW ", " 1800 ", "2026-03-05 10:00:30", "2026-03-05 18:00:00"},
		{"until a time that was", "2026-03-05 10:00:30", "", "10:00", "2026-03-05 10:00:30", "2026-03-06 10:00:00"},
		{"a short hour", "2026-03-05 07:00:00", "9:30", "9:31", "2026-03-05 09:30:00", "2026-03-05 09:31:00"},
		{"across midnight", "2026-03-05 10:00:00", "2200", "0600", "2026-03-05 22:00:00", "2026-03-06 06:00:00"},
		{"across midnight, begun", "2026-03-05 23:00:00", "22:00", "06:00", "2026-03-05 22:00:00", "2026-03-06 06:00:00"},
		{"a whole day from the same time", "2026-03-05 10:00:00", "12:00", "12:00", "2026-03-05 12:00:00", "2026-03-06 12:00:00"},
		{"until the end of the day", "2026-03-05 10:00:00", "", "24:00", "2026-03-05 10:00:00", "2026-03-06 00:00:00"},
		{"until midnight", "2026-03-05 10:00:00", "", "00:00", "2026-03-05 10:00:00", "2026-03-06 00:00:00"},
		{"days include both", "2026-03-05 10:00:00", "2026-03-07", "2026-03-08", "2026-03-07 00:00:00", "2026-03-09 00:00:00"},
		{"one day", "2026-03-05 10:00:00", "2026-03-07", "2026-03-07", "2026-03-07 00:00:00", "2026-03-08 00:00:00"},
		{"today", "2026-03-05 10:00:00", "", "today", "2026-03-05 10:00:00", "2026-03-06 00:00:00"},
		{"tomorrow", "2026-03-31 10:00:00", "tomorrow", "Tomorrow", "2026-04-01 00:00:00", "2026-04-02 00:00:00"},
		{"tomorrow at a time", "2026-03-05 10:00:00", "tomorrow 06:00", "tomorrow  0700", "2026-03-06 06:00:00", "2026-03-06 07:00:00"},
		{"a day and a time", "2026-03-05 10:00:00", "2026-03-07 08:00", "2026-03-08T09:30", "2026-03-07 08:00:00", "2026-03-08 09:30:00"},
		{"a time of the day that it begins on", "2026-03-05 10:00:00", "2026-03-07", "06:00", "2026-03-07 00:00:00", "2026-03-07 06:00:00"},
		{"durations", "2026-03-05 10:00:00", "30m", "2h", "2026-03-05 10:30:00", "2026-03-05 12:30:00"},
		{"days as a duration", "2026-03-05 10:00:00", "", "1d12h", "2026-03-05 10:00:00", "2026-03-06 22:00:00"},
		{"a duration after a day", "2026-03-05 10:00:00", "2026-03-07", "2h", "2026-03-07 00:00:00", "2026-03-07 02:00:00"},
		{"half over", "2026-03-05 10:00:00", "2026-03-01", "2026-03-10", "2026-03-01 00:00:00", "2026-03-11 00:00:00"},
		{"a leap day", "2028-02-28 10:00:00", "", "tomorrow", "2028-02-28 10:00:00", "2028-03-01 00:00:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			zone := london(t)
			now, err := time.ParseInLocation(form, tt.now, zone)
			if err != nil {
				t.Fatal(err)
			}
			from, until, err := engine.Window(tt.from, tt.until, now)
			if err != nil {
				t.Fatal(err)
			}
			if from.Format(form) != tt.wantFrom || until.Format(form) != tt.wantUntil || from.Location() != zone {
				t.Errorf("%q until %q at %s is %s until %s, want %s until %s", tt.from, tt.until, tt.now, from.Format(form), until.Format(form), tt.wantFrom, tt.wantUntil)
			}
		})
	}
}

// The clocks of London go forward at 01:00 on 2026-03-29 and back at 02:00 on
// 2026-10-25.
func TestWindowsWhereTheClocksChange(t *testing.T) {
	tests := []struct {
		name, now, from, until string // now, in UTC
		wantFrom, wantUntil    string // in UTC
	}{
		{"a time that is skipped is an hour later", "2026-03-28T22:00Z", "2026-03-29 01:30", "03:00", "2026-03-29T01:30Z", "2026-03-29T02:00Z"},
		{"the night is an hour shorter", "2026-03-28T22:00Z", "22:00", "06:00", "2026-03-28T22:00Z", "2026-03-29T05:00Z"},
		{"a time that comes twice is the first", "2026-10-24T21:00Z", "2026-10-25 01:30", "02:30", "2026-10-25T00:30Z", "2026-10-25T02:30Z"},
		{"until a time that comes twice", "2026-10-24T21:00Z", "22:00", "01:30", "2026-10-24T21:00Z", "2026-10-25T00:30Z"},
		{"the night is an hour longer", "2026-10-24T20:00Z", "22:00", "06:00", "2026-10-24T21:00Z", "2026-10-25T06:00Z"},
		{"a day has 25 hours", "2026-10-24T20:00Z", "2026-10-25", "2026-10-25", "2026-10-24T23:00Z", "2026-10-26T00:00Z"},
		{"a duration is of real time", "2026-10-24T20:00Z", "2026-10-25", "1d", "2026-10-24T23:00Z", "2026-10-25T23:00Z"},
	}
	const form = "2006-01-02T15:04Z"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, err := time.Parse(form, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			from, until, err := engine.Window(tt.from, tt.until, now.In(london(t)))
			if err != nil {
				t.Fatal(err)
			}
			if f, u := from.UTC().Format(form), until.UTC().Format(form); f != tt.wantFrom || u != tt.wantUntil {
				t.Errorf("it is %s until %s, want %s until %s", f, u, tt.wantFrom, tt.wantUntil)
			}
		})
	}
}

// Nor does it depend on how far from Greenwich a place is, or whether the
// clocks change at midnight.
func TestWindowsInOtherZones(t *testing.T) {
	tests := []struct{ zone, now, from, until, wantFrom, wantUntil string }{
		{"America/New_York", "2026-11-01T00:00Z", "2026-11-01 01:30", "1h", "2026-11-01T05:30Z", "2026-11-01T06:30Z"},
		{"America/New_York", "2026-03-08T00:00Z", "2026-03-08 02:30", "1h", "2026-03-08T07:30Z", "2026-03-08T08:30Z"},
		{"Australia/Lord_Howe", "2026-04-04T00:00Z", "2026-04-05 01:45", "1h", "2026-04-04T14:45Z", "2026-04-04T15:45Z"},
		{"Africa/Cairo", "2026-04-23T12:00Z", "tomorrow", "tomorrow", "2026-04-23T22:00Z", "2026-04-24T21:00Z"},
		{"Asia/Kathmandu", "2026-03-05T12:00Z", "22:00", "06:00", "2026-03-05T16:15Z", "2026-03-06T00:15Z"},
	}
	const form = "2006-01-02T15:04Z"
	for _, tt := range tests {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(form, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		from, until, err := engine.Window(tt.from, tt.until, now.In(zone))
		if f, u := from.UTC().Format(form), until.UTC().Format(form); err != nil || f != tt.wantFrom || u != tt.wantUntil {
			t.Errorf("%s, %q until %q is %s until %s, %v; want %s until %s", tt.zone, tt.from, tt.until, f, u, err, tt.wantFrom, tt.wantUntil)
		}
	}
}

func TestWindowsThatCanNotBe(t *testing.T) {
	now := time.Date(2026, 3, 5, 10, 0, 0, 0, london(t))
	for _, tt := range []struct{ from, until, want string }{
		{"", "", "until when?"},
		{"", "soon", `until "soon" can't be read; expected 22:00`},
		{"", "Now", `until "Now" would be over at once; expected 22:00`},
		{"later", "18:00", `from "later" can't be read; expected now, 22:00`},
		{"", "25:00", "can't be read"},
		{"", "24:01", "can't be read"},
		{"", "1260", "can't be read"},
		{"", "12:0", "can't be read"},
		{"", "+1:00", "can't be read"},
		{"", "2026-02-30", "can't be read"},
		{"", "2026-03-07T", "can't be read"},
		{"", "tomorrow noon", "can't be read"},
		{"", "-2h", "can't be read"},
		{"", strings.Repeat("9", 100), "can't be read"},
		{"02:00", "06:00", "from Thu 2026-03-05 02:00 GMT until Thu 2026-03-05 06:00 GMT is over already: it is Thu 2026-03-05 10:00 GMT"},
		{"2026-03-08", "2026-03-07", "the window from Sun 2026-03-08 until Sat 2026-03-07 ends before it begins"},
		{"tomorrow", "today", "the window from Fri 2026-03-06 until Thu 2026-03-05 ends before it begins"},
		{"tomorrow 06:00", "today", "the window from Fri 2026-03-06 06:00 GMT until Thu 2026-03-05 ends before it begins"},
		{"2026-03-01", "2026-03-02", "the window from Sun 2026-03-01 until Mon 2026-03-02 is over already"},
		{"", "0s", "ends before it begins"},
		{"", "367d", "longer than 366 days"},
		{"", "2999-01-01", "longer than 366 days"},
		{"9999-12-31", "9999-12-31", "begins in more than 366 days"},
	} {
		from, until, err := engine.Window(tt.from, tt.until, now)
		if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q until %q: %s until %s, %v; want Invalid with %q", tt.from, tt.until, from, until, err, tt.want)
		}
	}
}

// A configuration's fixed times are read as those that people write, without
// a look at the clock.
func TestCheckTimes(t *testing.T) {
	for _, tt := range []struct{ from, until, want string }{
		{"22:00", "06:00", ""},
		{"now", "", ""},
		{"", "2h", ""},
		{"2020-01-01", "2020-01-01", ""},
		{"never", "", `from "never" can't be read`},
		{"23:00", "yesterday", `until "yesterday" can't be read`},
		{"", "now", `until "now" would be over at once`},
	} {
		err := engine.CheckTimes(tt.from, tt.until)
		if tt.want == "" && err != nil || tt.want != "" && (bellhop.CodeOf(err) != bellhop.Invalid || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("from %q until %q: %v, want %q", tt.from, tt.until, err, tt.want)
		}
	}
}

func FuzzWindow(f *testing.F) {
	zone := london(f)
	for _, s := range []string{"now", "22:00", "0600", "2026-03-29", "2026-03-29T01:30", "tomorrow 06:00", "1d12h", "today", "", "24:00", "1e9h"} {
		f.Add("", s, int64(1_774_700_000))
		f.Add(s, "2h", int64(1_793_000_000))
	}
	f.Fuzz(func(t *testing.T, fromText, untilText string, unix int64) {
		now := time.Unix(unix%4_000_000_000, 0).In(zone)
		from, until, err := engine.Window(fromText, untilText, now)
		if bad := engine.CheckTimes(fromText, untilText); bad != nil && err == nil {
			t.Fatalf("%q until %q is a window, but %v", fromText, untilText, bad)
		}
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.Invalid || len(err.Error()) > 700 {
				t.Fatalf("%q until %q: %v", fromText, untilText, err)
			}
			return
		}
		if !until.After(from) || !until.After(now) || until.Sub(from) > 366*24*time.Hour || from.Sub(now) > 366*24*time.Hour {
			t.Fatalf("%q until %q at %s is %s until %s", fromText, untilText, now, from, until)
		}
	})
}
