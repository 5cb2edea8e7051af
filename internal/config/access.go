package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

type accessRaw struct {
	at
	Default text          `yaml:"default" enum:"allow,deny" def:"allow" doc:"deny: every service is restricted unless it says restricted: false."`
	Admins  list[ruleRaw] `yaml:"admins" item:"rule" doc:"Who may change the configuration, secrets and tokens, read the audit trail and pause."`
}

type ruleRaw struct {
	at
	Person several[text]          `yaml:"person" item:"person" doc:"Names in people:, or identities such as slack:T1/U123. One of them must ask."`
	Group  several[text]          `yaml:"group" item:"group" doc:"Groups of people:, internal, or those of a chat: slack-usergroup:S123, slack-channel-members:C0123."`
	Source several[text]          `yaml:"source" item:"source" doc:"Names of chats; local is the console and bellhop ask."`
	In     several[text]          `yaml:"in" item:"channel" doc:"Channels by their id: slack:C0123."`
	When   dict[several[literal]] `yaml:"when" item:"argument" doc:"Arguments: the value, or a list of which one must be it."`
	Refuse flag                   `yaml:"refuse" def:"false" doc:"Whoever this rule matches is refused."`
}

type approveRaw struct {
	at
	By     several[text]          `yaml:"by" item:"by" doc:"Who approves: groups, or names in people:."`
	Count  number                 `yaml:"count" def:"1" doc:"How many must approve."`
	Self   flag                   `yaml:"self" def:"false" doc:"Who asked may approve, too."`
	Within span                   `yaml:"within" def:"1h" doc:"How long a run waits for it; then it is given up."`
	When   dict[several[literal]] `yaml:"when" item:"argument" doc:"Only runs with these arguments: the value, or a list of which one must be it."`
	Notify several[text]          `yaml:"notify" item:"notify" doc:"Who is asked: a person's name, or a place of a chat such as slack:C0123. Default: where it was asked."`
}

func (*ruleRaw) shorthand(string) string    { return "group" }
func (*approveRaw) shorthand(string) string { return "by" }

// personRaw is one of `people:`: groups, and under any other key, which is a
// source's name, how that source knows them.
type personRaw struct {
	at
	groups     several[text]
	identities []identityRaw
}

type identityRaw struct {
	source at
	name   string
	is     several[text]
}

func (p *personRaw) load(d *decoder, n *yaml.Node, f field, c *scope) {
	p.at = d.at(n)
	pairs, ok := d.pairs(n, c)
	if !ok {
		p.bad = true
		return
	}
	for _, pair := range pairs {
		key := pair.key.Value
		if key == "groups" {
			d.value(pair.val, reflect.ValueOf(&p.groups).Elem(), field{key: key, item: "group"}, c)
			continue
		}
		id := identityRaw{source: d.at(pair.key), name: key}
		d.value(pair.val, reflect.ValueOf(&id.is).Elem(), field{key: key, item: key}, c)
		p.identities = append(p.identities, id)
	}
}

func (p *personRaw) schema(field) map[string]any {
	one := map[string]any{"type": "string"}
	some := map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "minItems": 1, "items": one}}}
	return map[string]any{"type": []string{"object", "null"}, "propertyNames": map[string]any{"pattern": namePattern},
		"additionalProperties": some, "description": "groups, and by the name of each chat how it knows this person: slack: T1/U123, ssh: alice."}
}

// known is what rules may name.
type known struct {
	people  []string
	members []bellhop.Member
	groups  []string
	sources []string
	chats   []string
	outside []string // outside sources
	places  []string // chats whose channels stay, and outside sources
	peopled bool
}

