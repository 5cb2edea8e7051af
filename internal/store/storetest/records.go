package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) list(filter bellhop.RunFilter) []bellhop.RunID {
	f.Helper()
	runs, err := f.s.Records.Runs(f.ctx, filter)
	f.must(err)
	return runIDs(runs)
}

func runIDs(runs []bellhop.Run) []bellhop.RunID {
	out := []bellhop.RunID{}
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return out
}

// listed is what a filter asks about a run.
type listed struct {
	id           bellhop.RunID
	service, job string
	who          []string
	state        bellhop.State
	created      time.Time
}

func (r listed) in(f bellhop.RunFilter) bool {
	return (f.Service == "" || r.service == f.Service) && (f.Job == "" || r.job == f.Job) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.state)) && (f.Principal == "" || slices.Contains(r.who, f.Principal)) &&
		(f.Since.IsZero() || !r.created.Before(f.Since)) && (f.Until.IsZero() || r.created.Before(f.Until))
}

// manyRuns makes runs of several services, jobs and people, in every state;
// now and then the clock of who asks goes back.
func (f *fixture) manyRuns() []listed {
	f.Helper()
	var all []listed
	for i := range 150 {
		f.clock.Advance(time.Second)
		r := listed{service: fmt.Sprint("s", i%3), job: fmt.Sprint("j", i/3%2), who: []string{fmt.Sprint("p", i%5)}, created: f.now(), state: bellhop.Waiting}
		if i%17 == 3 {
			r.created = r.created.Add(-30 * time.Second)
		}
		specs := []spec{job(r.service, r.job), by(r.who[0]), merge(fmt.Sprint(i)), func(s *bellhop.Submission) {
			s.Now, s.Run.Start = r.created, r.created
			s.Run.Args, s.Ask.Origin.Source = argsOf(i), sourceOf(i)
		}}
		r.id = f.submit(specs...).Run
		if i%4 == 0 {
			r.who = append(r.who, fmt.Sprint("p", (i+1)%5))
			f.submit(append(specs, by(r.who[1]))...)
		}
		if i%4 == 2 { // the same person twice
			f.submit(specs...)
		}
		if i%7 < 5 {
			runs, _ := f.claimNext(1, r.id)
			switch i % 7 {
			case 0, 1:
				f.finish(f.ending(ref(runs[0])))
				r.state = bellhop.Succeeded
			case 2, 3:
				f.finish(f.failing(ref(runs[0])))
				r.state = bellhop.Failed
			default:
				r.state = bellhop.Running
				if i%2 == 0 { // it waits again
					f.finish(f.again(ref(runs[0]), bellhop.EndFailed, time.Hour))
					r.state = bellhop.Waiting
				}
			}
		} else if i%7 == 5 {
			f.cancel(bellhop.Cancellation{Run: r.id, All: true, Principal: "alice"})
			r.state = bellhop.Cancelled
		}
		all = append(all, r)
	}
	return all
}

func recordTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Records/AnUnknownRunIsNotFound": func(f *fixture) {
			_, err := f.s.Records.Run(f.ctx, 1)
			f.code(err, bellhop.NotFound)
			_, err = f.s.Records.Asks(f.ctx, 1)
			f.code(err, bellhop.NotFound)
		},
		"Records/RunsAreNarrowedByTheFilter": func(f *fixture) {
			f.submit()                                            // 1 succeeds
			f.submit(by("bob"))                                   // 2 runs
			f.finish(f.ending(ref(f.claim(1)[0])))                //
			f.claim(1)                                            //
			f.clock.Advance(time.Minute)                          //
			since := f.now()                                      //
			f.submit(job("example", "bye"))                       // 3 waits
			f.submit(job("other", "hello"))                       // 4 is cancelled
			f.cancel(bellhop.Cancellation{Run: 4, All: true})     //
			f.submit(in(time.Hour), merge("m"))                   // 5 waits, asked by two
			f.submit(in(time.Hour), merge("m"), by("bob"))        //
			f.submit(limit("k", 1), by("carol"), in(time.Minute)) // 6 waits
			type ids = []bellhop.RunID
			for _, c := range []struct {
				name   string
				filter bellhop.RunFilter
				want   ids
			}{
				{"all, newest first", bellhop.RunFilter{}, ids{6, 5, 4, 3, 2, 1}},
				{"limit", bellhop.RunFilter{Limit: 2}, ids{6, 5}},
				{"next page", bellhop.RunFilter{Limit: 2, Before: 5}, ids{4, 3}},
				{"service", bellhop.RunFilter{Service: "other"}, ids{4}},
				{"job", bellhop.RunFilter{Job: "hello", Service: "example"}, ids{6, 5, 2, 1}},
				{"job of any service", bellhop.RunFilter{Job: "hello"}, ids{6, 5, 4, 2, 1}},
				{"unknown job", bellhop.RunFilter{Job: "nope"}, ids{}},
				{"waiting", bellhop.RunFilter{States: []bellhop.State{bellhop.Waiting}}, ids{6, 5, 3}},
				{"live", bellhop.RunFilter{States: []bellhop.State{bellhop.Running, bellhop.Waiting}}, ids{6, 5, 3, 2}},
				{"mixed", bellhop.RunFilter{States: []bellhop.State{bellhop.Running, bellhop.Succeeded}}, ids{2, 1}},
				{"cancelled", bellhop.RunFilter{States: []bellhop.State{bellhop.Cancelled}}, ids{4}},
				{"held", bellhop.RunFilter{States: []bellhop.State{bellhop.Held}}, ids{}},
				{"since", bellhop.RunFilter{Since: since}, ids{6, 5, 4, 3}},
				{"until", bellhop.RunFilter{Until: since}, ids{2, 1}},
				{"until, exactly", bellhop.RunFilter{Until: since.Add(time.Microsecond)}, ids{6, 5, 4, 3, 2, 1}},
				{"since and until", bellhop.RunFilter{Since: since, Until: since}, ids{}},
				{"principal", bellhop.RunFilter{Principal: "bob"}, ids{5, 2}},
				{"principal and state", bellhop.RunFilter{Principal: "bob", States: []bellhop.State{bellhop.Waiting}}, ids{5}},
			} {
				f.same(c.name, f.list(c.filter), c.want)
			}
		},
		"Records/EveryFilterAndItsPages": func(f *fixture) {
			all := f.manyRuns()
			f.reopen()
			hits := 0
			const ways = 6 * 5 * 4 * 5 * 2
			for i := 0; i < ways; i += 7 { // every value of each, with many of the others
				filter := bellhop.RunFilter{
					Service: []string{"", "s0", "s1", "s2", "nope", "s1"}[i%6], Job: []string{"", "", "j0", "j1", "nope"}[i/6%5],
					Principal: []string{"", "p1", "p4", "nope"}[i/30%4],
					States: [][]bellhop.State{
						nil, {bellhop.Succeeded}, {bellhop.Failed, bellhop.Cancelled}, {bellhop.Waiting, bellhop.Failed}, {bellhop.Running, bellhop.Waiting},
					}[i/120%5],
				}
				if i/600%2 == 1 {
					filter.Since, filter.Until = all[20].created, all[110].created
				}
				want := []bellhop.RunID{}
				for _, r := range slices.Backward(all) {
					if r.in(filter) {
						want = append(want, r.id)
					}
				}
				f.same(fmt.Sprintf("%+v", filter), f.list(filter), want)
				got := []bellhop.RunID{}
				for filter.Limit = 3; ; filter.Before = got[len(got)-1] {
					page := f.list(filter)
					got = append(got, page...)
					if len(page) < filter.Limit {
						break
					}
				}
				f.same(fmt.Sprintf("pages of %+v", filter), got, want)
				hits += len(want)
			}
			if hits < 500 {
				f.Errorf("only %d hits: this test shows little", hits)
			}
		},
		"Records/ActiveShowsWhatRunsAndTheFirstThatWait": func(f *fixture) {
			f.submit(in(-time.Minute), limit("k", 1)) // 1 runs
			f.submit(in(-time.Hour))                  // 2 runs
			f.submit(in(-time.Second), limit("k", 1)) // 3 is held back
			f.claim(9)
			f.submit(in(time.Hour))        // 4
			f.submit(in(-2 * time.Second)) // 5
			f.submit(in(time.Minute))      // 6
			running, waiting, more, err := f.s.Records.Active(f.ctx, 3)
			f.must(err)
			f.same("running", runIDs(running), []bellhop.RunID{2, 1})
			f.same("waiting", runIDs(waiting), []bellhop.RunID{5, 3, 6})
			f.same("behind", waiting[1].Behind, bellhop.RunID(1))
			f.same("more", more, true)
			_, waiting, more, err = f.s.Records.Active(f.ctx, 4)
			f.must(err)
			f.same("waiting", len(waiting), 4)
			f.same("more", more, false)
		},
		"Records/DefinitionsAreKept": func(f *fixture) {
			other := Job()
			other.Name = "other"
			defs := []bellhop.Definition{{Digest: Job().Digest(), Job: Job()}, {Digest: other.Digest(), Job: other}}
			f.must(f.s.Definitions.PutDefinitions(f.ctx, defs))
			f.must(f.s.Definitions.PutDefinitions(f.ctx, defs))
			f.must(f.s.Definitions.PutDefinitions(f.ctx, nil))
			f.reopen()
			for _, d := range defs {
				got, err := f.s.Definitions.Definition(f.ctx, d.Digest)
				f.must(err)
				f.same("job", got, d.Job)
			}
			_, err := f.s.Definitions.Definition(f.ctx, "nope")
			f.code(err, bellhop.NotFound)
		},
	}
}

