package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// argsOf are the arguments of a run of manyRuns, sourceOf is where it is asked
// from.
func argsOf(i int) bellhop.Args {
	return []bellhop.Args{
		nil,
		{"env": bellhop.Text("prod")},
		{"env": bellhop.Text("production"), "name": bellhop.Text("staging")},
		{"hosts": bellhop.List("web-1", "db-<1>"), "env": bellhop.Text("")},
		{"env": bellhop.Text(`<"pröd"\&>`), "name": bellhop.Text("prod")},
		{"env": bellhop.Text("staging")},
		{"name": bellhop.Text("<prod")},
	}[i%7]
}

func sourceOf(i int) string {
	return []string{"ssh", "slack", "ssh", "console", "sl"}[i%5]
}

// searched walks through all pages of a search.
func (f *fixture) searched(s bellhop.RunSearch) (ids []bellhop.RunID) {
	f.Helper()
	up := s.After > 0
	for pages := 1; ; pages++ {
		page, err := f.s.Records.Search(f.ctx, s)
		f.must(err)
		if len(page.Runs) > s.PageSize() || pages > 5000 {
			f.Fatalf("page %d of %+v has %d runs", pages, s, len(page.Runs))
		}
		got := runIDs(page.Runs)
		if up {
			slices.Reverse(got)
		}
		ids = append(ids, got...)
		if page.Next == 0 {
			break
		}
		if up && page.Next <= s.After || !up && s.Before > 0 && page.Next >= s.Before {
			f.Fatalf("page %d of %+v goes on at %d", pages, s, page.Next)
		}
		if up {
			s.After = page.Next
		} else {
			s.Before = page.Next
		}
	}
	if up {
		slices.Reverse(ids)
	}
	return append([]bellhop.RunID{}, ids...)
}

func searchTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Search/EveryFilterAndItsPages": func(f *fixture) {
			made := f.manyRuns()
			f.reopen()
			runs, err := f.s.Records.Runs(f.ctx, bellhop.RunFilter{})
			f.must(err)
			if len(runs) != len(made) {
				f.Fatalf("there are %d runs, want %d", len(runs), len(made))
			}
			r := rand.New(rand.NewPCG(1, 2))
			hits := map[string]int{}
			for range 250 {
				s := someSearch(r, made)
				want := []bellhop.RunID{}
				for i := range runs {
					if is := made[len(made)-1-i]; is.in(s.RunFilter) && s.Means(&runs[i]) && within(s.Within, is) && runs[i].ID > s.After && (s.Before == 0 || runs[i].ID < s.Before) {
						want = append(want, runs[i].ID)
					}
				}
				f.same(fmt.Sprintf("%+v", s), f.searched(s), want)
				if len(want) > 0 {
					hits[fmt.Sprint(len(s.Verdicts) > 0, s.Source != "", !s.Arg.IsZero())]++
				}
			}
			if len(hits) != 8 { // each with each
				f.Errorf("only these were found: %v", hits)
			}
		},
		"Search/Arguments": func(f *fixture) {
			for i, a := range []bellhop.Args{
				{"env": bellhop.Text("prod")}, {"env": bellhop.Text("<prod>")}, {"env": bellhop.Text("ä<prod>")}, {"env": bellhop.Text(`pr"od\`)},
				{"env": bellhop.List("a", "prod")}, {"env": bellhop.List()}, {"other": bellhop.Text("prod"), "env": bellhop.Text("x")}, {"e\"nv": bellhop.Text("prod")}, nil,
			} {
				f.submit(merge(fmt.Sprint(i)), func(s *bellhop.Submission) { s.Run.Args = a })
			}
			type ids = []bellhop.RunID
			for _, c := range []struct {
				name, prefix string
				want         ids
			}{
				{"env", "prod", ids{5, 1}},
				{"env", "pr", ids{5, 4, 1}},
				{"env", "prod-", ids{}},
				{"env", "<pr", ids{2}},
				{"env", "ä<", ids{3}},
				{"env", "\xc3", ids{3}},
				{"env", `pr"od\`, ids{4}},
				{"env", "", ids{7, 5, 4, 3, 2, 1}},
				{"env", "a", ids{5}},
				{"en", "prod", ids{}},
				{`e"nv`, "prod", ids{8}},
				{"", "prod", ids{8, 7, 5, 1}},
				{"", "env", ids{}},
				{"", "<", ids{2}},
			} {
				f.same(c.name+"="+c.prefix, f.searched(bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: c.name, Prefix: c.prefix}}), c.want)
			}
		},
		"Search/Sources": func(f *fixture) {
			from := func(identity, source string) spec {
				return func(s *bellhop.Submission) {
					s.Ask.Principal, s.Ask.Identity, s.Ask.Origin.Source, s.Ask.Origin.Person = identity, identity, source, ""
				}
			}
			f.submit(from("slack:T1/U1", "slack"))
			f.submit(from("schedule:example/night", "slack")) // which it reports to
			f.submit(from("webhook:example/push", "webhook"))
			f.submit(from("slack:T1/U1", "web"))
			f.submit(merge("m"), from("ssh:a", "ssh"))
			f.submit(merge("m"), from("slack:T1/U1", "slack")) // joins
			f.submit(from("source:example/seen", "irc"))
			type ids = []bellhop.RunID
			for source, want := range map[string]ids{"slack": {1}, "schedule": {2}, "webhook": {3}, "web": {4}, "ssh": {5}, "source": {6}, "irc": {}, "broker": {}, "sla": {}, "lack": {}} {
				f.same(source, f.searched(bellhop.RunSearch{Source: source}), want)
			}
		},
		"Search/WhatCameOfARun": func(f *fixture) {
			first := f.submit().Run
			e := f.ending(ref(f.claimOne()))
			e.Follow = []bellhop.RunSpec{f.following()}
			f.finish(e)
			retry := func(s *bellhop.Submission) { s.Run.RetryOf = first }
			f.submit(merge("b"), retry)
			f.submit(merge("c"), func(s *bellhop.Submission) { s.Run.RetryOf = first + 1 })
			f.submit(merge("d"), retry)
			for n, want := range map[int][]bellhop.RunID{10: {2, 3, 5}, 2: {2, 3}, 0: {}} {
				got, err := f.s.Records.CameOf(f.ctx, first, n)
				f.must(err)
				f.same("what came of it", runIDs(got), want)
			}
			got, err := f.s.Records.CameOf(f.ctx, 5, 10)
			f.must(err)
			f.same("what came of the last", len(got), 0)
		},
		"Search/ItEndsWhenAllIsSpent": func(f *fixture) {
			for i := range 400 {
				f.submit(merge(fmt.Sprint(i)), by([]string{"alice", "bob"}[i%2]), job("s", []string{"a", "b"}[i%2]), func(s *bellhop.Submission) { s.Run.Args = bellhop.Args{"i": bellhop.Text(fmt.Sprint(i))} })
			}
			for name, s := range map[string]bellhop.RunSearch{
				"an argument":                  {Arg: bellhop.ArgPrefix{Name: "i", Prefix: "x"}},
				"two that never come together": {RunFilter: bellhop.RunFilter{Job: "a", Principal: "bob"}},
				"all of them":                  {RunFilter: bellhop.RunFilter{Job: "a"}, Source: "slack"},
			} {
				s.Scan = 100
				s.Before = 401
				page, err := f.s.Records.Search(f.ctx, s)
				f.must(err)
				if name != "an argument" && page.Next == 0 {
					f.Errorf("%s: all was looked at", name)
				}
				f.same(name, f.searched(s), []bellhop.RunID{})
			}
		},
	}
}

