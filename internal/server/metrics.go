package server

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/metrics"
	"github.com/bellhop-io/bellhop/internal/web"
)

// measured returns the store with what goes through it counted, when there is
// somebody to tell: without web:, nothing is counted and nothing costs.
func (s *Server) measured(store *bellhop.Store) *bellhop.Store {
	cfg := s.opt.Config
	if cfg.Web == nil || s.opt.Solo || s.opt.rehearsal != nil {
		return store
	}
	sources := []string{"ask", "console", "local", bellhop.SourceAPI, bellhop.SourceWeb, bellhop.SourceSchedule, bellhop.SourceWebhook, bellhop.SourceBroker, bellhop.SourceOutside}
	sources = append(sources, cfg.Catalog.Sources...)
	for _, c := range cfg.Chats {
		sources = append(sources, c.Name)
	}
	s.metrics = metrics.New(metrics.Options{
		Version: s.opt.Version, Sources: sources, Depth: store.Admin.Depth, Adapters: s.adapters, Traces: s.spans(), Clock: s.clock,
	})
	return s.metrics.Store(store)
}

// adapters says which parts that reach outside are well.
func (s *Server) adapters(ctx context.Context) (all []metrics.Adapter) {
	for _, c := range s.checks(ctx) {
		if c.Name != checkServer {
			all = append(all, metrics.Adapter{Name: c.Name, Up: c.Err == nil})
		}
	}
	for name, own := range s.sshs {
		all = append(all, metrics.Adapter{Name: name, Up: own.Addr() != nil})
	}
	for name, own := range s.outside {
		if !own.Posts() {
			all = append(all, metrics.Adapter{Name: name, Up: own.Here()})
		}
	}
	return all
}

// serveMetrics answers a collector that proves who it is, with what that person
// may see.
func (s *Server) serveMetrics(who func(*http.Request) (bellhop.Person, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := who(r)
		if err == nil {
			err = s.engine.MayWatch(r.Context(), p)
		}
		var text bytes.Buffer
		if err == nil {
			err = s.metrics.Write(&text, s.sees(r.Context(), p))
		}
		if err != nil {
			web.Fail(w, err)
			return
		}
		w.Header().Set("Content-Type", metrics.ContentType)
		_, _ = w.Write(text.Bytes())
	})
}

// sees says of which jobs somebody may know, each decided once, and of which
// brokers: those that ask for such a job.
func (s *Server) sees(ctx context.Context, p bellhop.Person) metrics.Sees {
	type name struct{ service, job string }
	known := map[name]bool{}
	job := func(service, job string) bool {
		may, ok := known[name{service, job}]
		if !ok {
			may = s.engine.SeesJob(ctx, p, service, job)
			known[name{service, job}] = may
		}
		return may
	}
	brokers := s.engine.Brokers()
	return metrics.Sees{Job: job, Adapter: func(adapter string) bool {
		i := slices.IndexFunc(brokers, func(b bellhop.Broker) bool { return b.Principal() == adapter })
		if i < 0 {
			return !strings.HasPrefix(adapter, bellhop.SourceBroker+":")
		}
		return job(brokers[i].Service, brokers[i].Job)
	}}
}
