// Package server is the composition root: it builds the adapters, starts them
// in order and stops them in reverse.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
	slackchat "github.com/bellhop-io/bellhop/internal/chat/slack"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
	"github.com/bellhop-io/bellhop/internal/metrics"
	"github.com/bellhop-io/bellhop/internal/reporter"
	"github.com/bellhop-io/bellhop/internal/router"
	"github.com/bellhop-io/bellhop/internal/runner"
	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
	"github.com/bellhop-io/bellhop/internal/schedule"
	"github.com/bellhop-io/bellhop/internal/session"
	"github.com/bellhop-io/bellhop/internal/tracing"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// Options are what a Server is made of. Config and Log are needed.
type Options struct {
	Config  *Loaded
	Version string
	Log     *slog.Logger
	// Solo serves nothing but the control socket, and claims only runs that
	// were asked for through it.
	Solo bool
	// Watchdog is the argv of the watchdog; nil = this binary's verb.
	Watchdog []string

	rehearsal *Rehearsal // that this server is of; nil = it works in earnest
}

// Server is Bellhop as one process.
type Server struct {
	opt   Options
	clock bellhop.Clock
	log   *slog.Logger

	config    atomic.Pointer[Loaded]
	activated atomic.Pointer[activation] // of config
	table     atomic.Pointer[router.Router]
	reloads   sync.Mutex   // one at a time
	swap      sync.RWMutex // held while an ask is judged, so that all of it is by one configuration
	name      string       // of this life of the server, among those of its store
	started   time.Time
	store     *bellhop.Store
	mark      string // that processes of its runs carry for the store
	bus       bellhop.Bus
	engine    *engine.Engine
	runner    *runner.Runner
	reporter  *reporter.Reporter
	hub       *session.Hub
	slacks    map[string]*slackchat.Chat // by name
	sshs      map[string]*sshchat.Server
	outside   map[string]*outside.Chat // by name
	clockwork *schedule.Clockwork
	metrics   *metrics.Metrics // nil = nobody is told
	tracer    *tracing.Tracer  // nil = there are no traces
	brokers   *broker.Set
	seals     seals
	held      onShelf
	links     links
	socket    string
	webAt     string // where the HTTP server is; "" = there is none

	clients  counter // connections that take reports
	stopping atomic.Bool
	left     chan struct{} // closed when another server is to take over
	leave    sync.Once
	stops    []func(ctx context.Context) // in order of start
	stopOnce sync.Once
}

// partStop is how long the parts of a server besides its runs may take to
// stop.
const partStop = 5 * time.Second

// Line is one thing that a server tells when it is ready.
type Line struct{ What, Where string }

// New returns a server that is not started.
func New(o Options) *Server {
	s := &Server{opt: o, name: serverName(), clock: clock(), left: make(chan struct{})}
	if o.Log != nil {
		s.log = quietLog(slog.New(s.seals.hidden.Handler(o.Log.Handler())))
	}
	if o.rehearsal != nil {
		s.clock = o.rehearsal.Clock
	}
	return s
}

