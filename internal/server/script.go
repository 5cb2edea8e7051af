package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/conversation"
	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

// CheckScript returns what a script says of people and jobs that the
// configuration does not have.
func (l *Loaded) CheckScript(s *conversation.Script) (faults []bellhop.Fault) {
	for _, step := range s.Steps {
		var err error
		if step.Kind == conversation.Fake {
			_, err = l.faked(step)
		} else if step.Voice.Person != "" {
			_, err = personOf(l.Catalog.Access, "", step.Voice.Person)
		}
		if err != nil {
			faults = append(faults, bellhop.Fault{Pos: bellhop.Position{File: s.File, Line: step.Line, Col: 1}, Message: err.Error()})
		}
	}
	return faults
}

// faked returns the job that a step makes fake.
func (l *Loaded) faked(s conversation.Step) (*bellhop.Job, error) {
	svc, ok := l.Catalog.Service(s.Service)
	if !ok {
		return nil, fmt.Errorf("the configuration has no service %s", s.Service)
	}
	job, ok := svc.Job(s.Job)
	if !ok {
		return nil, fmt.Errorf("the service %s has no job %s", s.Service, s.Job)
	}
	for _, play := range s.Plays {
		texts := []string{play.Missing, play.Bye}
		for _, step := range play.Steps {
			texts = append(texts, step.Text)
		}
		for _, name := range fake.Names(texts...) {
			if _, ok := job.Param(name); !ok {
				return nil, fmt.Errorf("{%s} is no parameter of %s %s", name, s.Service, s.Job)
			}
		}
	}
	return job, nil
}

// personOf is Rehearsal.Person by what a configuration says of people.
func personOf(access bellhop.Access, source, name string) (bellhop.Person, error) {
	if strings.Contains(name, ":") {
		return bellhop.Person{Identity: name, Name: nameIn(name)}, nil
	}
	if !access.Peopled {
		return bellhop.Person{Identity: "ssh:" + name, Name: name, Listed: true}, nil
	}
	var names []string
	for _, m := range access.People {
		if m.Name != name {
			names = append(names, m.Name)
			continue
		}
		if len(m.Identities) == 0 {
			return bellhop.Person{}, bellhop.Errorf(bellhop.Invalid, "%s has no identity in `people:`, so nothing can be said as %s", name, name)
		}
		id := m.Identities[0]
		if i := slices.IndexFunc(m.Identities, func(id string) bool { return strings.HasPrefix(id, source+":") }); i >= 0 {
			id = m.Identities[i]
		}
		return bellhop.Person{Identity: id, Name: nameIn(id)}, nil
	}
	return bellhop.Person{}, bellhop.Errorf(bellhop.NotFound, "`people:` has no %s (it has: %s); a guest is written as an identity: ssh:%s", name, strings.Join(names, ", "), name)
}

// nameIn is the name that SSH gives whoever it knows by an identity; other
// sources give none.
func nameIn(identity string) string {
	name, _ := strings.CutPrefix(identity, "ssh:")
	if name == identity {
		return ""
	}
	return name
}
