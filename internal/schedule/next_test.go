package schedule_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// TestClockChanges has a case on each kind of change. The first four are those
// that other parsers lose or double.
func TestClockChanges(t *testing.T) {
	const ny, lordHowe, saoPaulo, apia = "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"
	for _, tt := range []struct{ name, zone, text, after, want string }{
		{"02:30 does not come", ny, "30 2 * * *", "2026-03-07 12:00:00 -05:00", "08 03:00:00 -04:00, 09 02:30:00 -04:00"},
		{"01:30 comes twice", ny, "30 1 * * *", "2026-10-31 12:00:00 -04:00", "01 01:30:00 -04:00, 02 01:30:00 -05:00"},
		{"midnight does not come", saoPaulo, "0 0 * * *", "2018-11-03 12:00:00 -03:00", "04 01:00:00 -02:00, 05 00:00:00 -02:00"},
		{"*/30 in the hour that comes twice", ny, "*/30 * * * *", "2026-11-01 00:30:00 -04:00",
			"01 01:00:00 -04:00, 01 01:30:00 -04:00, 01 01:00:00 -05:00, 01 01:30:00 -05:00, 01 02:00:00 -05:00"},

		{"*/30 over the gap", ny, "*/30 * * * *", "2026-03-08 01:00:00 -05:00", "08 01:30:00 -05:00, 08 03:00:00 -04:00, 08 03:30:00 -04:00"},
		{"*/15 of the hour that does not come", ny, "*/15 2 * * *", "2026-03-07 02:40:00 -05:00", "07 02:45:00 -05:00, 09 02:00:00 -04:00"},
		{"*/30 of the hour that comes twice", ny, "*/30 1 * * *", "2026-11-01 00:30:00 -04:00",
			"01 01:00:00 -04:00, 01 01:30:00 -04:00, 01 01:00:00 -05:00, 01 01:30:00 -05:00, 02 01:00:00 -05:00"},
		{"hourly", ny, "@hourly", "2026-11-01 00:30:00 -04:00", "01 01:00:00 -04:00, 01 01:00:00 -05:00, 01 02:00:00 -05:00"},
		{"each second hour", ny, "30 */2 * * *", "2026-03-08 00:30:00 -05:00", "08 04:30:00 -04:00"},
		{"* of the seconds", ny, "*/30 30 1 * * *", "2026-11-01 00:30:00 -04:00",
			"01 01:30:00 -04:00, 01 01:30:30 -04:00, 01 01:30:00 -05:00, 01 01:30:30 -05:00, 02 01:30:00 -05:00"},
		{"a step that does not begin with * is fixed", ny, "0/30 1 * * *", "2026-11-01 00:30:00 -04:00", "01 01:00:00 -04:00, 01 01:30:00 -04:00, 02 01:00:00 -05:00"},

		{"many times in one gap", ny, "0,30 2 * * *", "2026-03-07 12:00:00 -05:00", "08 03:00:00 -04:00, 09 02:00:00 -04:00"},
		{"and one at its end", ny, "0,30 2,3 * * *", "2026-03-07 12:00:00 -05:00", "08 03:00:00 -04:00, 08 03:30:00 -04:00, 09 02:00:00 -04:00"},
		{"after the tick at a gap's end", ny, "30 2 * * *", "2026-03-08 03:00:00 -04:00", "09 02:30:00 -04:00"},
		{"a part of a second before a gap's end", ny, "30 2 * * *", "2026-03-08 01:59:59 -05:00", "08 03:00:00 -04:00"},
		{"the first moment of a gap", ny, "0 2 * * *", "2026-03-08 01:00:00 -05:00", "08 03:00:00 -04:00, 09 02:00:00 -04:00"},
		{"the last second of a gap", ny, "59 59 2 * * *", "2026-03-08 01:00:00 -05:00", "08 03:00:00 -04:00, 09 02:59:59 -04:00"},
		{"the last second before a gap", ny, "59 59 1 * * *", "2026-03-08 01:00:00 -05:00", "08 01:59:59 -05:00, 09 01:59:59 -04:00"},
		{"a gap of another day of the week", ny, "30 2 * * 1-6", "2026-03-07 12:00:00 -05:00", "09 02:30:00 -04:00"},
		{"once a year, in the gap", ny, "30 2 8 3 *", "2026-01-01 00:00:00 -05:00", "08 03:00:00 -04:00"},
		{"between both 01:30", ny, "30 1 * * *", "2026-11-01 01:30:00 -04:00", "02 01:30:00 -05:00"},
		{"in the second hour, for a time that was", ny, "45 1 * * *", "2026-11-01 01:10:00 -05:00", "02 01:45:00 -05:00"},
		{"both ends of the hour that comes twice", ny, "0 1,2 * * *", "2026-10-31 12:00:00 -04:00", "01 01:00:00 -04:00, 01 02:00:00 -05:00, 02 01:00:00 -05:00"},
		{"every hour by name comes twice", ny, "0 0-3 * * *", "2026-10-31 12:00:00 -04:00", "01 00:00:00 -04:00, 01 01:00:00 -04:00, 01 02:00:00 -05:00"},

		{"once a year, in the hour that comes twice", ny, "*/30 1 1 11 *", "2026-11-01 01:40:00 -04:00", "01 01:00:00 -05:00, 01 01:30:00 -05:00"},

		{"half an hour does not come", lordHowe, "15 2 * * *", "2026-10-03 12:00:00 +10:30", "04 02:30:00 +11:00, 05 02:15:00 +11:00"},
		{"the end of that half hour", lordHowe, "30 2 * * *", "2026-10-03 12:00:00 +10:30", "04 02:30:00 +11:00, 05 02:30:00 +11:00"},
		{"half an hour comes twice", lordHowe, "45 1 * * *", "2026-04-04 12:00:00 +11:00", "05 01:45:00 +11:00, 06 01:45:00 +10:30"},
		{"before the half hour that comes twice", lordHowe, "15 1 * * *", "2026-04-04 12:00:00 +11:00", "05 01:15:00 +11:00, 06 01:15:00 +10:30"},
		{"*/15 over it", lordHowe, "*/15 1 * * *", "2026-04-05 01:15:00 +11:00", "05 01:30:00 +11:00, 05 01:45:00 +11:00, 05 01:30:00 +10:30, 05 01:45:00 +10:30, 06 01:00:00 +10:30"},

		{"@daily where midnight does not come", saoPaulo, "@daily", "2018-11-03 00:00:00 -03:00", "04 01:00:00 -02:00, 05 00:00:00 -02:00"},
		{"midnight comes twice", saoPaulo, "0 0 * * *", "2018-02-17 12:00:00 -02:00", "18 00:00:00 -03:00, 19 00:00:00 -03:00"},
		{"23:30 comes twice", saoPaulo, "30 23 * * *", "2018-02-17 12:00:00 -02:00", "17 23:30:00 -02:00, 18 23:30:00 -03:00"},
		{"on a weekday that begins late", saoPaulo, "0 0 * * 0", "2018-11-01 00:00:00 -03:00", "04 01:00:00 -02:00, 11 00:00:00 -02:00"},

		{"a day does not come", apia, "30 2 * * *", "2011-12-29 00:00:00 -10:00", "29 02:30:00 -10:00, 31 00:00:00 +14:00, 31 02:30:00 +14:00"},
		{"its midnight is the next day's", apia, "@daily", "2011-12-28 12:00:00 -10:00", "29 00:00:00 -10:00, 31 00:00:00 +14:00"},
		{"that day alone", apia, "0 8 30 12 *", "2011-12-01 00:00:00 -10:00", "31 00:00:00 +14:00, 30 08:00:00 +14:00"},
		{"hours go on", apia, "0 */12 * * *", "2011-12-29 11:00:00 -10:00", "29 12:00:00 -10:00, 31 00:00:00 +14:00, 31 12:00:00 +14:00"},
		{"a day came twice", "Pacific/Kwajalein", "30 2 * * *", "1969-09-29 12:00:00 +11:00", "30 02:30:00 +11:00, 01 02:30:00 -12:00"},

		{"summer is the standard", "Europe/Dublin", "30 1 * * *", "2026-03-28 12:00:00 +00:00", "29 02:00:00 +01:00, 30 01:30:00 +01:00"},
		{"and winter is not", "Europe/Dublin", "30 1 * * *", "2026-10-24 12:00:00 +01:00", "25 01:30:00 +01:00, 26 01:30:00 +00:00"},
		{"back for a month", "Africa/Casablanca", "30 2 * * *", "2026-02-14 12:00:00 +01:00", "15 02:30:00 +01:00, 16 02:30:00 +00:00"},
		{"and on again", "Africa/Casablanca", "30 2 * * *", "2026-03-21 12:00:00 +00:00", "22 03:00:00 +01:00, 23 02:30:00 +01:00"},
		{"no whole hours", "Asia/Kathmandu", "0 0 * * *", "2026-03-07 18:15:00 +00:00", "09 00:00:00 +05:45"},
		{"a gap of fifteen minutes, in 1986", "Asia/Kathmandu", "5 0 * * *", "1985-12-31 12:00:00 +05:30", "01 00:15:00 +05:45, 02 00:05:00 +05:45"},
		{"some minutes come twice, in 1883", ny, "0 12 * * *", "1883-11-17 13:00:00 -04:56", "18 12:00:00 -04:56, 19 12:00:00 -05:00"},
		{"* of the minutes in 1883, when seconds are odd", ny, "*/4 12 * * *", "1883-11-18 11:59:00 -04:56", "18 12:00:00 -04:56, 18 12:00:00 -05:00, 18 12:04:00 -05:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.Split(tt.want, ", ")
			got := ticks(mustParse(t, tt.text), mustTime(t, tt.after), zone(t, tt.zone), len(want))
			for i := range got {
				got[i] = got[i][len("2026-03-"):]
			}
			if g := strings.Join(got, ", "); g != tt.want {
				t.Errorf("%q after %s: got\n%s, want\n%s", tt.text, tt.after, g, tt.want)
			}
		})
	}
}

