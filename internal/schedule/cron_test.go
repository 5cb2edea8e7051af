package schedule_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/schedule"
)

// form is how tests write a time, with its offset.
const form = "2006-01-02 15:04:05 -07:00"

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustParse(t fataler, text string) *schedule.Spec {
	t.Helper()
	s, err := schedule.Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

func mustTime(t fataler, text string) time.Time {
	t.Helper()
	at, err := time.Parse(form, text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return at
}

// ticks returns the first n after a time.
func ticks(s *schedule.Spec, after time.Time, loc *time.Location, n int) []string {
	var got []string
	for range n {
		after = s.Next(after, loc)
		if after.IsZero() {
			return append(got, "never")
		}
		got = append(got, after.Format(form))
	}
	return got
}

// TestFields reads expressions and has their first ticks in UTC after
// Thursday 2026-01-01 00:00.
func TestFields(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"all", "* * * * *", "01-01 00:01:00, 01-01 00:02:00"},
		{"a time", "30 6 * * *", "01-01 06:30:00, 01-02 06:30:00"},
		{"leading zeros", "05 06 * * *", "01-01 06:05:00, 01-02 06:05:00"},
		{"space around", " \t30  6 * *\n* ", "01-01 06:30:00, 01-02 06:30:00"},
		{"the midnight that is now is over", "0 0 * * *", "01-02 00:00:00, 01-03 00:00:00"},
		{"a list", "5,50,7 1 * * *", "01-01 01:05:00, 01-01 01:07:00, 01-01 01:50:00, 01-02 01:05:00"},
		{"a range", "0 22-23 * * *", "01-01 22:00:00, 01-01 23:00:00, 01-02 22:00:00"},
		{"a step", "*/25 3 * * *", "01-01 03:00:00, 01-01 03:25:00, 01-01 03:50:00, 01-02 03:00:00"},
		{"a step in a range", "10-50/20 3 * * *", "01-01 03:10:00, 01-01 03:30:00, 01-01 03:50:00, 01-02 03:10:00"},
		{"a step from a value on", "5/20 3 * * *", "01-01 03:05:00, 01-01 03:25:00, 01-01 03:45:00, 01-02 03:05:00"},
		{"a step that ends at the last value", "0 1/22 * * *", "01-01 01:00:00, 01-01 23:00:00, 01-02 01:00:00"},
		{"seconds", "*/30 0 0 * * *", "01-01 00:00:30, 01-02 00:00:00, 01-02 00:00:30"},
		{"one second", "59 59 23 * * *", "01-01 23:59:59, 01-02 23:59:59"},
		{"working days", "0 6 * * 1-5", "01-01 06:00:00, 01-02 06:00:00, 01-05 06:00:00"},
		{"names of weekdays", "0 6 * * mon,Wed", "01-05 06:00:00, 01-07 06:00:00, 01-12 06:00:00"},
		{"weekday 7", "0 6 * * 7", "01-04 06:00:00, 01-11 06:00:00"},
		{"weekday 0", "0 6 * * 0", "01-04 06:00:00, 01-11 06:00:00"},
		{"weekdays to 7", "0 6 * * 6-7", "01-03 06:00:00, 01-04 06:00:00, 01-10 06:00:00"},
		{"weekdays to SUN", "0 6 * * FRI-SUN", "01-02 06:00:00, 01-03 06:00:00, 01-04 06:00:00, 01-09 06:00:00"},
		{"SUN to SUN is one day", "0 6 * * SUN-SUN", "01-04 06:00:00, 01-11 06:00:00"},
		{"the whole week", "0 6 * * 0-7", "01-01 06:00:00, 01-02 06:00:00, 01-03 06:00:00, 01-04 06:00:00"},
		{"a step over weekdays to 7", "0 6 * * 1-7/3", "01-01 06:00:00, 01-04 06:00:00, 01-05 06:00:00"},
		{"from weekday 7 on", "0 6 * * 7/3", "01-03 06:00:00, 01-04 06:00:00, 01-07 06:00:00"},
		{"names of months", "0 0 1 feb,JUL *", "02-01 00:00:00, 07-01 00:00:00"},
		{"a range of months", "0 0 1 nov-12 *", "11-01 00:00:00, 12-01 00:00:00"},
		{"the 31st", "0 0 31 * *", "01-31 00:00:00, 03-31 00:00:00, 05-31 00:00:00"},
		{"either day", "0 0 13 * 5", "01-02 00:00:00, 01-09 00:00:00, 01-13 00:00:00, 01-16 00:00:00"},
		{"either, one of which never is", "0 0 30 2 1", "02-02 00:00:00, 02-09 00:00:00"},
		{"* with a step is unrestricted: both days", "0 0 */2 * 5", "01-09 00:00:00, 01-23 00:00:00"},
		{"and so for weekdays", "0 0 2-8 * */3", "01-03 00:00:00, 01-04 00:00:00, 01-07 00:00:00, 02-04 00:00:00"},
		{"a list that begins with *", "0 0 *,5 * 5", "01-02 00:00:00, 01-09 00:00:00"},
		{"a list that does not", "0 0 5,* * 5", "01-02 00:00:00, 01-03 00:00:00"},
		{"hourly", "@hourly", "01-01 01:00:00, 01-01 02:00:00"},
		{"daily", "@daily", "01-02 00:00:00, 01-03 00:00:00"},
		{"midnight", "@Midnight", "01-02 00:00:00, 01-03 00:00:00"},
		{"weekly", "@weekly", "01-04 00:00:00, 01-11 00:00:00"},
		{"monthly", "@monthly", "02-01 00:00:00, 03-01 00:00:00"},
		{"every", "@every 7h", "01-01 07:00:00, 01-01 14:00:00"},
		{"every with days", "@every 1d12h", "01-02 12:00:00, 01-04 00:00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.text)
			want := strings.Split("2026-"+strings.ReplaceAll(tt.want, ", ", " +00:00, 2026-")+" +00:00", ", ")
			got := ticks(s, mustTime(t, "2026-01-01 00:00:00 +00:00"), time.UTC, len(want))
			if strings.Join(got, ", ") != strings.Join(want, ", ") {
				t.Errorf("%q: got %q, want %q", tt.text, got, want)
			}
			if s.String() != strings.TrimSpace(tt.text) {
				t.Errorf("String is %q, want %q", s, tt.text)
			}
		})
	}
}