// Start builds everything and returns a line per listener. When it fails,
// nothing is left running. It fails with Conflict when another server has the
// store.
func (s *Server) Start(ctx context.Context) (lines []Line, err error) {
	defer func() {
		if err != nil {
			s.Stop(context.WithoutCancel(ctx), 0)
		}
	}()
	cfg := s.opt.Config
	s.started = s.clock.Now()
	s.config.Store(cfg)
	s.table.Store(cfg.table)
	if err := s.openStore(ctx, cfg); err != nil {
		return nil, err
	}
	if s.opt.rehearsal == nil { // whose folder that is, is told before the key in it can't be read
		if err := privateFolder(filepath.Dir(SocketPath(cfg.Home))); err != nil {
			return nil, err
		}
	}
	if err := s.openVault(ctx, cfg); err != nil {
		return nil, err
	}
	if cfg, err = s.withStored(ctx, cfg); err != nil {
		return nil, err
	}
	s.opt.Config = cfg // what a start reads, it reads with these
	s.config.Store(cfg)
	s.table.Store(cfg.table)
	ex := shell.New(shell.Options{Home: cfg.Home, StoreID: s.mark, KillAfter: cfg.Runner.KillAfter, Log: s.log, Clock: s.clock})
	s.onStop(func(context.Context) { ex.Close() })
	if err := ex.Recover(ctx); err != nil { // before any of its runs is taken over
		return nil, bellhop.Errorf(bellhop.Unavailable, "what the last server left can't be ended, so runs could run twice at a time: %w", err)
	}
	address, err := s.callbackAddress(cfg)
	if err != nil {
		return nil, err
	}
	s.engine = engine.New(engine.Options{Store: s.store, Bus: s.bus, Clock: s.clock, Log: s.log, Lease: cfg.Lease, Server: s.name, Directory: s, Reach: reach(cfg),
		AuditKey: s.seals.audit, Vault: s.runVault(), Mask: s.seals.hidden.Text, Callback: address, WhoNow: s.whoNow})
	if s.opt.Solo {
		s.engine.ServeOnlyOwn()
	}
	if err := s.engine.Activate(ctx, cfg.Catalog); err != nil {
		return nil, err
	}
	s.activated.Store(&activation{at: s.clock.Now()})
	if err := s.engine.Start(ctx); err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) { s.engine.Stop() })
	if err := s.makeSlacks(ctx, cfg); err != nil {
		return nil, err
	}
	s.makeOutside(cfg)
	if err := s.startReporter(ctx); err != nil {
		return nil, err
	}
	if err := s.makeRunner(ctx, cfg, ex); err != nil {
		return nil, err
	}
	if err := s.makeSSHs(ctx, cfg); err != nil {
		return nil, err
	}
	s.followShelf()
	s.makeClock()
	s.makeBrokers()
	if s.opt.rehearsal == nil || s.opt.rehearsal.opt.Listen {
		if lines, err = s.listen(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if err := s.startClock(ctx); err != nil {
		return nil, err
	}
	if err := s.runner.Start(ctx); err != nil { // last, so that a start that fails interrupts nothing
		return nil, err
	}
	s.startBrokers(ctx)
	return lines, nil
}

// listen starts every listener.
func (s *Server) listen(ctx context.Context, cfg *Loaded) (lines []Line, err error) {
	if !s.opt.Solo {
		if lines, err = s.startChats(ctx, cfg); err != nil {
			return nil, err
		}
		web, err := s.startWeb(ctx, cfg)
		if err != nil {
			return nil, err
		}
		lines = append(lines, web...)
	}
	s.socket = SocketPath(cfg.Home)
	if err := s.control(s.socket, person); err != nil {
		return nil, err
	}
	return append(lines, Line{"control", s.socket}), nil
}

// control serves the API on a socket; who tells who is at its other end.
func (s *Server) control(path string, who func(*http.Request) (bellhop.Person, error)) error {
	c, err := listenControl(path, api.NewHandler(front{s}, who, s.log))
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) { c.stop() })
	return nil
}

func (s *Server) onStop(fn func(context.Context)) { s.stops = append(s.stops, fn) }

func (s *Server) startReporter(ctx context.Context) error {
	s.hub = session.New(s.clock)
	destinations := map[string]bellhop.Destination{"ask": s.hub, "console": s.hub, bellhop.SourceSchedule: recordOnly{}, bellhop.SourceAPI: recordOnly{}, bellhop.SourceWeb: recordOnly{}, bellhop.SourceWebhook: recordOnly{}, bellhop.SourceBroker: recordOnly{},
		bellhop.SourceOutside: recordOnly{}}
	for name, own := range s.outside {
		destinations[name] = own
	}
	for _, c := range s.opt.Config.Chats {
		destinations[c.Name] = s.hub
		if own := s.slacks[c.Name]; own != nil {
			destinations[c.Name] = own
		}
	}
	if r := s.opt.rehearsal; r != nil && !r.opt.Listen {
		r.channels.instead(destinations, s.opt.Config)
	}
	s.tracedReports(destinations)
	s.reporter = reporter.New(reporter.Options{Store: s.store, Bus: s.bus, Destinations: destinations, Server: s.name, Clock: s.clock, Log: s.log,
		Instead: s.engine.Instead, Mask: s.seals.hidden.Text})
	s.onStop(func(context.Context) { s.reporter.Stop() })
	return s.reporter.Start(ctx)
}

