package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// request is what the gate is asked about.
type request struct {
	service string
	job     string         // "" = the service as a whole
	entry   *bellhop.Entry // nil = the job by itself, or something built in
	args    bellhop.Args
	// maybe: arguments that are not known may be any: what could be allowed is.
	// Otherwise they have to be allowed whatever they are.
	maybe bool
	// many: one of a list, for which no chat is asked anew.
	many bool
}

// decide is the gate, the one place where it is said who may have what done.
// Each level that has rules must allow: the service (without rules,
// `restricted`), the job, the command. So what is inside narrows and never
// opens what is closed outside. A refusal that rests on what a chat said of
// its groups is looked at again with what it says now.
func (e *Engine) decide(ctx context.Context, who bellhop.Principal, r request) bellhop.Decision {
	cat := e.active.Load()
	if d, ok := cat.ofEntry(who, r); ok {
		return d
	}
	if d, out := outOfScope(who, r); out {
		return d
	}
	g := &groups{e: e, ctx: ctx, who: who}
	d := cat.decide(g, r)
	if d.Allowed || !g.asked || r.maybe || r.many {
		return d
	}
	g = &groups{e: e, ctx: ctx, who: who, fresh: true}
	if d = cat.decide(g, r); !d.Allowed && g.away {
		d.Reason += ". Its rules name a group of a chat that can't be asked just now; ask again later"
	}
	return d
}

// ofEntry is for what a schedule, a webhook, a broker or the data of a source
// asks for: exactly its job. ok is false for any other principal. (No chat may
// have the sources' names.)
func (c *catalog) ofEntry(who bellhop.Principal, r request) (d bellhop.Decision, ok bool) {
	source, name := who.Source(), who.Identity
	if source != bellhop.SourceSchedule && source != bellhop.SourceWebhook && source != bellhop.SourceBroker && source != bellhop.SourceOutside {
		return d, false
	}
	for _, s := range c.schedules[r.service] {
		if s.Principal() == name && s.Job == r.job {
			return bellhop.Decision{Allowed: true, Rule: "schedule " + r.service + " " + s.Name, Pos: s.Pos}, true
		}
	}
	for _, w := range c.webhooks[r.service] {
		if w.Principal() == name && w.Job == r.job {
			return bellhop.Decision{Allowed: true, Rule: "webhook " + r.service + " " + w.Name, Pos: w.Pos}, true
		}
	}
	for _, b := range c.brokers[r.service] {
		if b.Principal() == name && b.Job == r.job {
			return bellhop.Decision{Allowed: true, Rule: "broker " + r.service + " " + b.Name, Pos: b.Pos}, true
		}
	}
	for _, x := range c.sources[r.service] {
		if x.Principal() == name && x.Job == r.job {
			return bellhop.Decision{Allowed: true, Rule: "source " + r.service + " " + x.Name, Pos: x.Pos}, true
		}
	}
	return bellhop.Decision{
		Rule: "a " + source + " asks for its own job alone", Reason: fmt.Sprintf("%s %s is not for %s: no such %s asks for it", r.service, r.job, name, source),
	}, true
}

func (c *catalog) decide(g *groups, r request) bellhop.Decision {
	s := c.services[r.service]
	if s == nil {
		if g.who.Internal && !c.Access.Peopled { // with people:, the rules that it had may have been narrower

			return bellhop.Decision{Allowed: true, Rule: "no service " + r.service + " any more: internal people alone"}
		}
		return bellhop.Decision{
			Rule:   "no service " + r.service + " any more: internal people alone",
			Reason: fmt.Sprintf("%s is restricted: %s may not use it, since the configuration does not have it any more", r.service, g.who.Principal()),
		}
	}
	o := c.jobs[jobName{r.service, r.job}]
	var job *bellhop.Job
	if o != nil {
		job = o.job
	}
	d := c.decideService(g, s, job, r)
	if d.Allowed && job == nil && r.job != "" && (c.Access.Peopled || c.ruled[r.service]) { // it may have been the only one with rules
		return bellhop.Decision{
			Rule: "no job " + r.service + " " + r.job + " any more, nor its rules", Pos: s.Pos,
			Reason: fmt.Sprintf("%s %s is not for %s: the configuration does not have it any more, nor its rules", r.service, r.job, g.who.Principal()),
		}
	}
	if !d.Allowed || job == nil {
		return d
	}
	if len(job.Allow) > 0 {
		if d = level(g, job.Allow, "job "+s.Name+" "+job.Name, s.Name+" "+job.Name, job, r); !d.Allowed {
			return d
		}
	}
	if r.entry != nil {
		if len(r.entry.Allow) > 0 {
			return level(g, r.entry.Allow, "command "+r.entry.Title(), s.Name+" "+job.Name, job, r)
		}
		return d
	}
	return decideEntries(g, o, r, d)
}