func TestFarTicks(t *testing.T) {
	for _, tt := range []struct{ name, text, zone, after, want string }{
		{"a leap day", "0 0 29 2 *", "UTC", "2026-01-01 00:00:00 +00:00", "2028-02-29 00:00:00 +00:00"},
		{"a century that is no leap year", "0 0 29 2 *", "UTC", "2096-02-29 00:00:00 +00:00", "2104-02-29 00:00:00 +00:00"},
		{"a leap day on a Sunday or Saturday", "0 0 29 2 */6", "UTC", "2026-01-01 00:00:00 +00:00", "2032-02-29 00:00:00 +00:00"},
		{"and so over 2100", "0 0 29 2 */6", "UTC", "2088-02-29 00:00:00 +00:00", "2116-02-29 00:00:00 +00:00"},
		{"yearly", "@yearly", "America/New_York", "2026-01-01 05:00:00 +00:00", "2027-01-01 00:00:00 -05:00"},
		{"annually", "@annually", "America/New_York", "2026-01-01 04:59:59 +00:00", "2026-01-01 00:00:00 -05:00"},
		{"the last day of a leap year, which package time leaves out", "0 12 31 12 *", "America/New_York", "2028-12-31 12:00:00 +00:00", "2028-12-31 12:00:00 -05:00"},
		{"and what comes after", "0 12 1 1 *", "Europe/Dublin", "2028-12-31 12:00:00 +00:00", "2029-01-01 12:00:00 +00:00"},
		{"an end of summer after a leap year's", "30 1 27 3 *", "Europe/Dublin", "2028-12-31 12:00:00 +00:00", "2029-03-27 01:30:00 +01:00"},
		{"the year 1", "0 0 1 1 *", "UTC", "0001-01-01 00:00:00 +00:00", "0002-01-01 00:00:00 +00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ticks(mustParse(t, tt.text), mustTime(t, tt.after), zone(t, tt.zone), 1)[0]; got != tt.want {
				t.Errorf("%q after %s: got %s, want %s", tt.text, tt.after, got, tt.want)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	s := mustParse(t, "* * * * *")
	for _, tt := range []struct {
		name  string
		after time.Time
		want  string
	}{
		{"a part of a second before", time.Date(2026, 1, 1, 0, 0, 59, 999_999_999, time.UTC), "2026-01-01 00:01:00 +00:00"},
		{"a part of a second after", time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC), "2026-01-01 00:01:00 +00:00"},
		{"before 1970", time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC), "1970-01-01 00:00:00 +00:00"},
		{"the zero time", time.Time{}, "0001-01-01 00:01:00 +00:00"},
		{"the year 0", time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), "never"},
		{"the year 10000", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "never"},
		{"the end of time", time.Unix(1<<62, 0), "never"},
	} {
		for _, loc := range []*time.Location{nil, time.UTC, time.FixedZone("", 0)} {
			if got := ticks(s, tt.after, loc, 1)[0]; got != tt.want {
				t.Errorf("%s, in %v: got %s, want %s", tt.name, loc, got, tt.want)
			}
		}
	}
	if got := new(schedule.Spec).Next(time.Now(), nil); !got.IsZero() {
		t.Errorf("a Spec without an expression is due at %s", got)
	}
	if loc := zone(t, "Asia/Kathmandu"); s.Next(time.Time{}, loc).Location() != loc {
		t.Error("Next is not in the zone that it was given")
	}
}

