package config

import (
	"maps"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// executorShell carries out jobs that have `run`.
const executorShell = "shell"

func (b *builder) service(e entry[serviceRaw], cat *bellhop.Catalog) (bellhop.Service, error) {
	raw := e.val
	if b.checkName("service", e.name, e.key) {
		switch {
		case bellhop.Reserved(e.name):
			b.fault(e.key, "service %q: that word is one of Bellhop's own, or reserved for a coming one; choose another name", e.name)
		case e.name == strings.ToLower(cat.Bot):
			b.fault(e.key, "service %q has the bot's name; choose another name", e.name)
		}
	}
	s := bellhop.Service{
		Name:        e.name,
		Description: raw.Description.val,
		Restricted:  raw.Restricted.val || !raw.Restricted.isSet() && cat.Access.DenyByDefault,
		NoPrefix:    raw.Prefix.isSet(),
		Pos:         e.key.pos(),
	}
	if raw.Restricted.isSet() {
		s.RestrictedPos = raw.Restricted.pos()
	}
	if raw.Restricted.val && raw.Allow.isSet() {
		b.fault(raw.Restricted.at, "restricted: true and allow: both say who may use the service; remove restricted (a rule {group: internal} says the same)")
	}
	where := spans{jobs: map[string]stretch{}}
	good := map[string]bool{} // jobs without a fault in what they run
	env := b.env(nil, raw.Env)
	for _, je := range raw.Jobs.items {
		j, ok, err := b.job(s.Name, je, env, raw.Dir)
		if err != nil {
			return s, err
		}
		good[j.Name] = ok
		where.jobs[j.Name] = je.key.extent(je.val.at)
		s.Jobs = append(s.Jobs, j)
	}
	b.follows(&s, raw.Jobs, good)
	s.Allow = b.rules(raw.Allow, anyParam(&s))
	names := map[string]at{}
	for _, c := range raw.Commands.items {
		en := b.command(&s, c, good)
		if first, twice := names[en.Name]; twice && c.Name.isSet() {
			b.fault(c.Name.at, "the name %q is given to two commands; the other stands in %s", en.Name, first.line())
		}
		if c.Name.isSet() {
			names[en.Name] = c.Name.at
		}
		s.Entries = append(s.Entries, en)
		where.commands = append(where.commands, at{}.extent(c.at))
	}
	if raw.ReportTo.good() && !b.place("report_to", raw.ReportTo) {
		raw.ReportTo.val = ""
	}
	b.schedules(&s, raw, good)
	b.webhooks(&s, raw, good)
	b.brokers(&s, raw, good)
	b.sourceEntries(&s, raw, good)
	b.spans = append(b.spans, where)
	return s, nil
}

// anyParam finds a parameter in any job of a service. Jobs that differ in its
// type have its values compared as texts.
func anyParam(s *bellhop.Service) func(string) (bellhop.Param, bool) {
	return func(name string) (found bellhop.Param, ok bool) {
		for i := range s.Jobs {
			p, has := s.Jobs[i].Param(name)
			if has && ok && p.Type != found.Type {
				return bellhop.Param{Name: name}, true
			}
			if has {
				found, ok = p, true
			}
		}
		return found, ok
	}
}

// env adds variables to those of an outer place.
func (b *builder) env(outer map[string]string, raw dict[envRaw]) map[string]string {
	if len(outer)+len(raw.items) == 0 {
		return nil
	}
	env := maps.Clone(outer)
	if env == nil {
		env = map[string]string{}
	}
	for _, e := range raw.items {
		switch {
		case !isEnvName(e.name):
			b.fault(e.key, "env: %s is not a variable's name; it begins with a letter or _ and goes on with letters, digits and _", shorten(e.name))
		case strings.HasPrefix(e.name, "BELLHOP_"):
			b.fault(e.key, "env: %s: Bellhop sets the variables that begin with BELLHOP_ itself; choose another name", shorten(e.name))
		case strings.ContainsRune(e.val.val, 0):
			b.fault(e.val.at, "env: %s holds a NUL character, which no program can be given", shorten(e.name))
		}
		env[e.name] = e.val.val
	}
	return env
}