// access reads people: and access:.
func (b *builder) access(raw *fileRaw, chats []Chat, outside []string) bellhop.Access {
	a := bellhop.Access{Peopled: raw.People.isSet(), DenyByDefault: raw.Access.Default.or("allow") == "deny"}
	b.known = known{peopled: a.Peopled, sources: []string{"local", "email"}}
	for _, c := range chats {
		b.known.sources = append(b.known.sources, c.Name)
		b.known.chats = append(b.known.chats, c.Name)
		if c.SSH == nil {
			b.known.places = append(b.known.places, c.Name)
		}
	}
	b.known.outside = outside
	b.known.sources = append(b.known.sources, outside...)
	b.known.places = append(b.known.places, outside...)
	taken := map[string]string{}
	for _, e := range raw.People.items {
		b.checkName("person", e.name, e.key)
		if e.name == bellhop.GroupInternal {
			b.fault(e.key, "person %q: that word stands for all of people: in rules; choose another name", e.name)
		}
		a.People = append(a.People, b.person(e, taken))
		b.known.people = append(b.known.people, e.name)
	}
	b.known.members = a.People
	for _, m := range a.People {
		b.known.groups = append(b.known.groups, m.Groups...)
	}
	for _, g := range b.known.groups {
		if slices.Contains(b.known.people, g) {
			b.fault(raw.People.at, "people: %q is both a person and a group, and a rule could mean either; rename one", g)
			break
		}
	}
	a.Admins = b.rules(raw.Access.Admins, nil)
	return a
}

func (b *builder) person(e entry[personRaw], taken map[string]string) bellhop.Member {
	m := bellhop.Member{Name: e.name, Pos: e.key.pos()}
	for _, g := range e.val.groups.items {
		if g.good() && b.checkName("group", g.val, g.at) {
			m.Groups = append(m.Groups, g.val)
		}
	}
	for _, id := range e.val.identities {
		if !slices.Contains(b.known.sources, id.name) {
			text := fmt.Sprintf("people: %s has an identity of %s, which is no chat or source of this file", e.name, shorten(id.name))
			if near := nearest(id.name, append([]string{"groups"}, b.known.sources...)); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			} else {
				text += "; it has: " + strings.Join(b.known.sources, ", ")
			}
			if !announcedSource(id.name) {
				b.fault(id.source, "%s", text)
			}
		}
		for _, is := range id.is.items {
			if !is.good() {
				continue
			}
			identity := id.name + ":" + is.val
			if strings.TrimSpace(is.val) == "" || strings.ContainsAny(is.val, " \t\n") {
				b.fault(is.at, "people: %s is not how %s knows anybody; write it as whoami there shows it, without %s:", shorten(is.val), id.name, id.name)
				continue
			}
			if other, twice := taken[identity]; twice {
				b.fault(is.at, "people: %s is %s already; one identity belongs to one person", identity, other)
				continue
			}
			taken[identity] = e.name
			m.Identities = append(m.Identities, identity)
		}
	}
	return m
}

// announcedSource reports whether people may be listed under a source that
// this version does not have yet, so that one file serves later ones too.
func announcedSource(name string) bool {
	return slices.Contains([]string{"slack", "ssh", "github", "gitlab", "teams", "discord", "telegram", "matrix", "mattermost", "irc", "oidc"}, name)
}

// rules reads a list of rules. job tells the parameters that `when` may name;
// nil: there are none to tell.
func (b *builder) rules(raw list[ruleRaw], job func(name string) (bellhop.Param, bool)) []bellhop.Rule {
	if raw.isSet() && len(raw.items) == 0 && !raw.bad {
		b.fault(raw.at, "an empty list of rules would refuse everybody without saying so; write a rule, or remove the key")
	}
	var rules []bellhop.Rule
	for _, r := range raw.items {
		rules = append(rules, b.rule(r, job))
	}
	return rules
}

func (b *builder) rule(raw ruleRaw, job func(name string) (bellhop.Param, bool)) bellhop.Rule {
	r := bellhop.Rule{Refuse: raw.Refuse.val, Pos: raw.pos()}
	for _, p := range raw.Person.items {
		if p.good() {
			b.rulePerson(p)
			r.People = append(r.People, p.val)
		}
	}
	for _, g := range raw.Group.items {
		if g.good() {
			b.ruleGroup(g)
			r.Groups = append(r.Groups, g.val)
		}
	}
	for _, s := range raw.Source.items {
		if !s.good() {
			continue
		}
		if !slices.Contains(b.known.sources, s.val) {
			b.fault(s.at, "source: %s is no chat or source of this file; it has: %s", shorten(s.val), strings.Join(b.known.sources, ", "))
		}
		r.Sources = append(r.Sources, s.val)
	}
	for _, in := range raw.In.items {
		if in.good() {
			b.ruleChannel(in)
			r.In = append(r.In, in.val)
		}
	}
	r.When = b.when(raw.When, job)
	return r
}

