package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// usergroup is a chat's directory: U4, and U7 who is a guest there, are in S1.
type usergroup struct{}

func (usergroup) Member(_ context.Context, group, identity string, _ bool) (bool, error) {
	switch group {
	case "slack-usergroup:S1":
		return identity == "slack:T1/U4" || identity == "slack:T1/U7", nil
	case "slack-channel-members:C9":
		return false, bellhop.Errorf(bellhop.Unavailable, "the chat is away")
	}
	return false, nil
}

func matrixCatalog() *bellhop.Catalog {
	rule := func(change func(*bellhop.Rule)) bellhop.Rule {
		r := bellhop.Rule{Pos: bellhop.Position{File: "bellhop.yaml", Line: 7, Col: 1}}
		change(&r)
		return r
	}
	groups := func(names ...string) bellhop.Rule {
		return rule(func(r *bellhop.Rule) { r.Groups = names })
	}
	service := func(name string, change func(*bellhop.Service)) bellhop.Service {
		s := bellhop.Service{Name: name, Jobs: []bellhop.Job{job(name, "deploy", nil)}}
		s.Entries = []bellhop.Entry{{Service: name, Name: "e", Pattern: "deploy [env]", Action: bellhop.ActionRun, Job: "deploy"}}
		change(&s)
		return s
	}
	return &bellhop.Catalog{
		Access: bellhop.Access{
			Peopled: true,
			People: []bellhop.Member{
				{Name: "alice", Identities: []string{"slack:T1/U1", "ssh:alice"}, Groups: []string{"ops"}},
				{Name: "bob", Identities: []string{"slack:T1/U2", "ssh:bob"}, Groups: []string{"dev"}},
				{Name: "carol", Identities: []string{"ssh:carol"}},
				{Name: "dora", Identities: []string{"slack:T1/U4", "ssh:dora"}},
				{Name: "gone", Identities: []string{"slack:T1/U5"}, Groups: []string{"ops"}},
			},
			Admins: []bellhop.Rule{rule(func(r *bellhop.Rule) { r.People = []string{"carol"} })},
		},
		Services: []bellhop.Service{
			service("open", func(s *bellhop.Service) {}),
			service("closed", func(s *bellhop.Service) { s.Restricted = true }),
			service("ops", func(s *bellhop.Service) { s.Allow = []bellhop.Rule{groups("ops")} }),
			service("prod", func(s *bellhop.Service) {
				s.Restricted = true
				s.Jobs[0].Allow = []bellhop.Rule{groups("ops"), rule(func(r *bellhop.Rule) {
					r.Groups, r.When = []string{"dev"}, map[string][]string{"env": {"staging"}}
				})}
			}),
			service("channel", func(s *bellhop.Service) {
				s.Allow = []bellhop.Rule{rule(func(r *bellhop.Rule) { r.Groups, r.In = []string{"internal"}, []string{"slack:C1"} })}
			}),
			service("shell", func(s *bellhop.Service) {
				s.Allow = []bellhop.Rule{rule(func(r *bellhop.Rule) { r.Sources = []string{"ssh", "local"} })}
			}),
			service("refused", func(s *bellhop.Service) {
				s.Allow = []bellhop.Rule{rule(func(r *bellhop.Rule) { r.People, r.Refuse = []string{"bob"}, true }), groups("internal")}
			}),
			service("usergroup", func(s *bellhop.Service) { s.Allow = []bellhop.Rule{groups("slack-usergroup:S1")} }),
			service("away", func(s *bellhop.Service) { s.Allow = []bellhop.Rule{groups("slack-channel-members:C9")} }),
			service("reminded", func(s *bellhop.Service) {
				s.Allow = []bellhop.Rule{groups("ops"), rule(func(r *bellhop.Rule) { r.People, r.In = []string{"slack:reminder"}, []string{"slack:C1"} })}
			}),
			service("entry", func(s *bellhop.Service) { s.Entries[0].Allow = []bellhop.Rule{groups("ops")} }),
			service("narrow", func(s *bellhop.Service) { // a command can't open what its service closes
				s.Restricted = true
				s.Entries[0].Allow = []bellhop.Rule{rule(func(*bellhop.Rule) {})}
			}),
		},
	}
}

