package server

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

func TestPersonOf(t *testing.T) {
	peopled := bellhop.Access{Peopled: true, People: []bellhop.Member{
		{Name: "alice", Identities: []string{"slack:T1/U1", "ssh:al"}},
		{Name: "ghost"},
	}}
	for _, c := range []struct {
		access       bellhop.Access
		source, name string
		want         bellhop.Person
		fault        string
	}{
		{access: bellhop.Access{}, name: "alice", want: bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: true}},
		{access: bellhop.Access{}, name: "ssh:carol", want: bellhop.Person{Identity: "ssh:carol", Name: "carol"}},
		{access: peopled, source: "slack", name: "alice", want: bellhop.Person{Identity: "slack:T1/U1"}},
		{access: peopled, source: "ssh", name: "alice", want: bellhop.Person{Identity: "ssh:al", Name: "al"}},
		{access: peopled, source: "console", name: "alice", want: bellhop.Person{Identity: "slack:T1/U1"}},
		{access: peopled, name: "slack:T1/U9", want: bellhop.Person{Identity: "slack:T1/U9"}},
		{access: peopled, name: "ghost", fault: "has no identity"},
		{access: peopled, name: "bob", fault: "has no bob (it has: alice, ghost)"},
	} {
		got, err := personOf(c.access, c.source, c.name)
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s of %q is %+v (%v), want %+v (%s)", c.name, c.source, got, err, c.want, c.fault)
		}
	}
}
