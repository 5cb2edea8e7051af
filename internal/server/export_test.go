package server

import (
	"context"
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// Sweep forgets what is not to be kept any more.
func (s *Server) Sweep(ctx context.Context) error { return s.engine.Sweep(ctx) }

// ControlAs makes a control socket at whose other end is always one person.
func (s *Server) ControlAs(path string, p bellhop.Person) error {
	return s.control(path, func(*http.Request) (bellhop.Person, error) { return p, nil })
}
