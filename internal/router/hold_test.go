package router_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

func TestBuiltInsThatHold(t *testing.T) {
	r := mustRouter(t, example())
	deploys := func(a bellhop.Action, job, from, until string) bellhop.Invocation {
		return bellhop.Invocation{Action: a, Service: "deploys", Job: job, From: from, Until: until}
	}
	for _, c := range []struct {
		name, line string
		want       bellhop.Invocation
	}{
		{"pause a service", "pause Deploys", deploys(bellhop.ActionPause, "", "", "")},
		{"pause a job", "Pause deploys DEPLOY.", deploys(bellhop.ActionPause, "deploy", "", "")},
		{"resume a service", "resume deploys", deploys(bellhop.ActionResume, "", "", "")},
		{"resume a job", "resume deploys deploy", deploys(bellhop.ActionResume, "deploy", "", "")},
		{"suppress a service", "suppress deploys until 18:30", deploys(bellhop.ActionSuppress, "", "", "18:30")},
		{"an end of several words", "suppress deploys until tomorrow at 9", deploys(bellhop.ActionSuppress, "", "", "tomorrow at 9")},
		{"suppress a job", "suppress deploys deploy until 2h", deploys(bellhop.ActionSuppress, "deploy", "", "2h")},
		{"suppress a service from a time on", "suppress deploys from 0900 until 1800", deploys(bellhop.ActionSuppress, "", "0900", "1800")},
		{"suppress a job from a time on", `suppress deploys deploy from "2026-01-31 9:00" until '2026-01-31 18:00'`, deploys(bellhop.ActionSuppress, "deploy", "2026-01-31 9:00", "2026-01-31 18:00")},
		{"unsuppress a service", "unsuppress deploys", deploys(bellhop.ActionUnsuppress, "", "", "")},
		{"unsuppress a job", "unsuppress deploys restart", deploys(bellhop.ActionUnsuppress, "restart", "", "")},
		{"resume one", "resume 17.", bellhop.Invocation{Action: bellhop.ActionResume, Hold: 17}},
		{"unsuppress one", "unsuppress 17", bellhop.Invocation{Action: bellhop.ActionUnsuppress, Hold: 17}},
		{"pause a schedule", "pause schedule deploys/nightly", bellhop.Invocation{Action: bellhop.ActionPauseSchedule, Schedule: "deploys/nightly"}},
		{"a schedule as lists have it", "Resume schedule Deploys Nightly", bellhop.Invocation{Action: bellhop.ActionResumeSchedule, Schedule: "deploys/nightly"}},
		{"run a schedule", "run schedule deploys/nightly", bellhop.Invocation{Action: bellhop.ActionRunSchedule, Schedule: "deploys/nightly"}},
		{"list them", "suppressions", bellhop.Invocation{Action: bellhop.ActionSuppressions}},
		{"help of a built-in command", "help Pause.", bellhop.Invocation{Action: bellhop.ActionHelp, Service: "pause"}},
		{"why", "why 00002a", bellhop.Invocation{Action: bellhop.ActionWhy, Run: 74}},
		{"retry with other arguments", `retry 00002a with env=staging "note=two  words" empty= a.b=x=y`, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 74, Args: bellhop.Args{
			"env": bellhop.Text("staging"), "note": bellhop.Text("two  words"), "empty": bellhop.Text(""), "a.b": bellhop.Text("x=y")}}},
		{"retry with quotes as letters", `retry 00002a with note="x"`, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 74, Args: bellhop.Args{"note": bellhop.Text(`"x"`)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Resolve(c.line)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q\n got %+v, %v\nwant %+v", c.line, got, err, c.want)
			}
		})
	}
}

