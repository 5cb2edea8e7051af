package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web/callback"
)

// callbackKey signs the addresses that runs are given. It comes from the audit
// trail's key, which was made from the master key and stays when that is
// changed: so all servers of a store have the same, and it lasts.
func (s *Server) callbackKey() ([]byte, error) {
	return hkdf.Key(sha256.New, s.seals.audit, nil, "bellhop callback", sha256.Size)
}

// callbackAddress makes the addresses for runs; nil = there are none: in a
// rehearsal, or where the configuration has no public address.
func (s *Server) callbackAddress(cfg *Loaded) (func(bellhop.RunID, int64, time.Time) string, error) {
	if s.seals.audit == nil || cfg.Web == nil || cfg.Web.URL == "" {
		return nil, nil
	}
	key, err := s.callbackKey()
	return func(run bellhop.RunID, lease int64, until time.Time) string {
		return callback.Ticket{Run: run, Lease: lease, Until: until}.Address(cfg.Web.URL, key)
	}, err
}

// progressRate is how often progress of one run is told.
func progressRate() config.Rate { return config.Rate{N: 60, Per: time.Minute} }

// callbacks serves what is posted of runs.
func (s *Server) callbacks() (http.Handler, error) {
	key, err := s.callbackKey()
	return callback.New(posted{s, newRates(progressRate(), s.clock)}, key, s.clock), err
}

// posted is Bellhop for callbacks (callback.House).
type posted struct {
	s     *Server
	rates *rates
}

func (p posted) Progress(ctx context.Context, run bellhop.RunID, lease int64, text string) error {
	if err := p.rates.take("the run " + run.String()); err != nil {
		return err
	}
	return p.s.engine.Progress(ctx, run, lease, text)
}
