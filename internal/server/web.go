package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/transcript"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/api"
	"github.com/bellhop-io/bellhop/internal/web/callback"
	"github.com/bellhop-io/bellhop/internal/web/ui"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

// startWeb starts the HTTP server, if the configuration has one.
func (s *Server) startWeb(ctx context.Context, cfg *Loaded) ([]Line, error) {
	if cfg.Web == nil {
		return nil, nil
	}
	rates, guesses := newRates(cfg.Web.Rate, s.clock), newGuesses()
	who := s.bearer(rates, guesses)
	w := web.New(web.Options{
		Listen: cfg.Web.Listen, Cert: cfg.Web.Cert, Key: cfg.Web.Key, Proxies: cfg.Web.Proxies, Checks: s.ready(who), Clock: s.clock, Log: s.log,
	})
	for _, c := range cfg.Chats {
		if own := s.slacks[c.Name]; own != nil && c.Slack.Events != "" {
			w.Handle(c.Slack.Events, own.Handler())
		}
	}
	w.Handle("/webhooks/", webhook.New(webhook.Options{House: hooks{s, s.keepDeliveries(), rates, newRecords()}, Clock: s.clock, Log: s.log}))
	posted, err := s.callbacks()
	if err != nil {
		return nil, err
	}
	w.Handle(callback.Path, posted)
	w.Handle("/v1/", s.tracedRequests(api.NewPublic(front{s}, who, sources{s, s.sourceBearer(guesses), rates}, s.log)))
	w.Handle("GET /metrics", s.serveMetrics(who))
	lines := transcript.New(transcript.Options{Read: s.engine.Transcribe, Ended: s.engine.Ended, Clock: s.clock})
	page, err := ui.New(ui.Options{House: pages{front{s}}, Output: &ui.Output{Reader: lines, Read: s.engine.Transcribe, Clock: s.clock}, Secure: strings.HasPrefix(cfg.Web.URL, "https:"), Clock: s.clock, Log: s.log})
	if err != nil {
		return nil, err
	}
	page.Mount(w.Handle)
	if err := w.Start(ctx); err != nil {
		return nil, err
	}
	s.onStop(w.Stop)
	s.onStop(func(context.Context) { lines.Close() })
	scheme := "http"
	if cfg.Web.Cert != "" {
		scheme = "https"
	}
	s.webAt = scheme + "://" + w.Addr().String()
	return []Line{{"web", s.webAt}}, nil
}

// hooks is Bellhop for webhooks (webhook.House).
type hooks struct {
	s     *Server
	came  *deliveries
	rates *rates
	// records bounds how much of what is not proven the trail has of all
	// addresses at once: it is kept for good.
	records *rate.Limiter
}

// newRecords bounds records of what anybody may have refused.
func newRecords() *rate.Limiter { return rate.NewLimiter(rate.Every(badTokensEvery), badRecords) }

func (h hooks) Webhooks(service string) []bellhop.Webhook { return h.s.engine.Webhooks(service) }

func (h hooks) Reveal(ctx context.Context, value string) (string, error) {
	return h.s.revealed(ctx, value)
}

func (h hooks) Hook(ctx context.Context, w *bellhop.Webhook, key string, args bellhop.Args) (bellhop.RunID, error) {
	if err := h.rates.take(w.Principal()); err != nil {
		return 0, err
	}
	if err := h.s.open(ctx); err != nil {
		return 0, err
	}
	return h.s.engine.Hook(ctx, w, key, args)
}

func (h hooks) Unproven(ctx context.Context, service string, from netip.Addr, times int, err error) {
	if h.records.AllowN(h.s.clock.Now(), 1) {
		h.s.engine.Unproven(ctx, service, from, times, err)
	}
}

func (h hooks) Delivered(d []bellhop.Delivery) { h.came.add(d) }

// What an address may try of tokens that are none, before it is told to wait,
// and how many the trail has of all addresses at once.
const (
	badTokens      = 20
	badRecords     = 100
	badTokensEvery = time.Second
	maxAddresses   = 10_000
)

// guesses bounds what is shown of tokens that are none: how many an address may
// show, and how many of those the trail has, from wherever they come, since it
// is kept for good.
type guesses struct {
	mu      sync.Mutex
	bad     map[netip.Addr]*rate.Limiter
	records *rate.Limiter
}

func newGuesses() *guesses {
	return &guesses{bad: make(map[netip.Addr]*rate.Limiter), records: newRecords()}
}

func (g *guesses) of(from netip.Addr) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.bad[from]
	if l == nil {
		if len(g.bad) >= maxAddresses {
			clear(g.bad)
		}
		l = rate.NewLimiter(rate.Every(badTokensEvery), badTokens)
		g.bad[from] = l
	}
	return l
}

