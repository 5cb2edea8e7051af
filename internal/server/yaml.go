package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

const (
	// topicYAML wakes servers that are to look at the services of the store.
	topicYAML = "yaml"
	// lookAtYAML is how often they look if nothing wakes them.
	lookAtYAML = 5 * time.Second
)

// onShelf is what this server has of the services of the store. Only who holds
// Server.reloads changes it.
type onShelf struct {
	mu     sync.Mutex
	base   *Loaded           // the files alone
	seen   map[string]int64  // the version that was looked at, by service
	active map[string]int64  // the version that asks are judged by, by service
	left   map[string]string // why a service is left out
}

func (o *onShelf) set(base *Loaded, heads map[string]head, f fitted) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.base, o.seen, o.active, o.left = base, map[string]int64{}, map[string]int64{}, f.left
	for name, h := range heads {
		o.seen[name] = h.Version
	}
	for _, name := range f.in {
		o.active[name] = heads[name].Version
	}
}

func (o *onShelf) now() (base *Loaded, seen, active map[string]int64, left map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base, o.seen, o.active, o.left
}

func (s *Server) shelf() shelf { return shelf{values: s.store.Values, clock: s.clock} }

// fitted is a configuration with the services of the store that fit in.
type fitted struct {
	next *Loaded
	in   []string
	left map[string]string // why the others don't
}

// fit adds services of the store to the files: all of must, else there are
// faults, and those of rest that go with them. check looks for more faults.
func fit(base *Loaded, must, rest []config.Document, check func(*Loaded) ([]bellhop.Fault, error)) (f fitted, faults []bellhop.Fault, err error) {
	try := func(docs []config.Document) (*Loaded, []bellhop.Fault, error) {
		next, faults, err := base.with(docs)
		if err == nil && len(faults) == 0 {
			faults, err = check(next)
		}
		return next, faults, err
	}
	in := slices.Concat(must, rest)
	if f.next, faults, err = try(byName(in)); err != nil {
		return f, nil, err
	}
	if len(faults) > 0 {
		in = slices.Clone(must)
		if _, faults, err = try(in); err != nil || len(faults) > 0 { // in this order, so that the last one is told of
			return f, faults, err
		}
		f.left = map[string]string{}
		for _, d := range rest {
			_, faults, err := try(append(in[:len(in):len(in)], d))
			if err != nil {
				return f, nil, err
			}
			if len(faults) > 0 {
				f.left[d.Service] = faultLines(faults)
				continue
			}
			in = append(in, d)
		}
		if f.next, faults, err = try(byName(in)); err != nil || len(faults) > 0 {
			return f, faults, err
		}
	}
	for _, d := range in {
		f.in = append(f.in, d.Service)
	}
	return f, nil, nil
}

// byName sorts, so that servers with the same services have the same
// configuration.
func byName(docs []config.Document) []config.Document {
	return slices.SortedFunc(slices.Values(docs), func(a, b config.Document) int { return cmp.Compare(a.Service, b.Service) })
}

// split sorts the services of the store into those that are active and others,
// each by name.
func split(docs map[string]config.Document, active map[string]int64) (must, rest []config.Document) {
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		if _, is := active[name]; is {
			must = append(must, docs[name])
		} else {
			rest = append(rest, docs[name])
		}
	}
	return must, rest
}

// withStored adds the services of the store at start. One that does not fit is
// left out: what the files say goes on, whatever the store has.
func (s *Server) withStored(ctx context.Context, base *Loaded) (*Loaded, error) {
	if s.opt.rehearsal != nil {
		return base, nil
	}
	heads, docs, err := s.readShelf(ctx)
	if err != nil {
		return nil, err
	}
	_, rest := split(docs, nil)
	f, faults, err := fit(base, nil, rest, func(next *Loaded) ([]bellhop.Fault, error) { return s.newFaults(ctx, next) })
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 { // of the files, which were looked at before
		return nil, bellhop.Errorf(bellhop.Invalid, "the configuration has faults, so nothing was started:\n%s", faultLines(faults))
	}
	s.tellLeft(f.left)
	s.held.set(base, heads, f)
	return f.next, nil
}

