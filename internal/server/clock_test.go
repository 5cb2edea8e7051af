package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/web/api"
)

// TestLaterAtADayAndATime takes both with quotes and without: a shell has them
// taken away.
func TestLaterAtADayAndATime(t *testing.T) {
	s := start(t, "timezone: UTC\n"+house)
	c := client(t, s)
	day := time.Now().UTC().AddDate(0, 0, 3).Format("2006-01-02")
	want := day + " 18:00"
	today := time.Now().UTC().Format("2006-01-02")
	if got, err := c.Ask(t.Context(), api.NewKey(), "at today 23:59 example hello"); time.Now().UTC().Format("2006-01-02 15:04") < today+" 23:59" && (err != nil || got.Later == nil) {
		t.Errorf("today, of which the beginning is past: %+v, %v", got, err)
	}
	for line, want := range map[string]string{
		`at "` + day + ` 18:00" example hello`: want,
		"at " + day + " 18:00 example hello":   want,
		"at " + day + " 1800 example hello":    want,
		"at " + day + " example hello":         day + " 00:00",
	} {
		got, err := c.Ask(t.Context(), api.NewKey(), line)
		if err != nil || got.Later == nil {
			t.Errorf("%s: %+v, %v", line, got, err)
		} else if at := got.Later.At.UTC().Format("2006-01-02 15:04"); at != want || got.Later.Text != "example hello" {
			t.Errorf("%s: %q at %s, want %s", line, got.Later.Text, at, want)
		}
	}
	for line, want := range map[string]string{
		"at " + day + " 25:00 example hello": "I don't know `25:00 example hello`",
		"at 2001-01-01 18:00 example hello":  "is past",
		"at " + day + " 18:00":               "I don't know",
	} {
		if got, err := c.Ask(t.Context(), api.NewKey(), line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", line, got, err, want)
		}
	}
}
