package webhook

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/payload"
	"github.com/bellhop-io/bellhop/internal/web"
)

// House is Bellhop as webhooks see it.
type House interface {
	// Webhooks returns those of a service; none = there is no such service.
	Webhooks(service string) []bellhop.Webhook
	// Reveal returns the value of a proof's secret.
	Reveal(ctx context.Context, secret string) (string, error)
	// Hook asks for the run that a webhook wants. The same key again is the same
	// run.
	Hook(ctx context.Context, w *bellhop.Webhook, key string, args bellhop.Args) (bellhop.RunID, error)
	// Unproven records that a request was refused, once for so many; of too many
	// addresses at once, not each.
	Unproven(ctx context.Context, service string, from netip.Addr, times int, err error)
	// Delivered is told of what came and was proven, once for each webhook, when
	// it is answered. It does not block.
	Delivered(d []bellhop.Delivery)
}

// Options are what a Handler is made of.
type Options struct {
	House House
	Clock bellhop.Clock // nil = the machine's
	Log   *slog.Logger  // nil = discarded
}

// Handler serves POST /webhooks/SERVICE and /webhooks/SERVICE/NAME.
type Handler struct {
	opt Options
	mux *http.ServeMux

	mu  sync.Mutex
	bad map[netip.Addr]*refusals // by web.Network
}

// refusals counts what was refused since it was recorded last.
type refusals struct {
	since time.Time
	n     int
}

const (
	// recordEvery is how often refusals of one address are recorded at most, and
	// maxBad how many of them are told apart in that time.
	recordEvery = time.Minute
	maxBad      = 120
	maxPlaces   = 10_000
	maxID       = 200
)

// New returns a handler.
func New(o Options) *Handler {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{opt: o, mux: http.NewServeMux(), bad: make(map[netip.Addr]*refusals)}
	h.mux.HandleFunc("POST /webhooks/{service}", h.serve)
	h.mux.HandleFunc("POST /webhooks/{service}/{name}", h.serve)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		web.Fail(w, bellhop.Errorf(bellhop.NotFound, "there is no webhook here; events are posted to /webhooks/SERVICE, or /webhooks/SERVICE/NAME"))
	})
	return h
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// asked is one run that an event has brought.
type asked struct {
	Webhook string        `json:"webhook"`
	Run     bellhop.RunID `json:"run,omitempty"`
	Error   string        `json:"error,omitempty"`
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		web.Fail(w, bellhop.Errorf(bellhop.Invalid, "the body could not be read"))
		return
	}
	req := &Request{Header: r.Header, Body: body, From: web.Client(r.Context()), Now: h.opt.Clock.Now()}
	service, name := r.PathValue("service"), r.PathValue("name")
	hooks := slices.DeleteFunc(slices.Clone(h.opt.House.Webhooks(service)), func(b bellhop.Webhook) bool {
		return name != "" && (!b.Named || b.Name != name)
	})
	proven, err := h.proven(r.Context(), hooks, req)
	if bellhop.CodeOf(err) == bellhop.Unavailable {
		web.Fail(w, err)
		return
	}
	if len(proven) == 0 { // whether there is such a webhook is nobody's business either, so why is for the trail alone
		if !h.refuse(r.Context(), service, req, err) {
			web.Fail(w, &web.Problem{
				Status: http.StatusTooManyRequests, Code: bellhop.NotAllowed, After: 60, Detail: "too many requests from this address were not proven; try again in a minute",
			})
			return
		}
		web.Fail(w, &web.Problem{Status: http.StatusUnauthorized, Code: bellhop.NotAllowed, Detail: "not proven, or no webhook is here; an admin sees which, and why: bellhop audit --refused"})
		return
	}
	h.take(w, r, proven, req)
}

// proven returns the webhooks to which a request has shown what they want to
// see, or why none.
func (h *Handler) proven(ctx context.Context, hooks []bellhop.Webhook, req *Request) (out []bellhop.Webhook, why error) {
	why = unproven("there is no webhook here that this would be for")
	for i := range hooks {
		secret, err := h.opt.House.Reveal(ctx, hooks[i].Proof.Secret)
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Unavailable, "the webhook's secret can't be had: %w", err)
		}
		if err := Prove(&hooks[i].Proof, secret, req); err != nil {
			why = err
			continue
		}
		out = append(out, hooks[i])
	}
	return out, why
}

// take asks for what the webhooks of a proven event want, and answers when it
// is written down.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, hooks []bellhop.Webhook, req *Request) {
	var came []bellhop.Delivery
	defer func() { h.opt.House.Delivered(came) }()
	event, err := payload.Read(req.Header.Get("Content-Type"), req.Body)
	if err != nil {
		for i := range hooks {
			d := delivery(&hooks[i], req, event)
			d.Error = err.Error()
			came = append(came, d)
		}
		web.Fail(w, err)
		return
	}
	var runs []asked
	ignored := "no webhook is for this event"
	for i := range hooks {
		b := &hooks[i]
		d := delivery(b, req, event)
		if why := Unwanted(b, req.Header, event); why != "" {
			ignored, d.Ignored = why, why
			came = append(came, d)
			continue
		}
		a := asked{Webhook: b.Name}
		args, err := event.Fill(b.Args)
		if err == nil {
			a.Run, err = h.opt.House.Hook(r.Context(), b, keyOf(b, req), args)
		}
		if d.Run = a.Run; err != nil {
			d.Error = err.Error()
		}
		came = append(came, d)
		switch bellhop.CodeOf(err) {
		case "":
		case bellhop.Unavailable, bellhop.Internal: // nothing is lost: it is posted again
			web.Fail(w, err)
			return
		default:
			h.opt.Log.Error("an event brought no run", "webhook", b.Principal(), "error", err)
			a.Error = err.Error()
		}
		runs = append(runs, a)
	}
	w.Header().Set("Content-Type", "application/json")
	if len(runs) == 0 {
		_ = json.NewEncoder(w).Encode(map[string]string{"ignored": ignored})
		return
	}
	status := http.StatusAccepted
	if !slices.ContainsFunc(runs, func(a asked) bool { return a.Error == "" }) {
		status = http.StatusUnprocessableEntity
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]asked{"runs": runs})
}

// refuse counts what an address has shown that was not proven, and records the
// first of a minute with how many there were in the one before. It reports
// whether the address may be told why: not when there are too many. What is
// proven is looked at all the while, since senders share addresses with others.
func (h *Handler) refuse(ctx context.Context, service string, req *Request, err error) bool {
	at := web.Network(req.From)
	h.mu.Lock()
	b := h.bad[at]
	times := 0
	switch {
	case b == nil:
		if len(h.bad) >= maxPlaces {
			clear(h.bad)
		}
		h.bad[at], times = &refusals{since: req.Now, n: 1}, 1
	case req.Now.Sub(b.since) >= recordEvery || req.Now.Before(b.since):
		times = max(1, b.n) // those before, of which one was recorded, and this one
		*b = refusals{since: req.Now, n: 1}
	case b.n >= maxBad:
		h.mu.Unlock()
		return false
	default:
		b.n++
	}
	h.mu.Unlock()
	if times > 0 {
		h.opt.House.Unproven(ctx, service, req.From, times, err)
	}
	return true
}