// WithStored is a configuration with the services of a store that no server of
// this process has, as far as they fit and can be read.
func (l *Loaded) WithStored(ctx context.Context, store *bellhop.Store) *Loaded {
	on := shelf{values: store.Values, clock: bellhop.SystemClock{}}
	heads, err := on.heads(ctx)
	if err != nil {
		return l
	}
	docs, err := on.documents(ctx, heads)
	if err != nil {
		return l
	}
	_, rest := split(docs, nil)
	f, faults, err := fit(l, nil, rest, func(*Loaded) ([]bellhop.Fault, error) { return nil, nil })
	if err != nil || len(faults) > 0 {
		return l
	}
	return f.next
}

func (s *Server) readShelf(ctx context.Context) (map[string]head, map[string]config.Document, error) {
	heads, err := s.shelf().heads(ctx)
	if err != nil {
		return nil, nil, err
	}
	docs, err := s.shelf().documents(ctx, heads)
	return heads, docs, err
}

// tellLeft tells of services that are left out, loudly: people miss them.
func (s *Server) tellLeft(left map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(left)) {
		s.log.Error("a service of the store is left out, because it does not go with the files; correct it, or remove it: bellhop yaml rm "+name, "service", name, "faults", left[name])
	}
}

// refit makes the configuration of files that were read again: what is active of
// the store has to go with them.
func (s *Server) refit(ctx context.Context, base *Loaded) (heads map[string]head, f fitted, faults []bellhop.Fault, err error) {
	check := func(next *Loaded) ([]bellhop.Fault, error) { return s.newFaults(ctx, next) }
	if s.opt.rehearsal != nil {
		f, faults, err = fit(base, nil, nil, check)
		return nil, f, faults, err
	}
	heads, docs, err := s.readShelf(ctx)
	if err != nil {
		return nil, f, nil, err
	}
	_, _, active, _ := s.held.now()
	must, rest := split(docs, active)
	f, faults, err = fit(base, must, rest, check)
	return heads, f, faults, err
}

// followShelf has this server take over what others of the store changed.
func (s *Server) followShelf() {
	if s.opt.rehearsal != nil || !s.store.Shared {
		return
	}
	woken, unsubscribe := s.bus.Subscribe(topicYAML)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err := s.takeOver(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("services of the store that another server changed can't be taken over yet", "error", err)
			}
			tick, stop := s.clock.NewTimer(lookAtYAML)
			select {
			case <-ctx.Done():
				stop()
				return
			case <-tick:
			case <-woken:
			}
			stop()
		}
	}()
	s.onStop(func(context.Context) { cancel(); unsubscribe(); <-done })
}

// takeOver makes active what another server changed. It was checked there, with
// files that may be others: what does not go with those of this server is left
// out here.
func (s *Server) takeOver(ctx context.Context) error {
	heads, err := s.shelf().heads(ctx)
	if err != nil || !s.changed(heads) {
		return err
	}
	s.reloads.Lock()
	defer s.reloads.Unlock()
	heads, docs, err := s.readShelf(ctx)
	if err != nil || !s.changed(heads) {
		return err
	}
	base, _, active, _ := s.held.now()
	must, rest := split(docs, active)
	f, faults, err := fit(base, nil, append(must, rest...), func(next *Loaded) ([]bellhop.Fault, error) { return s.newFaults(ctx, next) })
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return bellhop.Errorf(bellhop.Invalid, "the files have faults:\n%s", faultLines(faults))
	}
	if err := s.activateBy(f.next, "", func() error { return s.engine.Adopt(ctx, f.next.Catalog) }); err != nil {
		return err
	}
	s.followBrokers(ctx)
	s.held.set(base, heads, f)
	s.tellLeft(f.left)
	s.log.Info("services of the store were taken over, which another server changed", "services", strings.Join(f.in, ","))
	return nil
}

func (s *Server) changed(heads map[string]head) bool {
	_, seen, _, _ := s.held.now()
	now := map[string]int64{}
	for name, h := range heads {
		now[name] = h.Version
	}
	return !maps.Equal(seen, now)
}

// auditYAML is the action of who changes the services of the store.
const auditYAML = "yaml"

