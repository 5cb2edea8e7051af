package server

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// front is what the API needs of a server (api.Front).
type front struct{ s *Server }

func (f front) Desk(p bellhop.Person, source, session string) chat.Desk {
	return f.s.desk(p, source, session)
}

func (f front) Do(ctx context.Context, p bellhop.Person, source, session, key string, inv bellhop.Invocation) (bellhop.Answer, error) {
	d := &desk{s: f.s, person: p, source: source, session: session}
	if inv.Action == bellhop.ActionRetry || inv.Action == bellhop.ActionRun || inv.Action == bellhop.ActionRunSchedule { // it makes a run, as an ask does
		if err := f.s.open(ctx); err != nil {
			return bellhop.Answer{}, err
		}
	}
	return d.do(ctx, key, inv)
}

func (f front) Runs(ctx context.Context, p bellhop.Person, filter bellhop.RunFilter) ([]bellhop.Run, error) {
	if filter.Principal != "" && filter.Principal == p.Principal() { // one's own, under the name that records keep
		filter.Principal = f.s.engine.Identify(p).Principal()
	}
	return f.s.engine.Runs(ctx, p, filter)
}

func (f front) Search(ctx context.Context, p bellhop.Person, search bellhop.RunSearch) (bellhop.RunPage, error) {
	if search.Principal != "" && search.Principal == p.Principal() { // as in Runs
		search.Principal = f.s.engine.Identify(p).Principal()
	}
	return f.s.engine.Search(ctx, p, search)
}

func (f front) Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error) {
	return f.s.engine.Run(ctx, p, id)
}

func (f front) Output(ctx context.Context, p bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	return f.s.engine.ReadOutput(ctx, p, id, attempt, seq, follow, fn)
}

// Services and Watch are what somebody may see of everything (api.Look).
func (f front) Services(ctx context.Context, p bellhop.Person) ([]bellhop.Service, error) {
	return f.s.engine.Services(ctx, p), nil
}

func (f front) Watch(ctx context.Context, p bellhop.Person, after bellhop.RunID, fn func([]*bellhop.Run) error) error {
	return f.s.engine.Watch(ctx, p, after, fn)
}

func (f front) Bind(ctx context.Context, p bellhop.Person, service, job string, args bellhop.Args) (bellhop.Args, error) {
	return f.s.engine.Bind(ctx, p, service, job, args)
}

// CreateToken, Tokens and RemoveToken are for admins (api.Tokens).
func (f front) CreateToken(ctx context.Context, p bellhop.Person, t bellhop.Token) (string, error) {
	return f.s.engine.CreateToken(ctx, p, t)
}

func (f front) Tokens(ctx context.Context, p bellhop.Person) ([]bellhop.Token, error) {
	return f.s.engine.Tokens(ctx, p)
}

func (f front) RemoveToken(ctx context.Context, p bellhop.Person, name string) error {
	return f.s.engine.RemoveToken(ctx, p, name)
}

func (f front) Server() api.Server {
	return api.Server{
		Version: f.s.opt.Version, PID: os.Getpid(), Config: f.s.config.Load().Path,
		Zone: f.s.config.Load().Location.String(), Solo: f.s.opt.Solo, Working: append([]bellhop.RunID{}, f.s.runner.Working()...),
	}
}

// Reload reads the configuration again. With any fault the old one stays.
func (f front) Reload(ctx context.Context, p bellhop.Person) (api.Reloaded, error) {
	if err := f.s.engine.MayManage(ctx, p, "reload"); err != nil {
		return api.Reloaded{}, err
	}
	return f.s.ReloadFor(ctx, p)
}

// Reload reads the configuration again. With any fault the old one stays. What
// can't change while the server runs (listeners, store, lease, slots) is kept
// as it is, which the answer and a warning in the log name.
func (s *Server) Reload(ctx context.Context) (api.Reloaded, error) {
	return s.ReloadFor(ctx, bellhop.Person{})
}

// ReloadFor is Reload for a person who wanted it; the zero Person is a signal.
func (s *Server) ReloadFor(ctx context.Context, p bellhop.Person) (api.Reloaded, error) {
	s.reloads.Lock()
	defer s.reloads.Unlock()
	base, faults, err := Load(s.config.Load().Path)
	if err != nil {
		return api.Reloaded{}, err
	}
	var heads map[string]head
	var f fitted
	if len(faults) == 0 {
		if heads, f, faults, err = s.refit(ctx, base); err != nil {
			return api.Reloaded{}, err
		}
	}
	if len(faults) > 0 {
		return api.Reloaded{}, bellhop.Errorf(bellhop.Invalid, "the configuration has faults, so the old one stays:\n%s", faultLines(faults))
	}
	next := f.next
	if err := s.activate(ctx, next, p); err != nil {
		return api.Reloaded{}, err
	}
	s.held.set(base, heads, f)
	s.tellLeft(f.left)
	s.followBrokers(ctx)
	got := api.Reloaded{Services: len(next.Catalog.Services), Restart: startOnly(s.opt.Config, next)}
	if len(got.Restart) > 0 {
		s.log.Warn("restart the server to use what changed and is read at start only", "changed", strings.Join(got.Restart, ","))
	}
	for _, svc := range next.Catalog.Services {
		got.Jobs += len(svc.Jobs)
	}
	s.log.Info("configuration reloaded", "services", got.Services, "jobs", got.Jobs)
	return got, nil
}