func (b *builder) rulePerson(p text) {
	switch {
	case strings.Contains(p.val, ":"):
	case !b.known.peopled:
		b.fault(p.at, "person: %s names somebody, and the file has no people:; list them there, or name an identity such as ssh:%s", shorten(p.val), p.val)
	case !slices.Contains(b.known.people, p.val):
		b.fault(p.at, "person: nobody in people: is called %s%s", shorten(p.val), b.didYouMean(p.val, b.known.people))
	}
}

func (b *builder) ruleGroup(g text) {
	source, id, ok := strings.Cut(g.val, ":")
	switch {
	case ok:
		for _, chat := range b.known.chats {
			if (source == chat+"-usergroup" || source == chat+"-channel-members") && id != "" {
				return
			}
		}
		b.fault(g.at, "group: %s is no group that a chat of this file keeps; those are NAME-usergroup:ID and NAME-channel-members:ID, NAME being a chat", shorten(g.val))
	case g.val == bellhop.GroupInternal || slices.Contains(b.known.groups, g.val):
	case slices.Contains(b.known.people, g.val):
		b.fault(g.at, "group: %s is a person, not a group; write person: %s", shorten(g.val), g.val)
	default:
		b.fault(g.at, "group: nobody in people: is in a group %s%s", shorten(g.val), b.didYouMean(g.val, b.known.groups))
	}
}