// bearer tells who shows a token. One that is valid is always good, since nobody
// can guess it.
func (s *Server) bearer(rates *rates, g *guesses) func(*http.Request) (bellhop.Person, error) {
	return func(r *http.Request) (p bellhop.Person, err error) {
		err = s.shown(r, g, func(text string) (err error) {
			p, err = s.engine.TokenPerson(r.Context(), text)
			return err
		})
		if err != nil {
			return p, err
		}
		return p, rates.take(s.engine.Identify(p).Principal())
	}
}

// sourceBearer tells which source shows its token.
func (s *Server) sourceBearer(g *guesses) func(*http.Request) (string, error) {
	each := make(map[string]*rates)
	for _, c := range s.opt.Config.Sources {
		each[c.Name] = newRates(c.Rate, s.clock)
	}
	return func(r *http.Request) (source string, err error) {
		err = s.shown(r, g, func(text string) (err error) {
			source, err = s.engine.TokenSource(r.Context(), text)
			return err
		})
		if own := each[source]; err == nil && own != nil {
			err = own.take("source " + source)
		}
		return source, err
	}
}

// shown has the token of a request proven.
func (s *Server) shown(r *http.Request, g *guesses, prove func(text string) error) error {
	from := web.Client(r.Context())
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return unproven("the header Authorization: Bearer TOKEN is missing; an admin makes a token with: bellhop token create NAME")
	}
	err := prove(strings.TrimSpace(text))
	if bellhop.CodeOf(err) != bellhop.NotAllowed || errors.Is(err, engine.ErrOtherToken) {
		return err // also when others at the same address guess
	}
	if !g.of(web.Network(from)).Allow() {
		return &web.Problem{Status: http.StatusTooManyRequests, Code: bellhop.NotAllowed, Detail: "too many tokens from " + from.String() + " were not valid; try again in a while"}
	}
	if g.records.Allow() {
		_ = s.login(r.Context(), bellhop.SourceAPI, bellhop.Person{Identity: bellhop.SourceAPI + ":?"}, from.String(), err)
	}
	return unproven(err.Error())
}

// unproven is 401: who asks is not known.
func unproven(detail string) error {
	return &web.Problem{Status: http.StatusUnauthorized, Code: bellhop.NotAllowed, Detail: detail}
}

// checkServer is the check of the server itself.
const checkServer = "server"

// check is one thing that must be well for requests to be served.
type check struct {
	web.Check
	kind string // what there is to say of it to anybody
}

// checks says whether what requests need is well.
func (s *Server) checks(ctx context.Context) []check {
	of := func(kind, name string, err error) check { return check{web.Check{Name: name, Err: err}, kind} }
	checks := []check{of("store", "store", s.store.Admin.Ping(ctx))}
	if s.stopping.Load() {
		checks = append(checks, of(checkServer, checkServer, bellhop.Errorf(bellhop.Unavailable, "it is stopping")))
	}
	for _, c := range s.config.Load().Chats {
		if own := s.slacks[c.Name]; own != nil {
			checks = append(checks, of("chats", c.Name, own.Ready()))
		}
	}
	for _, st := range s.brokers.States() {
		checks = append(checks, of("brokers", st.Name, st.Err))
	}
	return checks
}

// errNotReady is all that anybody may know of what is not well.
var errNotReady = errors.New("not ready")

// ready says what must be well for requests to be served: to internal people
// that prove who they are by its name, as far as they may see it, and why it is
// not; to anybody else by its kind alone.
func (s *Server) ready(who func(*http.Request) (bellhop.Person, error)) func(*http.Request) ([]web.Check, error) {
	return func(r *http.Request) (told []web.Check, err error) {
		named := func(string) bool { return false }
		if r.Header.Get("Authorization") != "" {
			p, err := who(r)
			if err != nil && web.ProblemOf(err).Status < http.StatusInternalServerError { // a store that is away is what is to be told
				return nil, err
			}
			if err == nil && (s.engine.Identify(p).Internal || s.engine.Manages(r.Context(), p)) {
				named = s.sees(r.Context(), p).Adapter
			}
		}
		at := map[string]int{} // of kinds, in told
		for _, c := range s.checks(r.Context()) {
			if named(c.Name) {
				told = append(told, c.Check)
				continue
			}
			i, ok := at[c.kind]
			if !ok {
				i = len(told)
				at[c.kind], told = i, append(told, web.Check{Name: c.kind})
			}
			if c.Err != nil {
				told[i].Err = errNotReady
			}
		}
		return told, nil
	}
}
