package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// queue notes what the engine has written of ends.
type queue struct {
	bellhop.Queue
	endings []bellhop.Ending
}

func (q *queue) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	q.endings = append(q.endings, ends...)
	return q.Queue.Finish(ctx, ends)
}

// following is a catalog in which things follow others.
func following() *bellhop.Catalog {
	def := bellhop.Text("60")
	ip := bellhop.Param{Name: "ip", Type: bellhop.TypeString}
	params := func(p ...bellhop.Param) func(*bellhop.Job) { return func(j *bellhop.Job) { j.Params = p } }
	then := func(f ...bellhop.Follow) func(*bellhop.Job) {
		return func(j *bellhop.Job) { j.Params, j.Then = []bellhop.Param{ip}, f }
	}
	return &bellhop.Catalog{Services: []bellhop.Service{{Name: "net", Jobs: []bellhop.Job{
		job("net", "unblock", params(ip, bellhop.Param{Name: "minutes", Type: bellhop.TypeInt, Default: &def})),
		job("net", "note", params(bellhop.Param{Name: "text", Type: bellhop.TypeString}, bellhop.Param{Name: "hosts", Type: bellhop.TypeList, Default: &bellhop.Value{List: []string{}}})),
		job("net", "block", then(
			bellhop.Follow{Job: "unblock", Delay: time.Hour},
			bellhop.Follow{Job: "note", On: bellhop.FollowFailure, Args: bellhop.Args{"text": bellhop.Text("{ip} was not blocked")}},
			bellhop.Follow{Job: "note", On: bellhop.FollowAlways, Args: bellhop.Args{"text": bellhop.Text("{ip}"), "hosts": bellhop.List("{ip}", "x")}},
		)),
		job("net", "wrong", then(
			bellhop.Follow{Job: "gone", On: bellhop.FollowAlways},
			bellhop.Follow{Job: "unblock", On: bellhop.FollowAlways, Args: bellhop.Args{"minutes": bellhop.Text("{ip}")}},
		)),
		job("net", "guarded", func(j *bellhop.Job) {
			j.Params = []bellhop.Param{ip}
			j.OnFailure = bellhop.OnFailure{Notify: []string{"alice", "bob", "bob"}, Job: "unblock"}
			j.Retries = bellhop.Retries{Max: 1, On: []string{"75"}}
		}),
		job("net", "fragile", func(j *bellhop.Job) {
			j.Params, j.OnCrash = []bellhop.Param{ip}, bellhop.CrashFail
			j.OnFailure = bellhop.OnFailure{Notify: []string{"bob"}, Job: "unblock"}
		}),
	}}}}
}

// followed says what an ending brings, for comparison.
func followed(end bellhop.Ending) (all []string) {
	for _, f := range end.Follow {
		args := make([]string, 0, len(f.Args))
		for name, v := range f.Args {
			args = append(args, name+"="+v.String())
		}
		slices.Sort(args)
		all = append(all, fmt.Sprintf("%s %s in %s", f.Job, strings.Join(args, " "), f.Start.Sub(end.Now)))
	}
	return all
}

func TestWhatFollows(t *testing.T) {
	unblock := "unblock ip=1.2.3.4 minutes=60 in "
	always := `note hosts=["1.2.3.4","x"] text=1.2.3.4 in 0s`
	failed := `note hosts=[] text=1.2.3.4 was not blocked in 0s`
	exit := func(n int) *int { return &n }
	tests := []struct {
		job    string
		out    bellhop.Outcome
		want   []string
		notify []string
		warn   []string
	}{
		{"block", bellhop.Outcome{End: bellhop.EndSucceeded}, []string{unblock + "1h0m0s", always}, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndFailed}, []string{failed, always}, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndTimedOut}, []string{failed, always}, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndNotStarted}, []string{failed, always}, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndCancelled}, []string{always}, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndInterrupted}, nil, nil, nil},
		{"block", bellhop.Outcome{End: bellhop.EndCrashed}, nil, nil, nil},
		{"wrong", bellhop.Outcome{End: bellhop.EndSucceeded, Warnings: []string{"of its own"}}, nil, nil, []string{
			"of its own",
			"then: net gone does not follow: there is no job net gone in the configuration (see: help); ask for it yourself if it is needed",
			`then: net unblock does not follow: minutes expects a whole number, not "1.2.3.4"; ask for it yourself if it is needed`,
		}},
		{"guarded", bellhop.Outcome{End: bellhop.EndSucceeded}, nil, nil, nil},
		{"guarded", bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(75)}, nil, nil, nil}, // tried again
		{"guarded", bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(1)}, []string{unblock + "0s"}, []string{"bob"}, nil},
		{"guarded", bellhop.Outcome{End: bellhop.EndTimedOut}, []string{unblock + "0s"}, []string{"bob"}, nil},
		{"guarded", bellhop.Outcome{End: bellhop.EndCancelled}, nil, nil, nil},
		{"fragile", bellhop.Outcome{End: bellhop.EndCrashed}, []string{unblock + "0s"}, []string{"bob"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.job+" "+string(tt.out.End), func(t *testing.T) {
			h := newHouse(t)
			if err := h.Activate(t.Context(), following()); err != nil {
				t.Fatal(err)
			}
			q := &queue{Queue: h.store.Queue}
			h.store.Queue = q
			h.run(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "net", Job: tt.job, Args: bellhop.Args{"ip": bellhop.Text("1.2.3.4")}})
			if err := h.Finish(t.Context(), ref(h.claim(1)[0]), tt.out, nil); err != nil {
				t.Fatal(err)
			}
			end := q.endings[0]
			if got := followed(end); !slices.Equal(got, tt.want) {
				t.Errorf("what follows: %q, want %q", got, tt.want)
			}
			if !slices.Equal(end.Warnings, tt.warn) {
				t.Errorf("warnings: %q, want %q", end.Warnings, tt.warn)
			}
			var notify []string
			for _, a := range end.Notify {
				if a.N != -1 || a.Origin != (bellhop.Origin{}) {
					t.Errorf("notified as %+v", a)
				}
				notify = append(notify, a.Principal)
			}
			if !slices.Equal(notify, tt.notify) {
				t.Errorf("told besides: %q, want %q", notify, tt.notify)
			}
		})
	}
}

