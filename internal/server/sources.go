package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/payload"
	"github.com/bellhop-io/bellhop/internal/secret"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// outsideLook is how often a source's stream looks for reports of servers that
// share the store.
const outsideLook = 2 * time.Second

// makeOutside builds the chats of outside sources, which are destinations of
// reports.
func (s *Server) makeOutside(cfg *Loaded) {
	s.outside = make(map[string]*outside.Chat)
	if r := s.opt.rehearsal; r != nil && !r.opt.Listen {
		return
	}
	look := time.Duration(0)
	if s.store.Shared {
		look = outsideLook
	}
	for _, c := range cfg.Sources {
		s.outside[c.Name] = outside.New(outside.Options{
			Name: c.Name, House: outsideHouse{house{s}, c.Name}, Values: s.store.Values, Clock: zoned{s.clock, cfg.Location}, Log: s.log,
			Silent: c.Silent, URL: c.URL, Look: look,
			Secret: func(ctx context.Context) (string, error) { return s.revealed(ctx, c.Secret) },
		})
	}
}

// revealed is a value of the configuration, or the secret that it names: as it
// is at this moment.
func (s *Server) revealed(ctx context.Context, value string) (string, error) {
	if _, is := bellhop.SecretName(value); !is {
		return value, nil
	}
	return secret.Resolve(ctx, s.seals.vault, value)
}

// outsideHouse is Bellhop for one outside source (outside.House).
type outsideHouse struct {
	house
	source string
}

// Ask has a job done, as the API does by its name: what is asked for twice under
// two keys is two runs.
func (h outsideHouse) Ask(ctx context.Context, ev bellhop.Event, service, job string, args bellhop.Args) (bellhop.Answer, error) {
	s := h.s
	if err := s.open(ctx); err != nil {
		return bellhop.Answer{}, err
	}
	s.swap.RLock()
	defer s.swap.RUnlock()
	ev.Person = s.engine.Identify(ev.Person).Person
	service, job = strings.ToLower(service), strings.ToLower(job)
	bound, err := s.engine.Bind(ctx, ev.Person, service, job, args)
	if err != nil {
		return s.hide(bellhop.Answer{}, err)
	}
	return s.hide(s.carryOut(ctx, ev, bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: job, Args: bound, OnRepeat: bellhop.OnRepeatQueue}))
}

// Feed asks for what every entry wants that is for the data.
func (h outsideHouse) Feed(ctx context.Context, key string, data []byte, o bellhop.Origin) (runs []outside.Fed, ignored string, err error) {
	s := h.s
	if err := s.open(ctx); err != nil {
		return nil, "", err
	}
	event, err := payload.Read("", data)
	if err != nil {
		return nil, "", err
	}
	s.swap.RLock()
	defer s.swap.RUnlock()
	ignored = "no service has an entry for data of " + h.source + " (sources:)"
	all := s.engine.SourceEntries(h.source)
	for i := range all {
		x := &all[i]
		if why := event.Meets(x.When); why != "" {
			ignored = why
			continue
		}
		fed, err := h.feed(ctx, x, x.Principal()+"/"+key, event, o)
		if err != nil { // nothing is lost: it is sent again
			return nil, "", err
		}
		runs = append(runs, fed)
	}
	if len(runs) > 0 {
		ignored = ""
	}
	return runs, s.seals.hidden.Text(ignored), nil
}

// feed asks for one run. An error says that it may be asked for again.
func (h outsideHouse) feed(ctx context.Context, x *bellhop.SourceEntry, key string, event payload.Payload, o bellhop.Origin) (outside.Fed, error) {
	fed := outside.Fed{Service: x.Service, Entry: x.Name}
	args, err := event.Fill(x.Args)
	var got *bellhop.Accepted
	if err == nil {
		got, err = h.s.engine.Feed(ctx, x, key, args, o)
	}
	switch code := bellhop.CodeOf(err); code {
	case "":
		fed.Run, fed.How = got.Run, got.How
	case bellhop.Unavailable, bellhop.Internal:
		return fed, err
	default:
		h.s.log.Error("data of a source brought no run", "entry", x.Principal(), "source", h.source, "error", err)
		fed.Error, fed.Text = code, h.s.seals.hidden.Text(err.Error())
	}
	return fed, nil
}

func (h outsideHouse) Waiting(ctx context.Context, n int) ([]bellhop.OutboxRow, error) {
	return h.s.store.Outbox.Unread(ctx, "", bellhop.OutsideSession(h.source), n)
}