// recordOnly is where reports go that nobody is told: the run's record has all.
type recordOnly struct{}

func (recordOnly) Deliver(context.Context, bellhop.Report) (string, error) { return "", nil }

func (s *Server) makeRunner(ctx context.Context, cfg *Loaded, ex *shell.Executor) error {
	executors, guard := map[string]bellhop.Executor{"shell": s.tracedWork(ex)}, runner.Guard(nil)
	if r := s.opt.rehearsal; r != nil {
		executors["shell"] = r.instead(ex)
	}
	if r := s.opt.rehearsal; r == nil || r.opt.Real {
		dog, err := s.startWatchdog(ex)
		if err != nil {
			return err
		}
		guard = dog
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	s.runner = runner.New(runner.Options{
		Name: fmt.Sprintf("%s/%d", host, os.Getpid()), Dispatcher: s.engine, Bus: s.bus, Clock: s.clock, Log: s.log,
		Executors: executors, Slots: cfg.Runner.Slots, Guard: guard, Hidden: s.seals.hidden.Values,
	})
	s.onStop(func(ctx context.Context) { s.runner.Stop(ctx) })
	return nil
}

// startWatchdog starts the process that ends what this one can't end any more.
func (s *Server) startWatchdog(ex *shell.Executor) (*watchdog.Watchdog, error) {
	keepFiles()
	lost := func(run bellhop.RunID, lease int64) { s.runner.Crashed(run, lease) }
	dog, err := watchdog.Start(watchdog.Options{
		Command: s.opt.Watchdog, StoreID: s.mark, Instance: ex.Instance(), Log: s.log,
		Killed: lost,
	})
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) { dog.Stop() })
	return dog, nil
}

// Stop stops in reverse order of start. Asks are not accepted any more; what
// runs has until grace has passed, and is interrupted then. It may be called
// twice.
func (s *Server) Stop(ctx context.Context, grace time.Duration) {
	s.stopping.Store(true)
	s.stopOnce.Do(func() {
		if s.brokers != nil { // what they would bring now is for another server
			s.brokers.Stop()
		}
		if s.runner != nil {
			// First, while everyone who waits for an answer is still connected.
			running, cancel := context.WithTimeout(ctx, grace)
			s.runner.Stop(running)
			cancel()
			s.reporter.Flush(2 * time.Second)
		}
		ctx, cancel := context.WithTimeout(ctx, partStop)
		defer cancel()
		for i := len(s.stops) - 1; i >= 0; i-- {
			s.stops[i](ctx)
		}
	})
}

// Left is closed when another server asked this one to make way, and nothing
// runs here any more.
func (s *Server) Left() <-chan struct{} { return s.left }

// WaitClients returns when no client waits for an answer, or ctx ends.
func (s *Server) WaitClients(ctx context.Context) { s.clients.wait(ctx) }

// Working returns the runs that this server works now.
func (s *Server) Working() []bellhop.RunID { return s.runner.Working() }

// StorePath returns where the store of a configuration is, for messages.
func (l *Loaded) StorePath() string {
	if l.Store.Kind == config.Postgres {
		return l.Store.String()
	}
	if rel, err := filepath.Rel(l.Home, l.Store.Path); err == nil {
		return rel
	}
	return l.Store.Path
}