// chunk makes one of channel c with the text.
func (f *fixture) chunk(seq int64, c bellhop.Channel, offset int64, text string) bellhop.Chunk {
	return bellhop.Chunk{Seq: seq, Channel: c, Offset: offset, At: f.now(), Data: []byte(text)}
}

func (f *fixture) output(r bellhop.LeaseRef, drop []int64, chunks ...bellhop.Chunk) {
	f.Helper()
	errs, err := f.s.Outputs.AppendOutput(f.ctx, []bellhop.OutputBatch{{Ref: r, Attempt: 1, Chunks: chunks, Drop: drop}})
	f.must(err)
	f.must(errs[0])
}

// read returns attempt.seq:text of chunks.
func read(chunks []bellhop.Chunk) []string {
	out := []string{}
	for _, c := range chunks {
		out = append(out, fmt.Sprintf("%d.%d:%s", c.Attempt, c.Seq, c.Data))
	}
	return out
}

func (f *fixture) after(id bellhop.RunID, attempt int, seq int64, limit int) []string {
	f.Helper()
	chunks, err := f.s.Outputs.Output(f.ctx, id, attempt, seq, limit)
	f.must(err)
	return read(chunks)
}

func (f *fixture) tail(id bellhop.RunID, attempt int, c bellhop.Channel, limit int) []string {
	f.Helper()
	chunks, err := f.s.Outputs.Tail(f.ctx, id, attempt, c, limit)
	f.must(err)
	return read(chunks)
}

func outputTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Output/IsKeptInOrder": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			all := []bellhop.Chunk{f.chunk(1, bellhop.Stdout, 0, "a\x00\xff"), f.chunk(2, bellhop.Stderr, 0, "b"), f.chunk(3, bellhop.Stdout, 3, "c")}
			f.output(r, nil, all[0], all[1])
			f.output(r, nil, all[2])
			got, err := f.s.Outputs.Output(f.ctx, r.Run, 0, 0, 1000)
			f.must(err)
			for i := range all {
				all[i].Attempt = 1
			}
			f.same("chunks", got, all)
			f.finish(f.ending(r))
			f.reopen()
			f.same("after the end and a restart", f.after(r.Run, 0, 0, 1000), read(all))
		},
		"Output/IsReadFromAPlaceAndInPieces": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "aaaa"), f.chunk(2, 1, 4, "bbbb"), f.chunk(3, 2, 0, "cccc"))
			f.same("after the first", f.after(r.Run, 1, 1, 1000), []string{"1.2:bbbb", "1.3:cccc"})
			f.same("about five bytes", f.after(r.Run, 0, 0, 5), []string{"1.1:aaaa", "1.2:bbbb"})
			f.same("at least one", f.after(r.Run, 1, 2, 1), []string{"1.3:cccc"})
			f.same("at the end", f.after(r.Run, 1, 3, 1000), []string{})
			f.same("of another run", f.after(99, 0, 0, 1000), []string{})
		},
		"Output/OfSeveralAttemptsIsKeptApart": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "one"), f.chunk(2, 1, 3, "more"))
			e := f.again(r, bellhop.EndInterrupted, 0)
			e.FreeAttempt = true
			f.finish(e)
			r = ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "two"))
			f.same("all", f.after(r.Run, 0, 0, 1000), []string{"1.1:one", "1.2:more", "2.1:two"})
			f.same("after the first attempt", f.after(r.Run, 1, 2, 1000), []string{"2.1:two"})
			f.same("tail", f.tail(r.Run, 2, bellhop.Stdout, 100), []string{"2.1:two"})
		},
		"Output/IsDropped": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "a"), f.chunk(2, 1, 1, "b"), f.chunk(3, 1, 2, "c"))
			f.output(r, []int64{2, 99}, f.chunk(4, 1, 3, "d"))
			f.same("left", f.after(r.Run, 0, 0, 1000), []string{"1.1:a", "1.3:c", "1.4:d"})
		},
		"Output/TailIsOfOneChannel": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "aa"), f.chunk(2, 2, 0, "xx"), f.chunk(3, 1, 2, "bb"), f.chunk(4, 2, 2, "yy"), f.chunk(5, 1, 4, "cc"))
			f.same("stdout", f.tail(r.Run, 1, bellhop.Stdout, 3), []string{"1.3:bb", "1.5:cc"})
			f.same("stderr", f.tail(r.Run, 1, bellhop.Stderr, 100), []string{"1.2:xx", "1.4:yy"})
			f.same("nothing", f.tail(r.Run, 2, bellhop.Stdout, 100), []string{})
		},
		"Output/IsTakenWhileTheRunRunsAlone": func(f *fixture) {
			f.submit()
			f.submit()
			runs := f.claim(9)
			f.finish(f.ending(ref(runs[0])))
			errs, err := f.s.Outputs.AppendOutput(f.ctx, []bellhop.OutputBatch{
				{Ref: ref(runs[0]), Attempt: 1, Chunks: []bellhop.Chunk{f.chunk(1, 1, 0, "late")}},
				{Ref: ref(runs[1]), Attempt: 1, Chunks: []bellhop.Chunk{f.chunk(1, 1, 0, "fine")}},
			})
			f.must(err)
			f.same("errors", errs, []error{bellhop.ErrLeaseLost, nil})
			f.same("late", f.after(runs[0].Run.ID, 0, 0, 1000), []string{})
			f.same("fine", f.after(runs[1].Run.ID, 0, 0, 1000), []string{"1.1:fine"})
		},
		"Output/TheSameChunkAgainIsKeptOnce": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "a"))
			f.output(r, nil, f.chunk(1, 1, 0, "a"), f.chunk(2, 1, 1, "b"))
			f.same("chunks", f.after(r.Run, 0, 0, 1000), []string{"1.1:a", "1.2:b"})
		},
	}
}