func TestAnchored(t *testing.T) {
	ny := zone(t, "America/New_York")
	for _, tt := range []struct{ name, text, anchor, after, want string }{
		{"after", "@every 7m", "2026-03-05 10:00:03 +00:00", "2026-03-05 10:00:04 +00:00", "2026-03-05 05:07:03 -05:00"},
		{"at a tick", "@every 7m", "2026-03-05 10:00:03 +00:00", "2026-03-05 10:07:03 +00:00", "2026-03-05 05:14:03 -05:00"},
		{"the anchor itself", "@every 7m", "2026-03-05 10:00:03 +00:00", "2026-03-05 10:00:02 +00:00", "2026-03-05 05:00:03 -05:00"},
		{"before the anchor", "@every 7m", "2026-03-05 10:00:03 +00:00", "2026-03-05 09:46:03 +00:00", "2026-03-05 04:53:03 -05:00"},
		{"before 1970", "@every 7m", "1960-03-05 10:00:03 +00:00", "1950-03-05 10:00:03 +00:00", "1950-03-05 05:02:03 -05:00"},
		{"no clock matters", "@every 1d", "2026-03-07 12:00:00 +00:00", "2026-03-07 12:00:00 +00:00", "2026-03-08 08:00:00 -04:00"},
		{"each second", "@every 1s", "2026-03-07 12:00:00 +00:00", "2026-03-07 12:00:00 +00:00", "2026-03-07 07:00:01 -05:00"},
		{"not for fields", "0 6 * * *", "2026-03-05 10:00:03 +00:00", "2026-03-05 10:00:00 +00:00", "2026-03-05 06:00:00 -05:00"},
	} {
		s := mustParse(t, tt.text)
		if got := ticks(s.Anchored(mustTime(t, tt.anchor)), mustTime(t, tt.after), ny, 1)[0]; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	s := mustParse(t, "@every 7m")
	was := s.Next(time.Unix(0, 0), nil)
	s.Anchored(time.Unix(1, 0))
	if now := s.Next(time.Unix(0, 0), nil); !now.Equal(was) || now.Unix() != 7*60 {
		t.Errorf("Anchored changed its Spec: %s, %s", was, now)
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "the expression is empty; write five fields such as 0 6 * * 1-5, or a name such as @daily"},
		{" \n", "the expression is empty; write five fields such as 0 6 * * 1-5, or a name such as @daily"},
		{"5", "the expression has 1 field; write five (minute, hour, day of month, month, day of week), or six with the second in front"},
		{"* * * *", "the expression has 4 fields; write five (minute, hour, day of month, month, day of week), or six with the second in front"},
		{"0 0 0 1 1 * 2026", "the expression has 7 fields; write five (minute, hour, day of month, month, day of week), or six with the second in front"},

		{"60 * * * *", `minute: "60" is out of range; write 0 to 59`},
		{"60 0 * * * *", `second: "60" is out of range; write 0 to 59`},
		{"* 24 * * *", `hour: "24" is out of range; write 0 to 23`},
		{"* * 0 * *", `day of month: "0" is out of range; write 1 to 31`},
		{"* * 32 * *", `day of month: "32" is out of range; write 1 to 31`},
		{"* * * 13 *", `month: "13" is out of range; write 1 to 12 or JAN to DEC`},
		{"* * * 0 *", `month: "0" is out of range; write 1 to 12 or JAN to DEC`},
		{"* * * * 8", `day of week: "8" is out of range; write 0 to 7 or SUN to SAT`},
		{"1-60 * * * *", `minute: "60" is out of range; write 0 to 59`},
		{"99999999999999999999 * * * *", `minute: "99999999999999999999" is out of range; write 0 to 59`},

		{"-5 * * * *", `minute: "-5" is half a range; write both ends, such as 0-59`},
		{"* * 5- * *", `day of month: "5-" is half a range; write both ends, such as 1-31`},
		{"1-2-3 * * * *", `minute: "2-3" is not a number; write 0 to 59`},
		{"+5 * * * *", `minute: "+5" is not a number; write 0 to 59`},
		{"1.5 * * * *", `minute: "1.5" is not a number; write 0 to 59`},
		{"** * * * *", `minute: "**" is not a number; write 0 to 59`},
		{"*-5 * * * *", `minute: "*" is not a number; write 0 to 59`},
		{"* MON * * *", `hour: "MON" is not a number; write 0 to 23`},
		{"* * * MON *", `month: "MON" is not a number or a name here; write 1 to 12 or JAN to DEC`},
		{"* * * * monday", `day of week: "monday" is not a number or a name here; write 0 to 7 or SUN to SAT`},
		{"\xff * * * *", `minute: "\xff" is not a number; write 0 to 59`},
		{strings.Repeat("x", 50) + " * * * *", `minute: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"... is not a number; write 0 to 59`},

		{"1,,2 * * * *", `minute: "1,,2" has nothing on one side of a comma; take the comma out`},
		{"* 1, * * *", `hour: "1," has nothing on one side of a comma; take the comma out`},
		{"* , * * *", `hour: "," has nothing on one side of a comma; take the comma out`},

		{"50-10 * * * *", `minute: "50-10" runs backwards; write 50-59,0-10`},
		{"* 23-0 * * *", `hour: "23-0" runs backwards; write 23,0`},
		{"* 22-6/2 * * *", `hour: "22-6" runs backwards; write 22-23,0-6`},
		{"* * * NOV-feb *", `month: "NOV-feb" runs backwards; write NOV-12,1-feb`},
		{"* * * * FRI-MON", `day of week: "FRI-MON" runs backwards; write FRI-6,0-MON`},
		{"* * * * SAT-MON", `day of week: "SAT-MON" runs backwards; write SAT,0-MON`},
		{"* * * * 5-0", `day of week: "5-0" runs backwards; write 5-7`},
		{"* * * * 7-2", `day of week: "7-2" runs backwards; write 0-2`},

		{"*/0 * * * *", `minute: "*/0": the step is zero; write 1 or more`},
		{"* 5-9/00 * * *", `hour: "5-9/00": the step is zero; write 1 or more`},
		{"*/ * * * *", `minute: "*/" has no step after the slash; write one such as */20`},
		{"*/-5 * * * *", `minute: "*/-5": the step "-5" is not a number; write one such as */20`},
		{"*/5/5 * * * *", `minute: "*/5/5": the step "5/5" is not a number; write one such as */20`},
		{"* * * * */MON", `day of week: "*/MON": the step "MON" is not a number; write one such as */2`},
		{"*/60 * * * *", `minute: "*/60": the step leaves 0 alone; write at most 59, or 0, or @every and a duration`},
		{"* */24 * * *", `hour: "*/24": the step leaves 0 alone; write at most 23, or 0, or @every and a duration`},
		{"0 0 5-9/31 * *", `day of month: "5-9/31": the step leaves 5 alone; write at most 30, or 5`},
		{"0 0 * * */7", `day of week: "*/7": the step leaves 0 alone; write at most 6, or 0`},
		{"*/99999999999999999999 * * * *", `minute: "*/99999999999999999999": the step leaves 0 alone; write at most 59, or 0, or @every and a duration`},
		{"/5 * * * *", `minute: "/5" has nothing before the slash; write * there for all`},

		{"0 0 L * *", `day of month: "L": L is not known here; write 1 to 31`},
		{"0 0 L-3 * *", `day of month: "L-3": L is not known here; write 1 to 31`},
		{"0 0 15w * *", `day of month: "15w": W is not known here; write 1 to 31`},
		{"0 0 1,LW * *", `day of month: "LW": L is not known here; write 1 to 31`},
		{"0 0 ? * 1", `day of month: "?": ? is not known here; write 1 to 31`},
		{"0 0 * * FRI#2", `day of week: "FRI#2": # is not known here; write 0 to 7 or SUN to SAT`},
		{"0 0 * * friL", `day of week: "friL": L is not known here; write 0 to 7 or SUN to SAT`},
		{"0 0 * * 5L", `day of week: "5L": L is not known here; write 0 to 7 or SUN to SAT`},
		{"0 0 * JULY *", `month: "JULY" is not a number or a name here; write 1 to 12 or JAN to DEC`},

		{"0 0 31 2 *", `day of month: no month of "2" has a day "31", so this never happens; write a day that the month has`},
		{"0 0 30 2 *", `day of month: no month of "2" has a day "30", so this never happens; write a day that the month has`},
		{"0 0 31 4,jun,9,11 *", `day of month: no month of "4,jun,9,11" has a day "31", so this never happens; write a day that the month has`},
		{"0 0 0 31 2 */2", `day of month: no month of "2" has a day "31", so this never happens; write a day that the month has`},

		{"TZ=UTC", `"TZ=UTC": an expression has no time zone in it; take that out and write the zone under the key timezone`},
		{"TZ=", `"TZ=": an expression has no time zone in it; take that out and write the zone under the key timezone`},
		{"CRON_TZ=Asia/Tokyo 0 6 * * *", `"CRON_TZ=Asia/Tokyo": an expression has no time zone in it; take that out and write the zone under the key timezone`},
		{"tz=UTC @daily", `"tz=UTC": an expression has no time zone in it; take that out and write the zone under the key timezone`},

		{"@", `"@" is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, or @every 5m`},
		{"@reboot", `"@reboot" is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, or @every 5m`},
		{"@every5m", `"@every5m" is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, or @every 5m`},
		{"@daily 6 *", `@daily stands alone; take "6 *" out`},
		{"@every", `@every: the duration is missing; write one such as @every 5m`},
		{"@every 1h 30m", `@every: "1h 30m" is more than one word; write one duration such as @every 1h30m`},
		{"@every 5", `@every: "5" has no unit; write s, m, h or d after the number, such as @every 5m`},
		{"@every soon", `@every: "soon" is not a duration; write one such as 90s, 1h30m or 2d`},
		{"@every -1s", `@every: "-1s" is too short; write 1s or longer`},
		{"@every 0s", `@every: "0s" is too short; write 1s or longer`},
		{"@every 999ms", `@every: "999ms" is too short; write 1s or longer`},
		{"@every 1.5s", `@every: "1.5s" has a part of a second; write whole seconds`},
	} {
		s, err := schedule.Parse(tt.text)
		if bellhop.CodeOf(err) != bellhop.Invalid || s != nil || err.Error() != tt.want {
			t.Errorf("%q: got %v, %v; want Invalid and nil:\n%s", tt.text, s, err, tt.want)
		}
		// What is to be written instead of a range can be written.
		if f := strings.Fields(tt.text); strings.Contains(tt.want, "backwards") {
			_, remedy, _ := strings.Cut(tt.want, "write ")
			for i := range f {
				if f[i] != "*" {
					f[i] = remedy
				}
			}
			mustParse(t, strings.Join(f, " "))
		}
	}
}