// decideEntries is for a job that is meant by itself (a retry, its output): who
// may have it done by one of its commands may. A job whose every command is
// closed to somebody is closed to them.
func decideEntries(g *groups, o *offer, r request, d bellhop.Decision) bellhop.Decision {
	var refused *bellhop.Decision
	for _, en := range o.entries {
		if !couldAsk(en, o.job, r) {
			continue
		}
		if len(en.Allow) == 0 {
			return d
		}
		by := level(g, en.Allow, "command "+en.Title(), o.title, o.job, r)
		if by.Allowed {
			return by
		}
		if refused == nil {
			refused = &by
		}
	}
	switch {
	case refused != nil:
		return *refused
	case o.ruled && !r.maybe: // none of its commands asks for this
		return bellhop.Decision{
			Rule: "no command of " + o.title + " asks for this", Pos: o.entries[0].Pos,
			Reason: fmt.Sprintf("%s is not for %s with these arguments: no command that they may use asks for them", o.title, g.who.Principal()),
		}
	}
	return d
}

// couldAsk reports whether a command could have asked for a run with these
// arguments: those that it fixes are the same, and those that nobody can say
// in it have their defaults.
func couldAsk(en *bellhop.Entry, job *bellhop.Job, r request) bool {
	for i := range job.Params {
		p := &job.Params[i]
		v, known := r.args[p.Name]
		if fixed, ok := en.Args[p.Name]; ok {
			if known && !fixed.Equal(v) {
				return false
			}
			continue
		}
		if known && !says(en, p.Name) && (p.Default == nil || !p.Default.Equal(v)) {
			return false
		}
	}
	return true
}

// says reports whether a parameter can be said in a command.
func says(en *bellhop.Entry, name string) bool {
	for _, pattern := range append([]string{en.Pattern}, en.Aliases...) {
		if strings.Contains(pattern, "["+name+"]") || strings.Contains(pattern, "["+name+"...]") {
			return true
		}
	}
	return strings.Contains(en.Regex, "<"+name+">")
}

// decideService is the outermost level.
func (c *catalog) decideService(g *groups, s *bellhop.Service, job *bellhop.Job, r request) bellhop.Decision {
	if len(s.Allow) > 0 {
		return level(g, s.Allow, "service "+s.Name, s.Name, job, r)
	}
	if !s.Restricted {
		return bellhop.Decision{Allowed: true, Rule: "service " + s.Name + " is open to everybody", Pos: s.Pos}
	}
	d := bellhop.Decision{Allowed: g.who.Internal, Rule: "restricted: true of service " + s.Name, Pos: s.RestrictedPos}
	if d.Pos.Line == 0 {
		d.Rule, d.Pos = "access: default: deny, for service "+s.Name, s.Pos
	}
	if !d.Allowed {
		d.Reason = fmt.Sprintf("%s is restricted: %s may not use it. %s", s.Name, g.who.Principal(), c.whoMay())
		if c.Access.Peopled && g.who.Source() == "local" {
			d.Reason += "; to be one of them, stand there with `local: " + strings.TrimPrefix(g.who.Identity, "local:") + "`"
		}
	}
	return d
}