// activate makes a configuration the one that asks are judged by.
func (s *Server) activate(ctx context.Context, next *Loaded, p bellhop.Person) error {
	by := ""
	if p.Identity != "" {
		by = s.engine.Identify(p).Principal()
	}
	return s.activateBy(next, by, func() error { return s.engine.ActivateFor(ctx, next.Catalog, p) })
}

// activation is when a configuration became the active one here, and who wanted
// it; by "" is nobody: a start, a signal, or another server.
type activation struct {
	at time.Time
	by string
}

func (s *Server) activateBy(next *Loaded, by string, do func() error) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := do(); err != nil {
		return err
	}
	s.config.Store(next)
	s.table.Store(next.table)
	s.activated.Store(&activation{s.clock.Now(), by})
	return nil
}

// startOnly returns the keys, sorted, that only a start reads and that are not
// as they were when the server started.
func startOnly(started, now *Loaded) (keys []string) {
	for _, k := range []struct {
		key  string
		same bool
	}{
		{"chats", slices.EqualFunc(started.Chats, now.Chats, sameChat)},
		{"grace", started.Grace == now.Grace},
		{"lease", started.Lease == now.Lease},
		{"log", started.Log == now.Log},
		{"runner", started.Runner == now.Runner},
		{"sources", slices.EqualFunc(started.Sources, now.Sources, sameSource)},
		{"store", started.Store == now.Store},
		{"web", sameWeb(started.Web, now.Web)},
	} {
		if !k.same {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// Backup copies the store to a new file.
func (f front) Backup(ctx context.Context, p bellhop.Person, path string) error {
	if err := f.s.engine.MayManage(ctx, p, "backup"); err != nil {
		return err
	}
	rec := &bellhop.AuditRecord{
		At: f.s.clock.Now(), Action: "backup", Principal: f.s.engine.Identify(p).Principal(), Identity: p.Identity, Source: p.Source(), Allowed: true, Detail: path,
	}
	if err := f.s.engine.Record(ctx, rec); err != nil {
		return err
	}
	if !filepath.IsAbs(path) {
		return bellhop.Errorf(bellhop.Invalid, "the backup's path %.200q is not absolute", path)
	}
	return f.s.store.Admin.Backup(ctx, path)
}

// Handover makes an `ask` that serves itself claim no more and leave when what
// it runs has ended.
func (f front) Handover(ctx context.Context, p bellhop.Person) (api.Server, error) {
	if err := f.s.engine.MayManage(ctx, p, "handover"); err != nil {
		return api.Server{}, err
	}
	if !f.s.opt.Solo {
		return api.Server{}, bellhop.Errorf(bellhop.Conflict, "this is a server, which does not make way; stop it first")
	}
	f.s.leave.Do(func() {
		f.s.stopping.Store(true)
		f.s.runner.StopClaiming()
		go func() {
			f.s.runner.Stop(context.Background()) // however long it takes
			close(f.s.left)
		}()
	})
	return f.Server(), nil
}

// Socket returns where the control socket is, once started.
func (s *Server) Socket() string { return s.socket }

// Audit lists records of the audit trail.
func (f front) Audit(ctx context.Context, p bellhop.Person, filter bellhop.AuditFilter) ([]bellhop.AuditRecord, int64, error) {
	return f.s.engine.Audited(ctx, p, filter)
}

// VerifyAudit looks whether the audit trail is as it was written.
func (f front) VerifyAudit(ctx context.Context, p bellhop.Person) (api.AuditCheck, error) {
	check, err := f.s.engine.VerifyAudit(ctx, p)
	return api.AuditCheck(check), err
}

func sameChat(a, b config.Chat) bool {
	a.Pos, b.Pos = bellhop.Position{}, bellhop.Position{}
	return reflect.DeepEqual(a, b)
}

func sameSource(a, b config.Source) bool {
	a.Pos, b.Pos, a.Description, b.Description = bellhop.Position{}, bellhop.Position{}, "", ""
	return a == b
}

func sameWeb(a, b *config.Web) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Pos, y.Pos = bellhop.Position{}, bellhop.Position{}
	return reflect.DeepEqual(x, y)
}
