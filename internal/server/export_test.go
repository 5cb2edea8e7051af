package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// Sweep forgets what is not to be kept any more.
func (s *Server) Sweep(ctx context.Context) error { return s.engine.Sweep(ctx) }

// ControlAs makes a control socket at whose other end is always one person.
func (s *Server) ControlAs(path string, p bellhop.Person) error {
	return s.control(path, func(*http.Request) (bellhop.Person, error) { return p, nil })
}

// Shelve writes a version of a service into the store and does no more, as a
// server that dies then; without a head, as one that dies before that.
func (s *Server) Shelve(ctx context.Context, service string, text []byte, withHead bool) error {
	heads, err := s.shelf().heads(ctx)
	if err != nil {
		return err
	}
	h := s.shelf().next(heads[service], service, "local:dead", text)
	if withHead {
		return s.shelf().put(ctx, h, text)
	}
	h.stored = 1 << 40 // which is refused
	if err := s.shelf().put(ctx, h, text); bellhop.CodeOf(err) != bellhop.Conflict {
		return fmt.Errorf("it was kept: %w", err)
	}
	return nil
}

// Shelved returns how many values the store has of texts and versions.
func (s *Server) Shelved(ctx context.Context) (n int, err error) {
	for _, space := range []string{shelfTexts, shelfPast} {
		err = errors.Join(err, s.shelf().each(ctx, space, "", func(bellhop.Stored) error { n++; return nil }))
	}
	return n, err
}

// LockShelf keeps other servers from changing services.
func (s *Server) LockShelf(ctx context.Context) (unlock func(), err error) {
	return s.shelf().lock(ctx, "other")
}

// WebAt is where the HTTP server is.
func (s *Server) WebAt() string { return s.webAt }

// Config is the file that the configuration is read from.
func (s *Server) Config() string { return s.config.Load().Path }
