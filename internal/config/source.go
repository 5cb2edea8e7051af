package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

type sourceRaw struct {
	at
	Description text    `yaml:"description" mode:"plain" doc:"One line about it, for people."`
	Reports     postRaw `yaml:"reports" doc:"Where its reports are posted. Default: it takes them as a stream."`
	Refuse      text    `yaml:"refuse" enum:"say,silent" def:"say" doc:"silent: whoever may not have something done is told nothing."`
	Rate        text    `yaml:"rate" def:"10000/s" doc:"How many requests the source may make: such as 100/s, 600/m, or unlimited. What one of its people asks is bounded by web.rate besides."`
}

type postRaw struct {
	at
	URL    text `yaml:"url" doc:"The address, such as https://bot.example.org/reports."`
	Secret text `yaml:"secret" mode:"secret" doc:"What reports are signed with: secret:NAME, or ${VAR}."`
}

type sourceEntryRaw struct {
	at
	Name     text               `yaml:"name" doc:"A name of its own, after which it is called who asks: source:SERVICE/NAME."`
	Source   text               `yaml:"source" doc:"The outside source whose data it is for: a name in sources:."`
	When     dict[conditionRaw] `yaml:"when" item:"condition" doc:"Only data that meets all of this: by dotted path, a value, a list of which one must be it, {not: ...}, {glob: ...} or {exists: true}."`
	Job      text               `yaml:"job" doc:"The job of the same service that is asked for."`
	Args     dict[literal]      `yaml:"args" item:"argument" doc:"Its arguments, in which {event.PATH} stands for a part of the data."`
	Delay    span               `yaml:"delay" def:"0s" doc:"How long a run waits before it starts."`
	OnRepeat text               `yaml:"on_repeat" enum:"merge,queue,reject" def:"queue" doc:"When the same is asked for already: merge joins what waits, queue makes another run, reject refuses."`
	ReportTo text               `yaml:"report_to" doc:"Who is told of its runs: a person's name, or a place such as slack:#ops. Default: the source that sent it."`
}

// Source is an outside source: a program that speaks for people, or sends data,
// over HTTP.
type Source struct {
	Name        string
	Description string
	// URL is where its reports are posted, signed with Secret (itself or
	// secret:NAME); "" = it takes them as a stream.
	URL    string
	Secret string `json:"-"`
	Silent bool   // who may not is told nothing
	Rate   Rate
	Pos    bellhop.Position `json:"-"`
}

const whatSource = "source"

// sources are the outside sources of the file.
func (b *builder) sources(raw dict[sourceRaw], chats []Chat, w *Web) (all []Source) {
	for i, e := range raw.items {
		named := b.checkName(whatSource, e.name, e.key)
		switch {
		case slices.Contains(append(takenSources(), "ask", "email"), e.name):
			b.fault(e.key, "source %q: Bellhop uses that name itself; choose another", e.name)
		case slices.ContainsFunc(chats, func(c Chat) bool { return c.Name == e.name }):
			b.fault(e.key, "source %q: a chat has that name already, and identities begin with it; choose another", e.name)
		case w == nil && i == 0:
			b.fault(e.key, "sources: there is no HTTP server to send to; add `web: {listen: \"127.0.0.1:8080\"}` to the file")
		}
		if named {
			all = append(all, b.source(e))
		}
	}
	return all
}

func (b *builder) source(e entry[sourceRaw]) Source {
	r := e.val
	s := Source{
		Name: e.name, Description: r.Description.val, URL: r.Reports.URL.val, Secret: r.Reports.Secret.val,
		Silent: r.Refuse.val == "silent", Rate: b.rate("rate", r.Rate, defaultRate), Pos: e.key.pos(),
	}
	to := r.Reports
	if !to.isSet() || to.bad {
		return s
	}
	if u, err := url.Parse(s.URL); to.URL.good() && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "") {
		b.fault(to.URL.at, "url: %s is no address that reports can be posted to; write one such as https://bot.example.org/reports, without a password (they are signed)", shorten(s.URL))
	}
	switch {
	case !to.URL.isSet():
		b.fault(to.at, "reports: url is missing: where reports are posted. Remove reports if the source takes them as a stream")
	case !to.Secret.isSet():
		b.fault(to.at, "reports: secret is missing; without one nobody could tell reports from forgeries. Make one (bellhop secret set NAME) and write secret: \"secret:NAME\"")
	case to.Secret.good() && len(s.Secret) < 8:
		b.fault(to.Secret.at, "secret: one of less than 8 characters can be guessed; make a longer one")
	}
	return s
}

// sourceEntries are those of a service.
func (b *builder) sourceEntries(s *bellhop.Service, raw serviceRaw, good map[string]bool) {
	names := map[string]at{}
	for _, r := range raw.Sources.items {
		x := b.sourceEntry(s, r, good)
		if first, twice := names[x.Name]; twice && r.Name.good() {
			b.fault(r.Name.at, "the name %q is given to two entries of sources; the other stands in %s", x.Name, first.line())
		}
		if r.Name.good() {
			names[x.Name] = r.at
		}
		s.Sources = append(s.Sources, x)
	}
}

func (b *builder) sourceEntry(s *bellhop.Service, r sourceEntryRaw, good map[string]bool) bellhop.SourceEntry {
	x := bellhop.SourceEntry{
		Service: s.Name, Name: r.Name.val, Source: r.Source.val, When: conditions(r.When), Job: r.Job.val, Delay: r.Delay.val,
		OnRepeat: bellhop.OnRepeat(r.OnRepeat.or("queue")), ReportTo: r.ReportTo.val, Pos: r.at.pos(),
	}
	switch {
	case r.Name.isSet():
		b.checkName("entry", x.Name, r.Name.at)
	case !r.bad:
		b.fault(r.at, "this entry of sources has no name; add name:, after which it is called who asks")
	}
	switch {
	case !r.Source.isSet() && !r.bad:
		b.fault(r.at, "this entry does not say whose data it is for; add source: with a name in sources:")
	case r.Source.good() && !slices.Contains(b.known.outside, x.Source):
		text := b.didYouMean(x.Source, b.known.outside)
		if text == "" && len(b.known.outside) > 0 {
			text = "; it has: " + strings.Join(b.known.outside, ", ")
		}
		b.fault(r.Source.at, "source: %s is no outside source of this file%s", shorten(x.Source), text)
	}
	if r.ReportTo.good() && !b.place("report_to", r.ReportTo) {
		x.ReportTo = ""
	}
	x.Args = b.eventArgs(whatSource, r.at, s, r.Job, r.Args, good)
	return x
}

// IsSource reports whether identities may begin with a name: that of a chat, of
// an outside source, or of Bellhop's own.
func (c *Config) IsSource(name string) bool {
	return slices.Contains(takenSources(), name) || slices.ContainsFunc(c.Chats, func(x Chat) bool { return x.Name == name }) ||
		slices.ContainsFunc(c.Sources, func(x Source) bool { return x.Name == name })
}