func TestBuiltInsThatHoldAreAnswered(t *testing.T) {
	r := mustRouter(t, example())
	const service, until = "which service? Write `", "until when? Write `suppress SERVICE [JOB] until TIME`"
	for _, c := range []struct {
		name, line string
		code       bellhop.Code
		want       string
	}{
		{"which schedule", "run schedule", bellhop.Invalid, "which schedule? Write `run schedule SERVICE/NAME`; `schedules` lists them"},
		{"no schedule", "pause schedule deploys", bellhop.Invalid, "`deploys` is no schedule; write `pause schedule SERVICE/NAME`, as `schedules` lists them"},
		{"pause what", "pause", bellhop.Invalid, service + "pause SERVICE [JOB]`; `help` lists them"},
		{"suppress what", "suppress", bellhop.Invalid, service + "suppress SERVICE [JOB] until TIME`; `help` lists them"},
		{"unsuppress what", "unsuppress", bellhop.Invalid, service + "unsuppress SERVICE [JOB]`; `help` lists them"},
		{"until when", "suppress deploys", bellhop.Invalid, until},
		{"until when, for a job", "suppress deploys deploy", bellhop.Invalid, until},
		{"for a while", "suppress deploys for 2h", bellhop.Invalid, until},
		{"until nothing", "suppress deploys deploy until", bellhop.Invalid, until},
		{"until an empty phrase", `suppress deploys until " "`, bellhop.Invalid, "until is empty; write a time such as 18:30, a date, or a duration such as 2h"},
		{"until a novel", "suppress deploys until " + strings.Repeat("é", 101), bellhop.Invalid, "until is 202 bytes long, which is no time; write one such as 18:30, a date, or a duration such as 2h"},
		{"from when", "suppress deploys from", bellhop.Invalid, "from when? Write `suppress SERVICE [JOB] from TIME until TIME`"},
		{"from a time on, and no end", "suppress deploys from 9", bellhop.Invalid, "`until [until]` is missing: write `suppress SERVICE [JOB] from TIME until TIME`"},
		{"a time with spaces in the middle", "suppress deploys from tomorrow 9:00 until friday", bellhop.NotFound, "I don't know `suppress deploys from tomorrow 9:00 until friday`; write `suppress SERVICE [JOB] until TIME` or `suppress SERVICE [JOB] from TIME until TIME`, a time of several words in quotes"},
		{"an unknown service", "pause deplosy", bellhop.NotFound, "I don't know `pause deplosy`. Did you mean `pause deploys`? (`help` lists the services)"},
		{"an unknown service before more", "Suppress deplosy until 18:30", bellhop.NotFound, "I don't know `suppress deplosy`. Did you mean `suppress deploys ...`? (`help` lists the services)"},
		{"a service like no other", "resume frobnicate", bellhop.NotFound, "I don't know `resume frobnicate`; `help` lists the services"},
		{"an unknown job", "pause deploys deplyo", bellhop.NotFound, "deploys has no job `deplyo`. Did you mean `deploy`?"},
		{"a job like no other", "unsuppress deploys x", bellhop.NotFound, "deploys has no job `x`; it has: deploy, restart"},
		{"words too many", "pause deploys deploy now", bellhop.NotFound, "deploys has no job `deploy now`. Did you mean `deploy`?"},
		{"number 0", "unsuppress 0", bellhop.NotFound, "there is no suppression `0`; `suppressions` lists them with their numbers"},
		{"a number too long", "unsuppress 99999999999999999999", bellhop.NotFound, "there is no suppression `99999999999999999999`; `suppressions` lists them with their numbers"},
		{"a number and a job", "unsuppress 3 deploy", bellhop.Invalid, "a number says by itself which suppression is meant: write `unsuppress 3`, or `unsuppress SERVICE JOB`"},
		{"number 0 to resume", "resume 0", bellhop.NotFound, "there is no pause `0`; `suppressions` lists them with their numbers"},
		{"a number and a job to resume", "resume 3 deploy", bellhop.Invalid, "a number says by itself which pause is meant: write `resume 3`, or `resume SERVICE JOB`"},
		{"a number to pause", "pause 3", bellhop.NotFound, "I don't know `pause 3`; `help` lists the services"},
		{"a typing error", "supress deploys until 9", bellhop.NotFound, "I don't know `supress deploys until 9`. Did you mean `suppress SERVICE [JOB] until TIME` or `suppress SERVICE [JOB] from TIME until TIME`? (`help` lists what you can ask)"},
		{"why what", "why", bellhop.Invalid, "which run? Write `why RUN`; `runs` lists the latest"},
		{"retry with nothing", "retry 00002a with", bellhop.Invalid, "with what? Write `retry 00002a with NAME=VALUE`, or `retry 00002a` for the same again"},
		{"retry of no run with", "retry x with a=b", bellhop.Invalid, `"x" is not the id of a run; it is six or more letters and digits such as 00002a (see: runs)`},
		{"retry without with", "retry 00002a text=two n=3", bellhop.Invalid, "other arguments stand behind `with`: write `retry 00002a with text=two n=3`"},
		{"retry with words behind", "retry 00002a now", bellhop.Invalid, "other arguments stand behind `with`: write `retry 00002a with NAME=VALUE`"},
		{"retry of no run without with", "retry x a=b", bellhop.Invalid, `"x a=b" is not the id of a run; it is six or more letters and digits such as 00002a (see: runs)`},
		{"retry with a word", "retry 00002a with staging", bellhop.Invalid, "`staging` is not NAME=VALUE; quotes go around both when there is a space in it: `retry 00002a with \"name=two words\"`"},
		{"retry with no name", "retry 00002a with =x", bellhop.Invalid, "`=x` is not NAME=VALUE; quotes go around both when there is a space in it: `retry 00002a with \"name=two words\"`"},
		{"retry with quotes around the value", `retry 00002a with note="two words"`, bellhop.Invalid, "`note=\"two` has a quote that does not end there; quotes go around both name and value: `retry 00002a with \"name=two words\"`"},
		{"retry with one twice", "retry 00002a with a=1 a=2", bellhop.Invalid, "`a` is given twice; write it once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if err == nil {
				t.Fatalf("understood as %+v", inv)
			}
			if err.Error() != c.want || bellhop.CodeOf(err) != c.code {
				t.Errorf("%q\n got %s %s\nwant %s %s", c.line, bellhop.CodeOf(err), err, c.code, c.want)
			}
		})
	}
}