// matrix is who may do what: a row is somebody in some place, and a column a
// wish, in the order of matrixWishes.
const matrix = `
owner   local:root  -         +- -- -- -- -- +- -- -- -- -- -- --  - - +-  + - -
carol   ssh:carol   -         ++ ++ -- -- -- ++ ++ -- -- -- -- ++  + + +-  + + -
alice   ssh:alice   -         ++ ++ ++ ++ -- ++ ++ -- -- ++ ++ ++  + + ++  - + +
alice   slack:T1/U1 C1        ++ ++ ++ ++ ++ -- ++ -- -- ++ ++ ++  + + ++  - + +
alice   slack:T1/U1 C2        ++ ++ ++ ++ -- -- ++ -- -- ++ ++ ++  + + ++  - + +
alice   slack:T1/U1 -         ++ ++ ++ ++ -- -- ++ -- -- ++ ++ ++  + + ++  - + +
bob     ssh:bob     -         ++ ++ -- s- -- ++ -- -- -- -- -- ++  + + +-  - + -
bob     slack:T1/U2 C1        ++ ++ -- s- ++ -- -- -- -- -- -- ++  + + +-  - + -
dora    ssh:dora    -         ++ ++ -- -- -- ++ ++ ++ -- -- -- ++  + + +-  - + -
dora    slack:T1/U4 C1        ++ ++ -- -- ++ -- ++ ++ -- -- -- ++  + + +-  - + -
stranger ssh:eve    -         +- -- -- -- -- +- -- -- -- -- -- --  - - +-  - - -
stranger slack:T1/U6 C1       +- -- -- -- -- -- -- -- -- -- -- --  - - +-  - - -
outside slack:T1/U7 C1        +- -- -- -- -- -- -- -- -- -- -- --  - - +-  - - -
outside slack:T1/U5 C1        +- -- -- -- -- -- -- -- -- -- -- --  - - +-  - - -
outside slack:T2/U1 C1        +- -- -- -- -- -- -- -- -- -- -- --  - - +-  - - -
outside slack:reminder C1     +- -- -- -- -- -- -- -- -- +- -- --  - - +-  - - -
outside slack:reminder C2     +- -- -- -- -- -- -- -- -- -- -- --  - - +-  - - -
`

// matrixServices are the columns of two: whether a run of production (s: of
// staging alone) may be asked for, and whether the job may be paused.
var matrixServices = []string{"open", "closed", "ops", "prod", "channel", "shell", "refused", "usergroup", "away", "reminded", "entry", "narrow"}

// TestTheAccessMatrix has every kind of person ask for every kind of thing from
// every kind of place. Each refusal is in the audit trail when it is told.
func TestTheAccessMatrix(t *testing.T) {
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Admin.Close()
	e := engine.New(engine.Options{Store: store, Bus: &bus.Local{}, Directory: usergroup{}, AuditKey: make([]byte, bellhop.AuditKeySize)})
	if err := e.Activate(t.Context(), matrixCatalog()); err != nil {
		t.Fatal(err)
	}
	m := &matrixTest{T: t, e: e, store: store}
	alice := bellhop.Person{Identity: "ssh:alice"}
	old := m.must(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "prod", Job: "deploy", Entry: "e", Args: bellhop.Args{"env": bellhop.Text("production")}})
	m.old = old.Accepted.Run
	plain := m.must(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "closed", Job: "deploy", Entry: "e", Args: bellhop.Args{"env": bellhop.Text("x")}})
	m.plain = plain.Accepted.Run
	for row := range strings.Lines(strings.TrimSpace(matrix)) {
		f := strings.Fields(row)
		p := bellhop.Person{Identity: f[1], Outside: f[0] == "outside", Listed: f[0] == "owner"}
		if f[2] != "-" {
			p.Channel = f[2]
		}
		t.Run(strings.Join(f[:3], " "), func(t *testing.T) { m.T = t; m.row(p, f[3:]) })
	}
	if m.cells < 400 {
		t.Errorf("only %d cells", m.cells)
	}
}