// made is a zone of our own: one change of the offset from 0 to -1 h at an
// instant, and then a rule.
func made(t *testing.T, at time.Time, rule string) *time.Location {
	t.Helper()
	header := func(times, kinds, chars uint32) []byte {
		b := append([]byte("TZif2"), make([]byte, 15+12)...)
		for _, n := range []uint32{times, kinds, chars} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	kind := func(offset int32) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(offset)), 0, 0) }
	data := append(header(0, 1, 4), kind(0)...)
	data = append(data, "AAA\x00"...)
	data = append(data, header(1, 2, 4)...)
	data = binary.BigEndian.AppendUint64(data, uint64(at.Unix()))
	data = append(data, 1)
	data = append(data, kind(-3600)...)
	data = append(data, kind(0)...)
	data = append(data, "AAA\x00\n"+rule+"\n"...)
	loc, err := time.LoadLocationFromTZData("Made", data)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Package time takes a change of the zone's rules in midyear for a part of
// the rule's year, and its answers for what bounds that are not to be relied on.
func TestMadeZones(t *testing.T) {
	at := time.Date(2020, 5, 10, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, rule, text, after, want string }{
		{"a gap that begins a rule", "AAA0BBB,J60/2,J300/2", "30 11 * * *", "2020-05-09 12:00:00 -01:00", "2020-05-10 13:00:00 +01:00, 2020-05-11 11:30:00 +01:00"},
		{"after it", "AAA0BBB,J60/2,J300/2", "30 11 * * *", "2020-05-10 12:00:00 +00:00", "2020-05-11 11:30:00 +01:00"},
		{"a time that clocks always skip", "AAA0BBB,J60/2,J300/2", "*/30 2 1 3 *", "2020-05-11 12:00:00 +00:00", "never"},
		{"a fixed time does not get lost there", "AAA0BBB,J60/2,J300/2", "30 2 1 3 *", "2020-05-11 12:00:00 +00:00", "2021-03-01 03:00:00 +01:00, 2022-03-01 03:00:00 +01:00"},
		{"a gap right after a leap year", "AAA0BBB,J1/12,J300/2", "30 12 * * *", "2028-12-31 12:00:00 +00:00", "2028-12-31 12:30:00 +00:00, 2029-01-01 13:00:00 +01:00"},
		{"back, and on again half an hour later", "AAA0BBB,J60/1:30,J60/2", "45 1 * * *", "2026-02-28 12:00:00 +01:00", "2026-03-01 01:45:00 +01:00, 2026-03-02 01:45:00 +01:00"},
		{"and the gap that is left of it", "AAA0BBB,J60/1:30,J60/2", "15 2 * * *", "2026-02-28 12:00:00 +01:00", "2026-03-01 02:30:00 +01:00, 2026-03-02 02:15:00 +01:00"},
		{"which elapsed time passes", "AAA0BBB,J60/1:30,J60/2", "*/15 1 1 * *", "2026-03-01 01:30:00 +01:00", "2026-03-01 01:45:00 +01:00, 2026-03-01 01:00:00 +00:00, 2026-03-01 01:15:00 +00:00, 2026-04-01 01:00:00 +01:00"},
		{"a change at the end of the year", "AAA0BBB,J60/2,J365/24", "30 23 31 12 *", "2027-05-11 12:00:00 +00:00", "2027-12-31 23:30:00 +01:00, 2028-12-31 23:30:00 +01:00, 2029-12-31 23:30:00 +01:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.Split(tt.want, ", ")
			got := strings.Join(ticks(mustParse(t, tt.text), mustTime(t, tt.after), made(t, at, tt.rule), len(want)), ", ")
			if got != tt.want {
				t.Errorf("%q after %s: got\n%s, want\n%s", tt.text, tt.after, got, tt.want)
			}
		})
	}
}