func TestBuiltInsThatHoldAreCompleted(t *testing.T) {
	r := mustRouter(t, example())
	for _, c := range []struct {
		name, line string
		may        router.May
		want       []string
	}{
		{"services", "pause ", nil, []string{"deploys", "example", "inventory", "schedule"}},
		{"services that one may use", "unsuppress ", notDeploys, []string{"example", "inventory"}},
		{"jobs", "resume deploys ", nil, []string{"deploy", "restart"}},
		{"jobs of a service that one may not use", "resume deploys ", notDeploys, nil},
		{"jobs and words", "suppress Deploys ", nil, []string{"deploy", "from", "restart", "until"}},
		{"words behind a job", "suppress deploys deploy ", nil, []string{"from", "until"}},
		{"behind the beginning", "suppress deploys from 9 ", nil, []string{"until"}},
		{"times", "suppress deploys until ", nil, nil},
		{"retry", "retry 00002a ", nil, []string{"with"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.Complete(c.line, c.may); !slices.Equal(got, c.want) {
				t.Errorf("%q: got %q, want %q", c.line, got, c.want)
			}
		})
	}
}

// windows has entries with each action that holds, of a job with the
// parameters env and from, and of the whole service.
func windows() *bellhop.Catalog {
	entry := func(line int, pattern, job string, a bellhop.Action) bellhop.Entry {
		e := command("site", pattern, job, line)
		e.Action = a
		return e
	}
	env := bellhop.Param{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging", "production"}}
	s := bellhop.Service{Name: "site", Pos: bellhop.Position{File: "bellhop.yaml", Line: 1, Col: 3}, Jobs: []bellhop.Job{job("site", "deploy", env, param("from:int"))}}
	fixed := entry(13, "freeze the night", "deploy", bellhop.ActionSuppress)
	fixed.Args = bellhop.Args{"from": bellhop.Text("22:00"), "until": bellhop.Text("06:00"), "env": bellhop.Text("production")}
	optional := entry(14, "", "", bellhop.ActionSuppress)
	optional.Regex = `hush( until (?P<until>.+))?`
	s.Entries = []bellhop.Entry{
		entry(11, "freeze [env] from [from] to [until]", "deploy", bellhop.ActionSuppress),
		entry(12, "freeze all until [until]", "", bellhop.ActionSuppress),
		fixed, optional,
		entry(15, "thaw [env]", "deploy", bellhop.ActionUnsuppress),
		entry(16, "thaw all", "", bellhop.ActionUnsuppress),
		entry(17, "halt [env] [from]", "deploy", bellhop.ActionPause),
		entry(18, "halt all", "", bellhop.ActionPause),
		entry(19, "go on", "deploy", bellhop.ActionResume),
	}
	return &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{s}}
}

