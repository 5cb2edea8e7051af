package api

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/bellhop-io/bellhop"
)

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"", "1.2", "x", "1", "-1.2", "1.99999999999999999999", "1.2.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		attempt, seq, err := parseCursor(s)
		switch {
		case err != nil && bellhop.CodeOf(err) != bellhop.Invalid:
			t.Errorf("%q: %v", s, err)
		case err == nil && (attempt < 0 || seq < 0):
			t.Errorf("%q is %d.%d", s, attempt, seq)
		case err == nil:
			if a, b, err := parseCursor(cursor(attempt, seq)); a != attempt || b != seq || err != nil {
				t.Errorf("%d.%d reads back as %d.%d, %v", attempt, seq, a, b, err)
			}
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"", "state=running&state=failed", "limit=0", "limit=-1", "since=2026-01-31T15:04:05Z", "before=00002a", "mine=true", "%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/v1/runs", nil)
		r.URL = &url.URL{Path: "/v1/runs", RawQuery: query}
		filter, err := parseFilter(r, bellhop.Person{Identity: "local:root"})
		switch {
		case err != nil && bellhop.CodeOf(err) != bellhop.Invalid:
			t.Errorf("%q: %v", query, err)
		case err == nil && (filter.Limit < 0 || filter.Before < 0):
			t.Errorf("%q is %+v", query, filter)
		}
	})
}
