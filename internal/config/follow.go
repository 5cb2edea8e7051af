package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// follows gives each job of a service what follows it. It comes after all jobs
// are known. good tells which have all their parameters.
func (b *builder) follows(s *bellhop.Service, raw dict[jobRaw], good map[string]bool) {
	var steps []step
	for i, e := range raw.items {
		j := &s.Jobs[i]
		for _, f := range e.val.Then.items {
			follow := bellhop.Follow{Job: f.Job.val, Delay: f.Delay.val, On: bellhop.FollowOn(f.On.or(string(bellhop.FollowSuccess)))}
			if !f.Job.isSet() && !f.bad && !e.val.Then.bad {
				b.fault(f.at, "then does not say which job follows; add job: with the name of one")
			}
			follow.Args = b.followArgs(s, j, "then", f.Job, f.Args, good)
			steps = append(steps, step{j.Name, f.Job, follow.Delay})
			j.Then = append(j.Then, follow)
		}
		j.OnFailure = b.onFailure(s, j, e.val.OnFailure, good)
		steps = append(steps, step{j.Name, e.val.OnFailure.Job, 0})
	}
	b.circles(s, steps)
}

func (b *builder) onFailure(s *bellhop.Service, j *bellhop.Job, raw onFailureRaw, good map[string]bool) bellhop.OnFailure {
	of := bellhop.OnFailure{Job: raw.Job.val}
	for _, t := range raw.Notify.items {
		switch {
		case !t.good() || !b.notify(t):
		case slices.Contains(of.Notify, t.val):
			b.fault(t.at, "notify: %s stands there twice", shorten(t.val))
		default:
			of.Notify = append(of.Notify, t.val)
		}
	}
	switch {
	case raw.bad:
	case raw.Args.isSet() && !raw.Job.isSet():
		b.fault(raw.Args.at, "args belong to a job, and on_failure names none; add job: with the name of one")
	case raw.isSet() && !raw.Notify.isSet() && !raw.Job.isSet():
		b.fault(raw.at, "on_failure does not say what a failure brings; add notify: with a person's name, or job:")
	}
	of.Args = b.followArgs(s, j, "on_failure", raw.Job, raw.Args, good)
	return of
}

// followArgs checks the job that follows j, and that it gets what it needs.
func (b *builder) followArgs(s *bellhop.Service, j *bellhop.Job, key string, name text, raw dict[literal], good map[string]bool) bellhop.Args {
	if !name.good() {
		return nil
	}
	next, ok := s.Job(name.val)
	if !ok {
		b.fault(name.at, "%s: %s", key, noJob(s, name.val))
		return nil
	}
	var args bellhop.Args
	known := good[j.Name] && good[next.Name]
	for _, a := range raw.items {
		p, ok := next.Param(a.name)
		switch {
		case !a.val.good() || !known:
		case !ok:
			b.fault(a.key, "args: %s", b.noParam(next, a.name))
		default:
			b.followArg(j, p, a.val)
		}
		if a.val.good() {
			if args == nil {
				args = bellhop.Args{}
			}
			args[a.name] = a.val.val
		}
	}
	if known && !raw.bad {
		b.covered(j, next, key, name, args)
	}
	return args
}

// followArg checks one argument of a job that follows j. One without
// placeholders is a value now; of another, only its shape is known.
func (b *builder) followArg(j *bellhop.Job, p bellhop.Param, l literal) {
	texts := l.val.List
	if !l.val.IsList() {
		texts = []string{l.val.Text}
	}
	filled := false
	for _, t := range texts {
		if strings.Contains(t, "${") {
			b.fault(l.at, "args: %s: write {name} for an argument of job %s, without the $", shorten(t), shorten(j.Name))
			return
		}
		for _, m := range looseHolder().FindAllString(t, -1) {
			filled = true
			if _, ok := j.Param(m[1 : len(m)-1]); !ok {
				b.fault(l.at, "args: %s: %s", shorten(t), b.noParam(j, m[1:len(m)-1]))
				return
			}
		}
	}
	if !filled {
		if err := p.Check(l.val); err != nil {
			b.fault(l.at, "args: %v", err)
		}
		return
	}
	b.shape(j, p, l)
}

