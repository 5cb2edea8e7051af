package api

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
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

// FuzzSourceEvent: what is taken as an event is one thing, of a bounded size, with
// names that can be shown.
func FuzzSourceEvent(f *testing.F) {
	for _, s := range []string{
		`{"key":"1","person":"alice","channel":"#ops","text":"help"}`, `{"key":"2","person":"a","service":"s","job":"j","args":{"x":["y"]}}`,
		`{"key":"3","data":{"a":[1]}}`, `{"key":"4","key":"5"}`, `{"key":"\u0000"}`, `{"key":"6","text":"\ud800","person":"\u202e"}`, `[]`, `null`, `{"key":"7","data":null}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := readBody[outside.Event](httptest.NewRequest("POST", "/v1/events", strings.NewReader(s)))
		if err == nil {
			err = e.Check()
		}
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		for _, name := range []string{e.Key, e.Person, e.Channel, e.Thread, e.Message} {
			if len(name) > 200 || !utf8.ValidString(name) || chat.Clean(name) != name {
				t.Errorf("%q has the name %q", s, name)
			}
		}
		if e.Key == "" || len(e.Data) == 0 && e.Person == "" || (e.Text != "") == (e.Job != "" || len(e.Data) > 0) {
			t.Errorf("%q is %+v", s, e)
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