// fuzzZones have odd rules each.
var fuzzZones = []string{"UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca", "Europe/Dublin"}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"* * * * *", "*/15 2 * * *", "0,30 2 * * *", "5/15 1 29 2 7", "10-50/20 6 1 JAN-dec MON-SUN", "59 59 23 31 12 0", "@daily", "@every 1d12h",
		"@every 1s", "TZ=UTC", "0 0 31 2 *", "0 0 ? * FRI#2", "0 0 L * *", "1,,2 * * * *", "*/0 * * * *", "*/30 2 8-14 3 */7", "@", "\xff * * * *",
	} {
		f.Add(s, int64(1_772_951_400), uint8(1))
		f.Add(s, int64(-1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64, where uint8) {
		s, err := schedule.Parse(text)
		if err != nil {
			if s != nil || bellhop.CodeOf(err) != bellhop.Invalid || len(err.Error()) > 600 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v, %v", text, s, err)
			}
			return
		}
		if s.String() != strings.TrimSpace(text) {
			t.Fatalf("%q became %q", text, s)
		}
		loc := zone(t, fuzzZones[int(where)%len(fuzzZones)])
		at := time.Unix(unix%8_000_000_000, 0)
		for range 5 {
			next := s.Next(at, loc)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Nanosecond() != 0 || next.Location() != loc {
				t.Fatalf("%q in %s: after %s comes %s", text, loc, at, next)
			}
			if again := s.Next(next.Add(-time.Nanosecond), loc); !again.Equal(next) {
				t.Fatalf("%q in %s: %s is a tick, but just before comes %s", text, loc, next, again)
			}
			at = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	ny := zone(b, "America/New_York")
	for _, bb := range []struct{ name, text, after string }{
		{"each minute", "* * * * *", "2026-01-01 00:00:00 +00:00"},
		{"each second", "* * * * * *", "2026-01-01 00:00:00 +00:00"},
		{"daily", "30 6 * * *", "2026-01-01 00:00:00 +00:00"},
		{"leap day", "0 0 29 2 *", "2024-03-01 00:00:00 +00:00"},
		{"leap day over 2100", "0 0 29 2 *", "2096-03-01 00:00:00 +00:00"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s, at := mustParse(b, bb.text), mustTime(b, bb.after)
			for b.Loop() {
				s.Next(at, ny)
			}
		})
	}
}
