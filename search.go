package bellhop

import (
	"slices"
	"strings"
)

// RunSearch narrows a list of runs by more than a RunFilter does: by what
// stores have no index for, so that a search goes as far as Scan allows and
// says where to go on. Limit is at most RunPageMost; 0 = RunPageSize.
type RunSearch struct {
	RunFilter
	Verdicts []Verdict
	Source   string // Run.Source
	Arg      ArgPrefix
	Within   string // services and jobs, as in Person.Scope; "" = all
	After    RunID  // only greater ids, and those that are nearest: the page before. Not with Before.
	// Scan is about how many runs, and rows of indexes, are looked at; 0 =
	// RunScan. However few, each page gets further.
	Scan int
}

const (
	// RunPageSize is how many runs a page has unless its search says otherwise,
	// RunPageMost how many it may have.
	RunPageSize = 50
	RunPageMost = 1000
	// RunScan is how much a search looks at unless it says otherwise.
	RunScan = 30_000
)

// ArgPrefix is how an argument begins, exactly; of a list, any of its words.
type ArgPrefix struct {
	Name   string // of the parameter; "" = of any
	Prefix string
}

// IsZero reports whether it means everything.
func (a ArgPrefix) IsZero() bool { return a == ArgPrefix{} }

// Means reports whether some arguments have one that begins so.
func (a ArgPrefix) Means(args Args) bool {
	if a.IsZero() {
		return true
	}
	begins := func(v Value) bool {
		if v.IsList() {
			return slices.ContainsFunc(v.List, func(w string) bool { return strings.HasPrefix(w, a.Prefix) })
		}
		return strings.HasPrefix(v.Text, a.Prefix)
	}
	if a.Name != "" {
		v, ok := args[a.Name]
		return ok && begins(v)
	}
	for _, v := range args {
		if begins(v) {
			return true
		}
	}
	return false
}

// ParseArgPrefix reads NAME=PREFIX, or PREFIX of any argument.
func ParseArgPrefix(s string) ArgPrefix {
	if name, prefix, ok := strings.Cut(s, "="); ok {
		return ArgPrefix{Name: name, Prefix: prefix}
	}
	return ArgPrefix{Prefix: s}
}

// String is what ParseArgPrefix reads.
func (a ArgPrefix) String() string {
	if a.Name == "" && !strings.Contains(a.Prefix, "=") {
		return a.Prefix
	}
	return a.Name + "=" + a.Prefix
}

// RunPage is a part of a list of runs.
type RunPage struct {
	Runs []Run `json:"runs"` // newest first
	// Next is the Before of the next page (of a search with After: the After);
	// 0 = there are no more. With fewer runs than Limit, this is how far was
	// searched.
	Next RunID `json:"next,omitempty"`
}

// Source is where its first ask came from: a chat, ssh, console, ask, web, api,
// or what asked by itself, schedule, webhook, broker, source (data of one),
// whomever that reports to.
func (r *Run) Source() string {
	switch source, _, _ := strings.Cut(r.AskedBy, ":"); source {
	case SourceSchedule, SourceWebhook, SourceBroker, SourceOutside:
		return source
	}
	return r.Origin.Source
}

// Means reports whether a run has the verdict, source and argument of a search;
// the rest of it is not looked at.
func (s *RunSearch) Means(r *Run) bool {
	return (len(s.Verdicts) == 0 || slices.Contains(s.Verdicts, r.Verdict)) && (s.Source == "" || s.Source == r.Source()) && s.Arg.Means(r.Args)
}

// Rare reports whether it narrows by what stores have no index for.
func (s *RunSearch) Rare() bool { return len(s.Verdicts) > 0 || s.Source != "" || !s.Arg.IsZero() }

// PageSize is its Limit, within bounds.
func (s *RunSearch) PageSize() int {
	if s.Limit <= 0 {
		return RunPageSize
	}
	return min(s.Limit, RunPageMost)
}

// ParseVerdict reads the name of a verdict, in any case; anything else is an
// Invalid error.
func ParseVerdict(s string) (Verdict, error) {
	switch v := Verdict(strings.ToUpper(s)); v {
	case Success, Fixed, Fail, Regression, Broken, Aborted:
		return v, nil
	}
	return "", Errorf(Invalid, "verdict %.40q does not exist; the verdicts are SUCCESS, FIXED, FAIL, REGRESSION, ERROR, ABORTED", s)
}