func (h outsideHouse) Compose(ctx context.Context, row bellhop.OutboxRow) (bellhop.Report, error) {
	return h.s.reporter.Compose(ctx, row)
}

func (h outsideHouse) News() (<-chan struct{}, func()) { return h.s.bus.Subscribe(bellhop.TopicOutbox) }

func (h outsideHouse) Delivered(ctx context.Context, id int64, ref string) error {
	return h.s.store.Outbox.Settle(context.WithoutCancel(ctx), []bellhop.Settlement{{ID: id, State: bellhop.ReportDelivered, Ref: ref, Now: h.s.clock.Now()}})
}

// sources is Bellhop for the requests of outside sources (api.Sources).
type sources struct {
	s     *Server
	of    func(*http.Request) (string, error)
	rates *rates // of people
}

// Of is the source whose token a request shows.
func (x sources) Of(r *http.Request) (string, error) { return x.of(r) }

// outsideOf is the chat of a source that this server has.
func (s *Server) outsideOf(source string) (*outside.Chat, error) {
	own := s.outside[source]
	if own == nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "source %s is new in the configuration; restart the server to use it", source)
	}
	return own, nil
}

func (x sources) Register(ctx context.Context, source string, shows outside.Shows) (api.Source, error) {
	own, err := x.s.outsideOf(source)
	if err != nil {
		return api.Source{}, err
	}
	if err := own.Register(ctx, shows); err != nil {
		return api.Source{}, err
	}
	cfg := x.s.config.Load()
	got := api.Source{Source: source, Bot: cfg.Catalog.Bot, Shows: shows, People: map[string]string{}, Entries: []api.SourceEntry{}}
	if i := slices.IndexFunc(cfg.Sources, func(c config.Source) bool { return c.Name == source }); i >= 0 {
		got.Description = cfg.Sources[i].Description
	}
	for identity, name := range x.s.engine.SourcePeople(source) {
		got.People[strings.TrimPrefix(identity, source+":")] = name
	}
	for _, e := range x.s.engine.SourceEntries(source) {
		got.Entries = append(got.Entries, api.SourceEntry{Service: e.Service, Name: e.Name, Job: e.Job})
	}
	got.Reports, err = x.reports(ctx, source, own)
	return got, err
}

// reports says how a source has its reports, and how many it does not have yet.
func (x sources) reports(ctx context.Context, source string, own *outside.Chat) (api.SourceReports, error) {
	got := api.SourceReports{By: "stream"}
	if own.Posts() {
		got.By = "url"
	}
	rows, err := outsideHouse{house{x.s}, source}.Waiting(ctx, 1000)
	if got.Waiting = len(rows); got.Waiting > 0 {
		got.Oldest = strconv.FormatInt(rows[0].ID, 10)
	}
	return got, err
}

func (x sources) Hear(ctx context.Context, source string, e *outside.Event) (outside.Reply, error) {
	own, err := x.s.outsideOf(source)
	if err != nil {
		return outside.Reply{}, err
	}
	if e.Person != "" {
		if err := x.ownPerson(source, e.Person); err != nil {
			return outside.Reply{}, err
		}
		who := x.s.engine.Identify(bellhop.Person{Identity: source + ":" + e.Person})
		if err := x.rates.take(who.Principal()); err != nil {
			return outside.Reply{}, err
		}
	}
	return own.Hear(ctx, e)
}

// ownPerson refuses somebody who is written as another source has them. (They
// would be somebody else all the same: a source has its own people alone.)
func (x sources) ownPerson(source, person string) error {
	of, name, ok := strings.Cut(person, ":")
	if !ok {
		return nil
	}
	cfg := x.s.config.Load()
	if of == source {
		return bellhop.Errorf(bellhop.Invalid, "person is %.60q; write who it is as the source itself knows them, without %s: before it", person, source)
	}
	if cfg.IsSource(of) && name != "" {
		return bellhop.Errorf(bellhop.Invalid, "person is %.60q, who would be one of %s; a source speaks for its own people alone", person, of)
	}
	return nil
}

func (x sources) Reports(ctx context.Context, source, last string, fn func(*outside.Report) error) error {
	own, err := x.s.outsideOf(source)
	if err != nil {
		return err
	}
	return own.Stream(ctx, last, fn)
}

func (x sources) Ack(ctx context.Context, source, report, reference string) error {
	own, err := x.s.outsideOf(source)
	if err != nil {
		return err
	}
	return own.Ack(ctx, report, reference)
}