// whoMay says who internal people are.
func (c *catalog) whoMay() string {
	if c.Access.Peopled {
		return "Those listed in people: may"
	}
	return "People whose key is in authorized_keys may, and who runs the server"
}

// level judges by one list of rules: the first that matches decides.
func level(g *groups, rules []bellhop.Rule, where, what string, job *bellhop.Job, r request) bellhop.Decision {
	for i := range rules {
		rule := &rules[i]
		if !matches(g, rule) || !meets(rule.When, job, r, rule.Refuse) {
			continue
		}
		d := bellhop.Decision{Allowed: !rule.Refuse, Rule: fmt.Sprintf("allow rule %d of %s", i+1, where), Pos: rule.Pos}
		if rule.Refuse {
			d.Reason = fmt.Sprintf("%s is not for %s: a rule refuses it", what, g.who.Principal())
		}
		return d
	}
	return bellhop.Decision{
		Rule: "no allow rule of " + where + " matches", Pos: rules[0].Pos,
		Reason: fmt.Sprintf("%s is not for %s: no rule allows it", what, g.who.Principal()),
	}
}

// matches reports whether a rule is about whoever asks, in the place where they
// do. An empty list is about all.
func matches(g *groups, rule *bellhop.Rule) bool {
	if len(rule.Sources) > 0 && !slices.Contains(rule.Sources, g.who.Source()) {
		return false
	}
	if len(rule.In) > 0 && (g.who.Channel == "" || !slices.Contains(rule.In, g.who.Source()+":"+g.who.Channel)) {
		return false
	}
	if len(rule.People)+len(rule.Groups) == 0 {
		return true
	}
	return slices.ContainsFunc(rule.People, g.is) || slices.ContainsFunc(rule.Groups, g.has)
}

// is reports whether a name of a rule is the principal's: an identity, or the
// name under which `people:` lists it.
func (g *groups) is(name string) bool {
	return name == g.who.Identity || g.who.Name != "" && name == g.who.Name
}

// meets reports whether the arguments are those that a rule is about. A rule
// that allows is met by a list when each of its words is allowed, one that
// refuses or asks for an approval when any is.
func meets(when map[string][]string, job *bellhop.Job, r request, any bool) bool {
	for name, values := range when {
		v, known := r.args[name]
		if !known {
			// Not known: to allow takes that it could be (maybe), to refuse
			// that it could be and nobody asked to be generous.
			if r.maybe != any && (job == nil || hasParam(job, name)) {
				continue
			}
			return false
		}
		p := bellhop.Param{Name: name}
		if job != nil {
			p, _ = job.Param(name)
		}
		if !within(p, values, v, any) {
			return false
		}
	}
	return true
}

// hasParam: of a job without it, no run ever has it.
func hasParam(job *bellhop.Job, name string) bool {
	_, ok := job.Param(name)
	return ok
}

func within(p bellhop.Param, values []string, v bellhop.Value, any bool) bool {
	// What refuses or asks for an approval is not passed by writing a value in
	// another way: a script may take it for the same. An enum's are exact.
	loose := any && p.Type != bellhop.TypeEnum
	one := func(word string) bool {
		return slices.ContainsFunc(values, func(s string) bool {
			return p.Same(s, word) || loose && strings.EqualFold(strings.TrimSpace(s), strings.TrimSpace(word))
		})
	}
	switch {
	case !v.IsList():
		return one(v.Text)
	case any:
		return slices.ContainsFunc(v.List, one)
	}
	return len(v.List) > 0 && !slices.ContainsFunc(v.List, func(w string) bool { return !one(w) })
}

// placed names a decision's rule with its place, for records and `why`.
func placed(d bellhop.Decision) string {
	if d.Pos.Line == 0 {
		return d.Rule
	}
	file := d.Pos.File
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		file = file[i+1:]
	}
	return fmt.Sprintf("%s (%s:%d)", d.Rule, file, d.Pos.Line)
}