// TestWhoIsToldOfAReportThatIsGivenUp: those of on_failure.notify, and not by
// the way that has failed.
func TestWhoIsToldOfAReportThatIsGivenUp(t *testing.T) {
	h := newHouse(t)
	cat := following()
	for i := range cat.Services[0].Jobs {
		if j := &cat.Services[0].Jobs[i]; j.Name == "guarded" {
			j.OnFailure.Notify = []string{"slack:C9", "bob"}
		}
	}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	run := h.run(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "net", Job: "guarded", Args: bellhop.Args{"ip": bellhop.Text("1.2.3.4")}})
	for _, tt := range []struct {
		origin bellhop.Origin
		want   string
	}{
		{bellhop.Origin{Source: "slack", Channel: "C1"}, "slack:C9 bob"},
		{bellhop.Origin{Source: "slack", Channel: "C9"}, "bob"},
	} {
		asks, err := h.Instead(t.Context(), bellhop.OutboxRow{Run: run.Run, Ask: bellhop.Ask{Origin: tt.origin}}, "no such channel")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range asks {
			names = append(names, a.Principal)
			if a.N != -1 || a.Note != "no such channel" {
				t.Errorf("told as %+v", a)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("told: %q, want %q", got, tt.want)
		}
	}
}

// A followed run is one like any that is asked for: it merges with what waits,
// so that blocking again pushes the unblocking back.
func TestWhatFollowsIsLikeAnAsk(t *testing.T) {
	h := newHouse(t)
	cat := following()
	cat.Services[0].Jobs[0].Priority, cat.Services[0].Jobs[0].Deadline = 7, time.Minute
	cat.Services[0].Entries = []bellhop.Entry{{Service: "net", Job: "unblock", OnRepeat: bellhop.OnRepeatReject}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	q, s := &queue{Queue: h.store.Queue}, &submissions{Queue: h.store.Queue}
	args := bellhop.Args{"ip": bellhop.Text("1.2.3.4")}
	h.store.Queue = q
	h.run(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "net", Job: "block", Args: args})
	h.finish(h.claim(1)[0], bellhop.EndSucceeded)
	h.store.Queue = s
	h.run(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "net", Job: "unblock", Args: bellhop.Args{"ip": args["ip"], "minutes": bellhop.Text("60")}})
	asked, follows := s.subs[0].Run, q.endings[0].Follow[0]
	if asked.MergeKey == "" || asked.AlikeKey == "" || asked.Priority != 7 {
		t.Errorf("an ask is %+v", asked)
	}
	asked.Start = follows.Start
	if fmt.Sprint(asked) != fmt.Sprint(follows) {
		t.Errorf("what follows is %+v,\nan ask is        %+v", follows, asked)
	}
}

// The job that follows is the one of the active configuration.
func TestWhatFollowsIsByTheActiveConfiguration(t *testing.T) {
	h := newHouse(t)
	if err := h.Activate(t.Context(), following()); err != nil {
		t.Fatal(err)
	}
	q := &queue{Queue: h.store.Queue}
	h.store.Queue = q
	h.run(alice, bellhop.Invocation{Action: bellhop.ActionRun, Service: "net", Job: "block", Args: bellhop.Args{"ip": bellhop.Text("1.2.3.4")}})
	c := h.claim(1)[0]
	next := following()
	next.Services[0].Jobs[0].Timeout = time.Minute
	next.Services[0].Jobs[2].Then = nil // of the job itself: its run keeps the definition it names
	if err := h.Activate(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	h.finish(c, bellhop.EndSucceeded)
	if f := q.endings[0].Follow; len(f) != 2 || f[0].Digest != next.Services[0].Jobs[0].Digest() {
		t.Errorf("what follows: %+v", f)
	}
}

// submissions notes what the engine has submitted.
type submissions struct {
	bellhop.Queue
	subs []bellhop.Submission
}

func (s *submissions) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	s.subs = append(s.subs, subs...)
	return s.Queue.Submit(ctx, subs)
}