func TestCommandsThatHold(t *testing.T) {
	r := mustRouter(t, windows())
	staging := bellhop.Args{"env": bellhop.Text("staging")}
	for _, c := range []struct {
		name, line string
		want       bellhop.Invocation
	}{
		{"suppress, narrowed", "site freeze staging from '9 am' to 6 pm.", bellhop.Invocation{Action: bellhop.ActionSuppress, Job: "deploy", Entry: "e11", Args: staging, From: "9 am", Until: "6 pm"}},
		{"suppress the whole service, from now on", "site freeze all until 18:30", bellhop.Invocation{Action: bellhop.ActionSuppress, Entry: "e12", Until: "18:30"}},
		{"suppress as the configuration says", "site freeze the night", bellhop.Invocation{Action: bellhop.ActionSuppress, Job: "deploy", Entry: "e13", Args: bellhop.Args{"env": bellhop.Text("production")}, From: "22:00", Until: "06:00"}},
		{"suppress by regex", "site hush until noon", bellhop.Invocation{Action: bellhop.ActionSuppress, Entry: "e14", Until: "noon"}},
		{"unsuppress, narrowed", "site thaw staging", bellhop.Invocation{Action: bellhop.ActionUnsuppress, Job: "deploy", Entry: "e15", Args: staging}},
		{"unsuppress the whole service", "site thaw all", bellhop.Invocation{Action: bellhop.ActionUnsuppress, Entry: "e16"}},
		{"pause, where from is the job's own", "site halt staging 7", bellhop.Invocation{Action: bellhop.ActionPause, Job: "deploy", Entry: "e17", Args: bellhop.Args{"env": bellhop.Text("staging"), "from": bellhop.Text("7")}}},
		{"pause the whole service", "site halt all", bellhop.Invocation{Action: bellhop.ActionPause, Entry: "e18"}},
		{"resume", "site go on", bellhop.Invocation{Action: bellhop.ActionResume, Job: "deploy", Entry: "e19"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Service = "site"
			for range 2 { // the second sees what the first left
				got, err := r.Resolve(c.line)
				if err != nil || !reflect.DeepEqual(got, c.want) {
					t.Fatalf("%q\n got %+v, %v\nwant %+v", c.line, got, err, c.want)
				}
			}
		})
	}
	for _, c := range []struct{ name, line, want string }{
		{"a group that took no part", "site hush", "in `site /hush( until (?P<until>.+))?/`: until is missing: say when it ends"},
		{"an empty time", "site freeze staging from '' to 9", "in `site freeze [env] from [from] to [until]`: from is empty; write a time such as 18:30, a date, or a duration such as 2h"},
		{"a bad value", "site thaw test", "in `site thaw [env]`: env expects one of staging, production, not \"test\""},
		{"a bad value of the job's own from", "site halt staging noon", "in `site halt [env] [from]`: from expects a whole number, not \"noon\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if inv, err := r.Resolve(c.line); err == nil || err.Error() != c.want {
				t.Errorf("got %+v, %v\nwant %s", inv, err, c.want)
			}
		})
	}
}