func within(scope string, r listed) bool {
	p := bellhop.Person{Scope: scope}
	return p.Within(r.service, r.job)
}

// someSearch makes a search of some of what there is, with pages of any size.
func someSearch(r *rand.Rand, made []listed) (s bellhop.RunSearch) {
	some := func() bool { return r.IntN(6) == 0 }
	one := func(words ...string) string { return words[r.IntN(len(words))] }
	if some() {
		s.Service = one("s0", "s1", "s2", "nope")
	}
	if some() {
		s.Job = one("j0", "j1")
	}
	if some() {
		s.Within = one("s0", "s1/j0", "s0/j1 s2", "nope")
	}
	if some() {
		s.Principal = one("p0", "p1", "p4", "nobody")
	}
	states := []bellhop.State{bellhop.Held, bellhop.Waiting, bellhop.Running, bellhop.Succeeded, bellhop.Failed, bellhop.Cancelled, bellhop.TimedOut}
	if some() {
		s.States = states[r.IntN(3):][:1+r.IntN(4)]
	}
	verdicts := []bellhop.Verdict{bellhop.Success, bellhop.Fixed, bellhop.Fail, bellhop.Regression, bellhop.Broken, bellhop.Aborted}
	if r.IntN(3) == 0 {
		s.Verdicts = verdicts[r.IntN(5):][:1+r.IntN(1+1)]
	}
	if r.IntN(3) == 0 {
		s.Source = one("ssh", "slack", "sl", "console", "schedule")
	}
	if r.IntN(3) == 0 {
		s.Arg = bellhop.ArgPrefix{Name: one("env", "name", "hosts", ""), Prefix: one("", "p", "prod", "<", "db-", "st")}
	}
	if some() {
		s.Since = made[r.IntN(len(made))].created
	}
	if some() {
		s.Until = made[r.IntN(len(made))].created.Add(time.Duration(r.IntN(2)) * time.Microsecond)
	}
	switch r.IntN(4) {
	case 0:
		s.Before = bellhop.RunID(1 + r.IntN(len(made)+2))
	case 1:
		s.After = bellhop.RunID(1 + r.IntN(len(made)))
	}
	s.Limit = []int{0, 1, 7, 1000, 5000}[r.IntN(5)]
	s.Scan = []int{0, 1, 40, 500}[r.IntN(4)]
	return s
}
