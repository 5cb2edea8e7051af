package engine

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// at is an address: of an outside source, it has the session of that.
func (c *catalog) at(o bellhop.Origin) bellhop.Origin {
	if c.Outside(o.Source) {
		o.Session = bellhop.OutsideSession(o.Source)
	}
	return o
}

// SourceEntries returns the entries for what an outside source sends.
func (e *Engine) SourceEntries(source string) (all []bellhop.SourceEntry) {
	cat := e.active.Load()
	for i := range cat.Services {
		for _, s := range cat.Services[i].Sources {
			if s.Source == source {
				all = append(all, s)
			}
		}
	}
	return all
}

// SourcePeople returns those of people: whom an outside source knows: by
// identity, who that is.
func (e *Engine) SourcePeople(source string) map[string]string {
	cat, who := e.active.Load(), map[string]string{}
	for identity, m := range cat.people {
		if p := (bellhop.Person{Identity: identity}); p.Source() == source {
			who[identity] = m.Name
		}
	}
	return who
}

// Feed asks for the run that an entry wants for what a source sent, whose
// arguments are not checked yet. Unless the entry says otherwise, it is told at
// o. The same key again is the same run.
func (e *Engine) Feed(ctx context.Context, s *bellhop.SourceEntry, key string, args bellhop.Args, o bellhop.Origin) (*bellhop.Accepted, error) {
	inv, err := e.called(s.Principal(), s.Service, s.Job, s.ReportTo, bellhop.Invocation{Key: key, Args: args, Delay: s.Delay, OnRepeat: s.OnRepeat})
	if err != nil {
		return nil, err
	}
	if s.ReportTo == "" {
		inv.Origin = o
	}
	a, err := e.Do(ctx, inv)
	return a.Accepted, err
}