// PutYAML keeps a service and makes it active (api.YAMLs).
func (f front) PutYAML(ctx context.Context, p bellhop.Person, text []byte, only int64) (api.YAML, error) {
	if err := f.s.engine.MayManage(ctx, p, auditYAML); err != nil {
		return api.YAML{}, err
	}
	if len(text) > maxYAML {
		return api.YAML{}, &web.Problem{Status: 413, Code: bellhop.Invalid, Detail: fmt.Sprintf("the YAML has %d bytes, and %d are taken; make it several services", len(text), maxYAML)}
	}
	service, faults := config.ServiceOf(text)
	if len(faults) > 0 {
		return api.YAML{}, refusedYAML(faults)
	}
	return f.s.changeYAML(ctx, p, service, text, only)
}

// RemoveYAML takes a service out again. Its runs stay.
func (f front) RemoveYAML(ctx context.Context, p bellhop.Person, service string, only int64) (api.YAML, error) {
	if err := f.s.engine.MayManage(ctx, p, auditYAML); err != nil {
		return api.YAML{}, err
	}
	return f.s.changeYAML(ctx, p, service, nil, only)
}

func refusedYAML(faults []bellhop.Fault) error {
	return bellhop.Errorf(bellhop.Invalid, "the YAML has faults, so nothing was changed:\n%s", faultLines(faults))
}

// changeYAML makes a text the newest version of a service; nil removes it. All
// is checked first; then it is kept, and only then active, so that a crash in
// between loses nothing: a start reads what is kept.
func (s *Server) changeYAML(ctx context.Context, p bellhop.Person, service string, text []byte, only int64) (api.YAML, error) {
	if s.opt.rehearsal != nil {
		return api.YAML{}, bellhop.Errorf(bellhop.Unavailable, "a rehearsal keeps no services; put them into its file")
	}
	s.reloads.Lock()
	defer s.reloads.Unlock()
	if s.store.Shared {
		unlock, err := s.shelf().lock(ctx, s.name)
		if err != nil {
			return api.YAML{}, err
		}
		defer unlock()
	}
	heads, docs, err := s.readShelf(ctx)
	if err != nil {
		return api.YAML{}, err
	}
	old := heads[service]
	base, _, active, _ := s.held.now()
	if text != nil && old.there() && old.Sum == sumOf(text) {
		if active[service] == old.Version { // the same again changes nothing
			return old.YAML, nil
		}
	} else if err := mayFollow(old, service, text, only); err != nil {
		return api.YAML{}, err
	}
	f, faults, err := s.fitChange(ctx, base, docs, active, service, text)
	if err != nil {
		return api.YAML{}, err
	}
	if len(faults) > 0 {
		return api.YAML{}, refusedYAML(faults)
	}
	ctx = context.WithoutCancel(ctx) // who leaves now does not leave it half done
	if text == nil || !old.there() || old.Sum != sumOf(text) {
		if heads[service], err = s.keepYAML(ctx, p, old, service, text); err != nil {
			return api.YAML{}, err
		}
	}
	kept := heads[service]
	if err := s.activate(ctx, f.next, p); err != nil {
		return api.YAML{}, bellhop.Errorf(bellhop.Unavailable, "version %d of service %s is kept, and could not be made active; send the same again: %w", kept.Version, service, err)
	}
	s.followBrokers(ctx)
	s.held.set(base, heads, f)
	s.tellLeft(f.left)
	s.bus.Publish(topicYAML)
	if keys := startOnly(s.opt.Config, f.next); len(keys) > 0 {
		s.log.Warn("restart the server to use what changed and is read at start only", "changed", strings.Join(keys, ","))
	}
	s.log.Info("a service of the store changed", "service", service, "version", kept.Version, "by", kept.By, "removed", kept.Removed)
	return kept.YAML, nil
}

// mayFollow reports what keeps a text from following the newest version.
func mayFollow(old head, service string, text []byte, only int64) error {
	switch present := old.Version; {
	case text == nil && !old.there():
		return noYAML(service)
	case only >= 0 && !old.there() && only != 0:
		return bellhop.Errorf(bellhop.Conflict, "service %s is not in the store, so it has no version %d", service, only)
	case only >= 0 && old.there() && only != present:
		return bellhop.Errorf(bellhop.Conflict, "service %s has version %d by now, not %d; read it again (bellhop yaml get %[1]s)", service, present, only)
	}
	return nil
}

func noYAML(service string) error {
	return bellhop.Errorf(bellhop.NotFound, "the store has no service %.70q; bellhop yaml list shows those that it has, and what a file defines is changed there", service)
}

