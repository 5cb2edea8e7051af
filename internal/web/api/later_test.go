package api_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// outage refuses what asks may be made again at once.
func outage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"code":"unavailable","detail":"not accepted: the store is unavailable"}`))
}

// counting counts the calls of a handler.
func counting(n *atomic.Int32, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { n.Add(1); h(w, r) }
}

func TestAShortOutageIsWeathered(t *testing.T) {
	for name, call := range map[string]func(c *api.Client) error{
		"ask":    func(c *api.Client) error { _, err := c.Ask(t.Context(), "k", "x"); return err },
		"retry":  func(c *api.Client) error { _, err := c.Retry(t.Context(), 1, nil); return err },
		"cancel": func(c *api.Client) error { _, err := c.Cancel(t.Context(), 1); return err },
		"pause": func(c *api.Client) error {
			_, err := c.Hold(t.Context(), bellhop.ActionPause, api.Holding{Service: "s"})
			return err
		},
		"status": func(c *api.Client) error { _, err := c.Status(t.Context()); return err },
		"runs":   func(c *api.Client) error { _, err := c.Runs(t.Context(), bellhop.RunSearch{}, false); return err },
		"why":    func(c *api.Client) error { _, err := c.Why(t.Context(), 1); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(answering(t, outage, outage, outage, accepts)); err != nil {
				t.Error(err)
			}
		})
		t.Run(name+", too long", func(t *testing.T) {
			var n atomic.Int32
			err := call(answering(t, counting(&n, outage)))
			if bellhop.CodeOf(err) != bellhop.Unavailable || err.Error() != "not accepted: the store is unavailable" || n.Load() != 4 {
				t.Errorf("after %d requests: %v", n.Load(), err)
			}
		})
	}
}

// What is waited for anyway is waited for however long the outage is.
func TestReportsAndFollowedOutputOutliveAnOutage(t *testing.T) {
	ends := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("event: end\ndata: {}\n\n")) }
	within := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("event: error\ndata: {\"code\":\"unavailable\",\"detail\":\"x\"}\n\n"))
	}
	c := answering(t, outage, outage, outage, outage, within, ends)
	if err := c.Reports(t.Context(), func(bellhop.Report) error { return nil }); err != nil {
		t.Error(err)
	}
	c = answering(t, outage, outage, outage, outage, within, ends)
	if err := c.Output(t.Context(), 1, true, func(bellhop.Chunk) error { return nil }); err != nil {
		t.Error(err)
	}
	c = answering(t, within, ends)
	if err := c.Output(t.Context(), 1, false, func(bellhop.Chunk) error { return nil }); bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("output that is not followed: %v", err)
	}
}
