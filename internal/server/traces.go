package server

import (
	"net/http"
	"os"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/tracing"
)

// traced returns the store with what becomes of runs traced, when the
// environment names a collector. That it names none rightly is told, and no
// reason not to start.
func (s *Server) traced(store *bellhop.Store) *bellhop.Store {
	if s.opt.rehearsal != nil {
		return store
	}
	settings, ok, err := tracing.FromEnvironment(os.Getenv)
	if err != nil {
		s.log.Error("no traces are made", "error", err)
	}
	if !ok {
		return store
	}
	s.tracer = tracing.New(tracing.Options{Settings: settings, StoreID: store.ID, Server: s.name, Version: s.opt.Version, Clock: s.clock, Log: s.log})
	s.onStop(s.tracer.Stop)
	return s.tracer.Store(store)
}

// tracedRequests notes of which traces requests say they are.
func (s *Server) tracedRequests(h http.Handler) http.Handler {
	if s.tracer == nil {
		return h
	}
	return s.tracer.Incoming(h)
}

// tracedWork makes attempts spans.
func (s *Server) tracedWork(ex bellhop.Executor) bellhop.Executor {
	if s.tracer == nil {
		return ex
	}
	return s.tracer.Executor(ex)
}

// tracedReports makes deliveries spans.
func (s *Server) tracedReports(to map[string]bellhop.Destination) {
	if s.tracer == nil {
		return
	}
	for name, d := range to {
		to[name] = s.tracer.Destination(d)
	}
}

// spans tells how many were sent and dropped; nil when none are made.
func (s *Server) spans() func() (sent, dropped uint64) {
	if s.tracer == nil {
		return nil
	}
	return s.tracer.Counts
}
