package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Identify says who a person is to the active configuration. With `people:`,
// the name of a principal belongs to those listed under it alone: whatever a
// proof calls somebody, others are known by their identity.
func (e *Engine) Identify(p bellhop.Person) bellhop.Principal {
	cat := e.active.Load()
	if p.As != "" && !p.Outside {
		return cat.asPerson(p)
	}
	if !cat.Access.Peopled {
		if p.Outside {
			p.Name = ""
		}
		return bellhop.Principal{Person: p, Internal: p.Listed && !p.Outside}
	}
	p.Name = ""
	m := cat.people[p.Identity]
	if m == nil || p.Outside {
		return bellhop.Principal{Person: p}
	}
	p.Name = m.Name
	return bellhop.Principal{Person: p, Internal: true, Groups: m.Groups}
}

// Named returns one of `people:` as they would be by their first identity, for
// questions about somebody who is not here.
func (e *Engine) Named(name string) (bellhop.Person, error) {
	cat := e.active.Load()
	for i := range cat.Access.People {
		m := &cat.Access.People[i]
		if m.Name != strings.ToLower(name) {
			continue
		}
		p := bellhop.Person{Identity: m.Name, Name: m.Name}
		if len(m.Identities) > 0 {
			p.Identity = m.Identities[0]
		}
		return p, nil
	}
	if strings.Contains(name, ":") { // an identity, of anybody
		return bellhop.Person{Identity: name}, nil
	}
	if !cat.Access.Peopled {
		return bellhop.Person{}, bellhop.Errorf(bellhop.NotFound, "nobody is called %.40q, since the configuration has no people:; name an identity, such as ssh:%[1]s", name)
	}
	return bellhop.Person{}, bellhop.Errorf(bellhop.NotFound, "nobody in people: is called %.40q; name one of those, or an identity, such as ssh:alice", name)
}

// groups answers whether one principal belongs to groups, for one decision.
type groups struct {
	e     *Engine
	ctx   context.Context
	who   bellhop.Principal
	fresh bool // ask the chats anew
	asked bool // a chat was asked: what it said may be old
	away  bool // a chat could not be asked
}

func (g *groups) has(group string) bool {
	switch {
	case g.who.Outside:
		return false
	case group == bellhop.GroupInternal:
		return g.who.Internal
	case slices.Contains(g.who.Groups, group):
		return true
	case !strings.Contains(group, ":") || g.e.directory == nil:
		return false
	}
	g.asked = true
	for _, identity := range g.identities(group) {
		ok, err := g.e.directory.Member(g.ctx, group, identity, g.fresh)
		if err != nil {
			g.away = true
			g.e.log.Warn("a chat can't say who belongs to a group, so nobody does", "group", group, "error", err)
			continue
		}
		if ok {
			return true
		}
	}
	return false
}

// identities returns those of the principal that the chat of a group knows:
// somebody who speaks over SSH is in a group of Slack by their identity there.
func (g *groups) identities(group string) []string {
	source, _, _ := strings.Cut(group, "-")
	var list []string
	add := func(identity string) {
		if strings.HasPrefix(identity, source+":") && !slices.Contains(list, identity) {
			list = append(list, identity)
		}
	}
	add(g.who.Identity)
	if g.who.Internal {
		cat := g.e.active.Load()
		m := cat.people[g.who.Identity]
		if g.who.As != "" {
			m = cat.member(g.who.As)
		}
		if m != nil {
			for _, identity := range m.Identities {
				add(identity)
			}
		}
	}
	return list
}