func (b *builder) didYouMean(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// ruleChannel refuses a channel's name: whoever may rename channels could let
// themselves in.
func (b *builder) ruleChannel(in text) {
	source, id, ok := strings.Cut(in.val, ":")
	switch {
	case !ok || id == "":
		b.fault(in.at, "in: %s is not SOURCE:CHANNEL, such as slack:C0123", shorten(in.val))
	case strings.HasPrefix(id, "#") && !slices.Contains(b.known.outside, source): // which says what its ids are
		b.fault(in.at, "in: %s is a channel's name, which anybody may give to another one; write its id, such as %s:C0123", shorten(in.val), source)
	case !slices.Contains(b.known.sources, source):
		b.fault(in.at, "in: %s is no chat or source of this file; it has: %s", shorten(source), strings.Join(b.known.sources, ", "))
	}
}

// when reads the arguments of a rule.
func (b *builder) when(raw dict[several[literal]], job func(name string) (bellhop.Param, bool)) map[string][]string {
	var when map[string][]string
	for _, e := range raw.items {
		var p bellhop.Param
		if job != nil {
			var ok bool
			if p, ok = job(e.name); !ok {
				b.fault(e.key, "when: there is no parameter %s here, so the rule could never match", shorten(e.name))
				continue
			}
		} else {
			b.fault(e.key, "when: there are no arguments here; remove it")
			continue
		}
		var values []string
		for _, v := range e.val.items {
			if !v.good() {
				continue
			}
			words := []string{v.val.Text}
			if v.val.IsList() {
				words = v.val.List
			}
			for _, word := range words {
				if err := checkWhen(p, word); err != nil {
					b.fault(v.at, "when: %v", err)
				}
			}
			values = append(values, words...)
		}
		if when == nil {
			when = map[string][]string{}
		}
		when[e.name] = values
	}
	return when
}

func checkWhen(p bellhop.Param, word string) error {
	if p.Type == bellhop.TypeList {
		return nil
	}
	p.Dash = true
	return p.Check(bellhop.Text(word))
}

// approve reads who must agree before a run.
func (b *builder) approve(raw approveRaw, job *bellhop.Job, fetched bool) *bellhop.Approve {
	if !raw.isSet() {
		return nil
	}
	a := &bellhop.Approve{Count: 1, Self: raw.Self.val, Within: b.positive("within", raw.Within, bellhop.DefaultApproveWithin)}
	if raw.Count.good() {
		a.Count = raw.Count.val
	}
	if !raw.By.isSet() && !raw.bad {
		b.fault(raw.at, "approve does not say who approves; add by: with groups, or with names in people:")
	}
	for _, by := range raw.By.items {
		if !by.good() {
			continue
		}
		switch {
		case strings.Contains(by.val, ":"):
			b.ruleGroup(by)
		case by.val != bellhop.GroupInternal && !slices.Contains(b.known.people, by.val) && !slices.Contains(b.known.groups, by.val):
			b.fault(by.at, "by: %s is nobody in people:, and no group of theirs, so nobody could approve%s", shorten(by.val), b.didYouMean(by.val, append(slices.Clone(b.known.people), b.known.groups...)))
		}
		a.By = append(a.By, by.val)
	}
	b.enough(raw, a)
	for _, n := range raw.Notify.items {
		if n.good() && b.notify(n) {
			a.Notify = append(a.Notify, n.val)
		}
	}
	a.When = b.when(raw.When, job.Param)
	if fetched {
		b.fault(raw.at, "approve: this job fetches script_url without sha256, so nobody could know what they approve; add sha256 (bellhop check says how), or remove one of them")
	}
	return a
}

// enough refuses an approval that so many can't give, where `people:` says who
// can: whom a chat has in its groups is not known here.
func (b *builder) enough(raw approveRaw, a *bellhop.Approve) {
	var could, unheard []string
	for _, by := range a.By {
		if strings.Contains(by, ":") || by == bellhop.GroupInternal && !b.known.peopled {
			return
		}
		named := slices.Contains(b.known.people, by)
		if !named && by != bellhop.GroupInternal && !slices.Contains(b.known.groups, by) {
			return // faulty already
		}
		for _, m := range b.known.members {
			switch is := m.Name == by || by == bellhop.GroupInternal || slices.Contains(m.Groups, by); {
			case !is || slices.Contains(could, m.Name) || slices.Contains(unheard, m.Name):
			case len(m.Identities) == 0:
				unheard = append(unheard, m.Name)
			default:
				could = append(could, m.Name)
			}
		}
	}
	if len(a.By) == 0 || len(could) >= a.Count {
		return
	}
	why := ""
	if len(unheard) > 0 {
		why = fmt.Sprintf(", since people: does not say how a chat knows %s", strings.Join(unheard, ", "))
	}
	if len(could) == 0 {
		b.fault(raw.By.at, "by: nobody could approve%s; say it there, such as ssh: alice, or name others", why)
		return
	}
	b.fault(raw.Count.at, "count: %d must approve, and only %d could (%s)%s; name more of people: in by, or write count: %[2]d", a.Count, len(could), strings.Join(could, ", "), why)
}

// notify checks an address: a person, or a place of a chat.
func (b *builder) notify(n text) bool { return b.place("notify", n) }

// place is notify for another key.
func (b *builder) place(key string, n text) bool {
	source, place, ok := strings.Cut(n.val, ":")
	switch err := bellhop.CheckName("person", n.val); {
	case ok && slices.Contains(b.known.places, source) && place != "":
		return true
	case ok && slices.Contains(b.known.chats, source):
		b.fault(n.at, key+": %s is no place: what is said over %s ends with its connection; write a person's name, who finds it at the next one", shorten(n.val), source)
	case ok:
		b.fault(n.at, key+": %s is no place of a chat of this file; write CHAT:CHANNEL, such as slack:C0123 or slack:#ops, or a person's name", shorten(n.val))
	case err != nil:
		b.fault(n.at, key+": %v", err)
	case b.known.peopled && !slices.Contains(b.known.people, n.val):
		b.fault(n.at, key+": nobody in people: is called %s%s", shorten(n.val), b.didYouMean(n.val, b.known.people))
	default:
		return true
	}
	return false
}