type matrixTest struct {
	*testing.T
	e          *engine.Engine
	store      *bellhop.Store
	old, plain bellhop.RunID
	keys       int
	cells      int
}

func (m *matrixTest) must(p bellhop.Person, inv bellhop.Invocation) bellhop.Answer {
	m.Helper()
	a, err := m.ask(p, inv)
	if err != nil {
		m.Fatal(err)
	}
	return a
}

func (m *matrixTest) ask(p bellhop.Person, inv bellhop.Invocation) (bellhop.Answer, error) {
	m.keys++
	inv.Key, inv.Person = fmt.Sprintf("matrix/%d", m.keys), p
	return m.e.Do(m.Context(), inv)
}

func (m *matrixTest) row(p bellhop.Person, want []string) {
	for i, service := range matrixServices {
		run := func(env string) bellhop.Invocation {
			return bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: "deploy", Entry: "e", Args: bellhop.Args{"env": bellhop.Text(env)}}
		}
		m.cell(p, "run "+service+" production", run("production"), want[i][0] == '+')
		m.cell(p, "run "+service+" staging", run("staging"), want[i][0] != '-')
		m.cell(p, "pause "+service, bellhop.Invocation{Action: bellhop.ActionPause, Service: service, Job: "deploy"}, want[i][1] == '+' || m.admin(p))
	}
	want = want[len(matrixServices):]
	m.cell(p, "logs of another's", bellhop.Invocation{Action: bellhop.ActionLogs, Run: m.plain}, want[0] == "+")
	m.cell(p, "why of another's", bellhop.Invocation{Action: bellhop.ActionWhy, Run: m.plain}, want[1] == "+")
	m.cell(p, "status", bellhop.Invocation{Action: bellhop.ActionStatus}, want[2][0] == '+')
	m.cell(p, "cancel of production", bellhop.Invocation{Action: bellhop.ActionCancel, Service: "prod", Job: "deploy", Entry: "e", Args: bellhop.Args{"env": bellhop.Text("none")}}, want[2][1] == '+')
	if got := m.e.MayManage(m.Context(), p, "manage") == nil; got != (want[3] == "+") {
		m.Errorf("admin: %v", got)
	}
	if got := m.e.Identify(p).Internal; got != (want[4] == "+") {
		m.Errorf("internal: %v", got)
	}
	m.cell(p, "logs of production", bellhop.Invocation{Action: bellhop.ActionLogs, Run: m.old}, want[5] == "+")
	m.cells += 2
}

func (m *matrixTest) admin(p bellhop.Person) bool {
	return m.e.MayManage(m.Context(), p, "manage") == nil
}

// cell asks once, and looks whether a refusal was recorded.
func (m *matrixTest) cell(p bellhop.Person, what string, inv bellhop.Invocation, want bool) {
	m.Helper()
	m.cells++
	_, err := m.ask(p, inv)
	switch code := bellhop.CodeOf(err); {
	case want && err != nil:
		m.Errorf("%s: refused: %v", what, err)
	case !want && err == nil:
		m.Errorf("%s: allowed", what)
	case !want && code != bellhop.NotAllowed:
		m.Errorf("%s: %v", what, err)
	}
	if err == nil {
		return
	}
	recs, _, aerr := m.store.Audit.Records(m.Context(), bellhop.AuditFilter{Limit: 1})
	if aerr != nil || len(recs) != 1 || recs[0].Allowed || recs[0].Identity != p.Identity || recs[0].Action != string(inv.Action) || recs[0].Rule == "" {
		m.Errorf("%s: the trail ends with %+v, %v", what, recs, aerr)
	}
}