func TestHelpOfCommandsThatHold(t *testing.T) {
	const want = `site

  site freeze [env] from [from] to [until]  starts no runs of deploy for a time
      [env] one of staging, production
      [from] a time such as 18:30, a date, or a duration such as 2h
      [until] a time such as 18:30, a date, or a duration such as 2h
  site freeze all until [until]             starts nothing here for a time
`
	got := mustRouter(t, windows()).Help("site", nil)
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s...", got, want)
	}
	for _, line := range []string{"ends the suppressions of the whole service, not those of single jobs", "pauses the whole service until it is resumed", "pauses deploy until it is resumed", "resumes deploy"} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
}

func TestFaultsOfCommandsThatHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		pattern string
		job     string
		action  bellhop.Action
		args    bellhop.Args
		want    string // behind the command; "" = none
	}{
		{"no end", "freeze [env]", "deploy", bellhop.ActionSuppress, nil, ": suppress needs until; add [until] to it, or fix it with `args: {until: ...}`"},
		{"an end that is fixed", "freeze [env]", "deploy", bellhop.ActionSuppress, bellhop.Args{"until": bellhop.Text("18:30")}, ""},
		{"an end that is fixed and asked for", "freeze [until]", "deploy", bellhop.ActionSuppress, bellhop.Args{"until": bellhop.Text("18:30")}, ": until is asked for and fixed by args at once; remove one of them"},
		{"an end that is a list", "freeze [until...]", "deploy", bellhop.ActionSuppress, nil, ": [until...] gives a list, but until is one time; write [until]"},
		{"an end that is fixed as a list", "freeze", "deploy", bellhop.ActionSuppress, bellhop.Args{"until": bellhop.List("a")}, ": args: until is empty; write a time such as 18:30, a date, or a duration such as 2h"},
		{"a stranger", "freeze [who] until [until]", "deploy", bellhop.ActionSuppress, nil, ": job deploy has no parameter \"who\"; it has: env, from; suppress has from and until of its own"},
		{"a stranger of the whole service", "freeze [env] until [until]", "", bellhop.ActionSuppress, nil, ": there is no parameter \"env\", since the command is about the whole service; name a job with job:, or remove it; suppress has from and until of its own"},
		{"an end of a pause", "halt until [until]", "deploy", bellhop.ActionPause, nil, ": job deploy has no parameter \"until\"; it has: env, from"},
		{"an argument of a whole service", "halt", "", bellhop.ActionPause, bellhop.Args{"env": bellhop.Text("staging")}, ": args: there is no parameter \"env\", since the command is about the whole service; name a job with job:, or remove it"},
		{"no such job", "halt", "deplyo", bellhop.ActionPause, nil, ": service site has no job \"deplyo\"; it has: deploy"},
		{"a run of the whole service", "do", "", bellhop.ActionRun, nil, ": service site has no job \"\"; it has: deploy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := windows()
			e := command("site", c.pattern, c.job, 11)
			e.Action, e.Args = c.action, c.args
			cat.Services[0].Entries = []bellhop.Entry{e}
			want := ""
			if c.want != "" {
				want = "bellhop.yaml:11:9: command `" + c.pattern + "`" + c.want
			}
			_, faults := router.New(cat)
			var got []string
			for _, f := range faults {
				got = append(got, f.String())
			}
			if strings.Join(got, "\n") != want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
			}
		})
	}
}

func TestWhatAnEntrySaysOfARunTravels(t *testing.T) {
	cat := example()
	e := &cat.Services[0].Entries[0]
	e.MaxDelay, e.OnRepeat, e.Priority = time.Minute, bellhop.OnRepeatReject, new(0)
	inv, err := mustRouter(t, cat).Resolve("example say hello")
	if err != nil || inv.MaxDelay != time.Minute || inv.OnRepeat != bellhop.OnRepeatReject || inv.Priority == nil || *inv.Priority != 0 || inv.Delay != time.Second {
		t.Errorf("got %+v, %v", inv, err)
	}
}
