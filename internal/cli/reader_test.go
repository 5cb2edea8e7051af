package cli

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// history answers on a socket with n runs, page by page, and counts pages.
func history(t *testing.T, n int) (*reader, *int) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages++
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit <= 0 || limit > pageOf {
			t.Errorf("limit %q", r.URL.Query().Get("limit"))
		}
		next := bellhop.RunID(n)
		if before := r.URL.Query().Get("before"); before != "" {
			id, err := bellhop.ParseRunID(before)
			if err != nil {
				t.Error(err)
			}
			next = id - 1
		}
		runs := []bellhop.Run{}
		for ; next > 0 && len(runs) < limit; next-- {
			runs = append(runs, bellhop.Run{ID: next})
		}
		page := map[string]any{"runs": runs}
		if next > 0 {
			page["next"] = next + 1
		}
		_ = json.NewEncoder(w).Encode(page)
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	r := &reader{client: &api.Client{Socket: socket, Source: "ask"}}
	t.Cleanup(r.Close)
	return r, &pages
}

func TestRunsAreReadInPages(t *testing.T) {
	for name, c := range map[string]struct{ have, limit, want, pages int }{
		"a few":            {3, 20, 3, 1},
		"as many as asked": {30, 20, 20, 1},
		"all of none":      {0, 0, 0, 1},
		"all of one page":  {3, 0, 3, 1},
		"all of a history": {2*pageOf + 1, 0, 2*pageOf + 1, 3},
		"pages that end":   {2 * pageOf, 0, 2 * pageOf, 2},
		"a limit in pages": {5 * pageOf, pageOf + 1, pageOf + 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r, pages := history(t, c.have)
			next := bellhop.RunID(c.have)
			err := r.EachRun(t.Context(), bellhop.RunSearch{RunFilter: bellhop.RunFilter{Limit: c.limit}}, false, func(runs []bellhop.Run) error {
				for _, run := range runs {
					if run.ID != next {
						t.Fatalf("%s comes where %s should", run.ID, next)
					}
					next--
				}
				return nil
			})
			if got := c.have - int(next); err != nil || got != c.want || *pages != c.pages {
				t.Errorf("%d runs on %d pages, %v", got, *pages, err)
			}
		})
	}
}

func TestArgFlags(t *testing.T) {
	var f argFlags
	for _, s := range []string{"env=staging", "empty=", "what=a=b c", "words=one", "words=two", "words=three"} {
		if err := f.Set(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	want := bellhop.Args{"env": bellhop.Text("staging"), "empty": bellhop.Text(""), "what": bellhop.Text("a=b c"), "words": bellhop.List("one", "two", "three")}
	if !want.Equal(bellhop.Args(f)) {
		t.Errorf("%v", f)
	}
	for _, s := range []string{"", "env", "=x"} {
		if err := f.Set(s); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestTimeFlag(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 0, 0, 0, time.FixedZone("", 3600))
	for s, want := range map[string]time.Time{
		"":                     {},
		"2h":                   now.Add(-2 * time.Hour),
		"3d":                   now.AddDate(0, 0, -3),
		"2026-01-31":           time.Date(2026, 1, 31, 0, 0, 0, 0, now.Location()),
		"2026-01-31 15:04:05":  time.Date(2026, 1, 31, 15, 4, 5, 0, now.Location()),
		"2026-01-31T15:04:05Z": time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC),
	} {
		if got, err := timeFlag("--since", s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"yesterday", "-2h", "2026-13-01"} {
		if _, err := timeFlag("--until", s, now); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAMissingServerIsWordedByWhatTheStoreKnows(t *testing.T) {
	shared := &bellhop.Store{Shared: true}
	for want, r := range map[string]*reader{
		"The server does not answer. In the store:":                                                                                              {offline: true, frozen: true},
		"No server is running; `bellhop up` starts one. In the store:":                                                                           {offline: true, store: &bellhop.Store{}},
		"No server of this store is running; `bellhop up` starts one. In the store:":                                                             {offline: true, store: shared},
		"No server is running in this folder; `bellhop up` starts one. Another server\nof the store was alive lately: k3x9. In the store:":       {offline: true, store: shared, others: []string{"k3x9"}},
		"No server is running in this folder; `bellhop up` starts one. 2 other servers\nof the store were alive lately: a1, k3x9. In the store:": {offline: true, store: shared, others: []string{"a1", "k3x9"}},
	} {
		if got := r.missing(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