// fitChange checks a change with all that is active. What was left out so far is
// tried again, and keeps nobody from changing something else.
func (s *Server) fitChange(ctx context.Context, base *Loaded, docs map[string]config.Document, active map[string]int64, service string, text []byte) (fitted, []bellhop.Fault, error) {
	delete(docs, service)
	must, rest := split(docs, active)
	if text == nil { // what stays was checked, and nothing that it names goes
		return fit(base, must, rest, func(*Loaded) ([]bellhop.Fault, error) { return nil, nil })
	}
	must = append(must, config.Document{Service: service, Text: text})
	return fit(base, must, rest, func(next *Loaded) ([]bellhop.Fault, error) { return s.newFaults(ctx, next) })
}

// keepYAML records a version and writes it.
func (s *Server) keepYAML(ctx context.Context, p bellhop.Person, old head, service string, text []byte) (head, error) {
	who := s.engine.Identify(p)
	kept := s.shelf().next(old, service, who.Principal(), text)
	detail := fmt.Sprintf("service %s version %d", service, kept.Version)
	if kept.Removed {
		detail += ", which removes it"
	}
	err := s.engine.Record(ctx, &bellhop.AuditRecord{
		At: kept.At, Action: auditYAML, Principal: who.Principal(), Identity: p.Identity, Source: p.Source(), Service: service, Allowed: true, Rule: "admin", Detail: detail,
	})
	if err != nil {
		return kept, err
	}
	if err := s.shelf().put(ctx, kept, text); err != nil {
		return kept, err
	}
	if err := s.shelf().clear(ctx, kept); err != nil { // the next change does it
		s.log.Warn("old versions of a service could not be cleared away", "service", service, "error", err)
	}
	heads, err := s.shelf().heads(ctx)
	if err != nil {
		return kept, err
	}
	return heads[service], nil
}

// YAMLs lists the services of the store.
func (f front) YAMLs(ctx context.Context, p bellhop.Person) ([]api.YAML, error) {
	if err := f.s.engine.MayManage(ctx, p, auditYAML); err != nil {
		return nil, err
	}
	heads, err := f.s.shelf().heads(ctx)
	if err != nil {
		return nil, err
	}
	_, _, _, left := f.s.held.now()
	list := []api.YAML{}
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		if h := heads[name]; h.there() {
			h.LeftOut = left[name]
			list = append(list, h.YAML)
		}
	}
	return list, nil
}

// YAMLHistory lists the versions of a service, newest first.
func (f front) YAMLHistory(ctx context.Context, p bellhop.Person, service string) ([]api.YAML, error) {
	list, err := f.past(ctx, p, service)
	out := make([]api.YAML, len(list))
	for i, v := range list {
		out[i] = v.YAML
	}
	return out, err
}

func (f front) past(ctx context.Context, p bellhop.Person, service string) ([]version, error) {
	if err := f.s.engine.MayManage(ctx, p, auditYAML); err != nil {
		return nil, err
	}
	heads, err := f.s.shelf().heads(ctx)
	if err != nil {
		return nil, err
	}
	h, known := heads[service]
	if !known {
		return nil, noYAML(service)
	}
	list, _, err := f.s.shelf().past(ctx, h)
	return list, err
}

// YAMLText returns a version of a service; 0 = the newest.
func (f front) YAMLText(ctx context.Context, p bellhop.Person, service string, number int64) ([]byte, api.YAML, error) {
	list, err := f.past(ctx, p, service)
	if err != nil {
		return nil, api.YAML{}, err
	}
	i := slices.IndexFunc(list, func(v version) bool { return number == 0 || v.Version == number })
	switch {
	case i < 0:
		return nil, api.YAML{}, bellhop.Errorf(bellhop.NotFound, "there is no version %d of service %s, or not any more: the last %d are kept", number, service, maxPast)
	case list[i].Removed && number == 0:
		return nil, api.YAML{}, noYAML(service)
	case list[i].Removed:
		return nil, api.YAML{}, bellhop.Errorf(bellhop.NotFound, "version %d of service %s removed it, and has no text", number, service)
	}
	text, err := f.s.shelf().text(ctx, list[i])
	return text, list[i].YAML, err
}
