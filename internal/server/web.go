package server

import (
	"context"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// startWeb starts the HTTP server, if the configuration has one.
func (s *Server) startWeb(ctx context.Context, cfg *Loaded) (lines []Line, err error) {
	if cfg.Web == nil {
		return nil, nil
	}
	w := web.New(web.Options{
		Listen: cfg.Web.Listen, Cert: cfg.Web.Cert, Key: cfg.Web.Key, Proxies: cfg.Web.Proxies, Checks: s.checks, Clock: s.clock, Log: s.log,
	})
	for _, c := range cfg.Chats {
		if own := s.slacks[c.Name]; own != nil && c.Slack.Events != "" {
			w.Handle(c.Slack.Events, own.Handler())
		}
	}
	if err := w.Start(ctx); err != nil {
		return nil, err
	}
	s.onStop(w.Stop)
	scheme := "http"
	if cfg.Web.Cert != "" {
		scheme = "https"
	}
	return []Line{{"web", scheme + "://" + w.Addr().String()}}, nil
}

// checks says whether what requests need is well.
func (s *Server) checks(ctx context.Context) []web.Check {
	checks := []web.Check{{Name: "store", Err: s.store.Admin.Ping(ctx)}}
	if s.stopping.Load() {
		checks = append(checks, web.Check{Name: "server", Err: bellhop.Errorf(bellhop.Unavailable, "it is stopping")})
	}
	for _, c := range s.config.Load().Chats {
		if own := s.slacks[c.Name]; own != nil {
			checks = append(checks, web.Check{Name: c.Name, Err: own.Ready()})
		}
	}
	return checks
}
