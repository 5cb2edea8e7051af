package server

import (
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// ControlAs makes a control socket at whose other end is always one person.
func (s *Server) ControlAs(path string, p bellhop.Person) error {
	return s.control(path, func(*http.Request) (bellhop.Person, error) { return p, nil })
}