// shape checks that a list goes where a list belongs, and one value elsewhere.
func (b *builder) shape(j *bellhop.Job, p bellhop.Param, l literal) {
	whole := looseHolder().FindString(l.val.Text) == l.val.Text && !l.val.IsList()
	list := l.val.IsList()
	if whole {
		from, _ := j.Param(strings.Trim(l.val.Text, "{}"))
		list = from.Type == bellhop.TypeList
	}
	switch {
	case list && p.Type != bellhop.TypeList:
		b.fault(l.at, "args: %s expects one value, not a list", p.Name)
	case !list && p.Type == bellhop.TypeList:
		b.fault(l.at, "args: %s expects a list; write [%s]", p.Name, quoted(l.val.Text))
	case strings.HasPrefix(l.val.Text, "-") && !p.Dash:
		b.fault(l.at, "args: %s would begin with -, which is refused unless its parameter says dash: true", p.Name)
	}
}

// looseHolder matches what is meant as a placeholder, a good name or not.
func looseHolder() *regexp.Regexp { return regexp.MustCompile(`\{[A-Za-z0-9_.-]+\}`) }

// covered says which parameters of the next job nothing gives a value.
func (b *builder) covered(j, next *bellhop.Job, key string, name text, args bellhop.Args) {
	for _, p := range next.Params {
		if _, given := args[p.Name]; given {
			continue
		}
		same, ok := j.Param(p.Name)
		switch {
		case ok && (same.Type == bellhop.TypeList) != (p.Type == bellhop.TypeList):
			b.fault(name.at, "%s: %s is a list in one of the jobs %s and %s, and one value in the other; add args: {%s: ...}", key, shorten(p.Name), shorten(j.Name), shorten(next.Name), p.Name)
		case !ok && p.Default == nil:
			b.fault(name.at, "%s: job %s needs %s, and job %s has no parameter of that name; add args: {%s: ...}, or give it a default", key, shorten(next.Name), shorten(p.Name), shorten(j.Name), p.Name)
		}
	}
}

// step is a job that follows another.
type step struct {
	from  string
	to    text
	delay time.Duration
}

// circles finds jobs that follow each other without end and without a pause,
// and tells of each circle once.
func (b *builder) circles(s *bellhop.Service, steps []step) {
	at := map[string][]step{}
	for _, st := range steps {
		if _, ok := s.Job(st.to.val); ok && st.to.good() && st.delay == 0 {
			at[st.from] = append(at[st.from], st)
		}
	}
	done := map[string]bool{}
	var way []step
	var walk func(name string)
	walk = func(name string) {
		if i := slices.IndexFunc(way, func(st step) bool { return st.from == name }); i >= 0 {
			b.circle(way[i:])
			return
		}
		if done[name] {
			return
		}
		done[name] = true
		for _, st := range at[name] {
			way = append(way, st)
			walk(st.to.val)
			way = way[:len(way)-1]
		}
	}
	for _, j := range s.Jobs {
		walk(j.Name)
	}
}

func (b *builder) circle(way []step) {
	if len(way) == 1 {
		b.fault(way[0].to.at, "job %s would follow itself at once, again and again; give it a delay under then:, or use retries:", shorten(way[0].from))
		return
	}
	names := make([]string, 0, len(way)+1)
	for _, st := range way {
		names = append(names, st.from)
	}
	names = append(names, way[0].from)
	if len(names) > 10 {
		names = append(names[:9], "...", way[0].from)
	}
	b.fault(way[len(way)-1].to.at, "these jobs would follow each other at once, again and again: %s; give one of them a delay under then:", strings.Join(names, ", "))
}
