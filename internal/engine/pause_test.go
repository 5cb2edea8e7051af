package engine_test

import (
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestWhoMayPauseASchedule: internal people who may have its job done with its
// arguments, and admins. Either is recorded.
func TestWhoMayPauseASchedule(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(func(cat *bellhop.Catalog) {
		cat.Services[0].Jobs[0].Approve = nil
		cat.Services[0].Jobs[0].Allow = []bellhop.Rule{
			{People: []string{"ada"}}, {People: []string{"cy"}, When: map[string][]string{"env": {"staging"}}}, {People: []string{"ssh:guest"}},
		}
		cat.Access.Admins = []bellhop.Rule{{People: []string{"bea"}}}
	})
	schedule := func(env string) *bellhop.Schedule {
		return &bellhop.Schedule{Service: "site", Name: "nightly", Job: "deploy", Args: bellhop.Args{"env": bellhop.Text(env)}}
	}
	for _, c := range []struct {
		who  bellhop.Person
		env  string
		want bool
	}{
		{opsAda, "production", true},
		{devCy, "production", false}, {devCy, "staging", true},
		{opsBea, "production", true},
		{guest, "staging", false},
		{bellhop.Person{Identity: "schedule:site/nightly"}, "production", false},
	} {
		for _, action := range []bellhop.Action{bellhop.ActionPauseSchedule, bellhop.ActionResumeSchedule} {
			err := a.MayPauseSchedule(t.Context(), bellhop.Invocation{Key: "k", Action: action, Person: c.who}, schedule(c.env))
			if (err == nil) != c.want || err != nil && bellhop.CodeOf(err) != bellhop.NotAllowed {
				t.Errorf("%s by %s, %s: %v", action, c.who.Identity, c.env, err)
			}
			if rec := a.last(); rec.Allowed != c.want || rec.Action != string(action) || rec.Service != "site" || rec.Job != "deploy" || rec.Identity != c.who.Identity {
				t.Errorf("%s by %s: the trail has %+v", action, c.who.Identity, rec)
			}
		}
	}
}
