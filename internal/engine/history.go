package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

const (
	// historyMost is how many runs that came of one are told of, and how many
	// records of the trail.
	historyMost = 50
)

// History tells what became of a run that the person may see: else NotFound, or
// NotAllowed, which is recorded.
func (e *Engine) History(ctx context.Context, p bellhop.Person, id bellhop.RunID) (*bellhop.History, error) {
	run, err := e.Run(ctx, p, id)
	if err != nil {
		return nil, err
	}
	h := &bellhop.History{Run: run}
	if h.Asks, err = e.store.Records.Asks(ctx, id); err != nil {
		return nil, err
	}
	for i := range h.Asks {
		a := &h.Asks[i]
		a.Key, a.Origin.Session, a.Origin.Server, a.Note = "", "", "", e.maskText(a.Note)
	}
	if h.Attempts, err = e.attempts(ctx, &run); err != nil {
		return nil, err
	}
	if err := e.related(ctx, p, h); err != nil {
		return nil, err
	}
	h.Changes = changesOf(h)
	if e.admin(ctx, e.Identify(p)).Allowed {
		recs, _, err := e.store.Audit.Records(ctx, bellhop.AuditFilter{Run: id, Limit: historyMost})
		if err != nil {
			return nil, err
		}
		for i := range recs {
			r := &recs[i]
			what := r.Action
			if !r.Allowed {
				what += " refused"
			}
			if r.Rule != "" {
				what += ", " + r.Rule
			}
			if r.Detail != "" {
				what += ": " + e.maskText(r.Detail)
			}
			h.Changes = append(h.Changes, bellhop.Change{At: r.At, Kind: bellhop.ChangeRecorded, By: r.Principal, Reason: what})
		}
	}
	slices.SortStableFunc(h.Changes, func(a, b bellhop.Change) int { return a.At.Compare(b.At) })
	return h, nil
}

// attempts returns those that have ended, and the one that is under way.
func (e *Engine) attempts(ctx context.Context, run *bellhop.Run) ([]bellhop.Attempt, error) {
	list, err := e.store.Records.Attempts(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Reason = e.maskText(list[i].Reason)
	}
	if run.State == bellhop.Running && run.Started != nil {
		n := 1
		if len(list) > 0 {
			n = list[len(list)-1].N + 1
		}
		list = append(list, bellhop.Attempt{N: n, Started: *run.Started})
	}
	return list, nil
}

// related finds what a run repeats and follows, and what came of it.
func (e *Engine) related(ctx context.Context, p bellhop.Person, h *bellhop.History) error {
	who := e.Identify(p)
	may := func(r *bellhop.Run) (bool, error) {
		_, err := e.mayTouch(ctx, who, r)
		if bellhop.CodeOf(err) == bellhop.NotAllowed {
			return false, nil
		}
		return err == nil, err
	}
	for _, of := range []struct {
		id bellhop.RunID
		to **bellhop.Run
	}{{h.Run.RetryOf, &h.RetryOf}, {h.Run.After, &h.After}} {
		if of.id == 0 {
			continue
		}
		r, err := e.store.Records.Run(ctx, of.id)
		if bellhop.CodeOf(err) == bellhop.NotFound { // it is not kept any more
			continue
		}
		if err != nil {
			return err
		}
		if ok, err := may(&r); err != nil {
			return err
		} else if ok {
			one := []bellhop.Run{r}
			e.maskRuns(one)
			*of.to = &one[0]
		}
	}
	came, err := e.store.Records.CameOf(ctx, h.Run.ID, historyMost)
	if err != nil {
		return err
	}
	for i := range came {
		ok, err := may(&came[i])
		if err != nil {
			return err
		}
		if ok {
			h.CameOf = append(h.CameOf, came[i])
		}
	}
	e.maskRuns(h.CameOf)
	return nil
}

// changesOf puts together what the record of a run says.
func changesOf(h *bellhop.History) (all []bellhop.Change) {
	run := &h.Run
	begins := bellhop.Waiting
	if run.Approval != nil {
		begins = bellhop.Held
	}
	all = append(all, bellhop.Change{At: run.Created, Kind: bellhop.ChangeAsked, State: begins, By: run.AskedBy})
	for _, a := range h.Asks {
		if a.N > 0 {
			all = append(all, bellhop.Change{At: a.At, Kind: bellhop.ChangeJoined, By: a.Principal})
		}
	}
	if run.Approval != nil {
		all = append(all, votesOf(run)...)
	}
	for i, a := range h.Attempts {
		all = append(all, bellhop.Change{At: a.Started, Kind: bellhop.ChangeBegun, State: bellhop.Running, Attempt: a.N})
		if a.End != "" && (i < len(h.Attempts)-1 || !run.State.Terminal()) {
			all = append(all, bellhop.Change{At: a.Ended, Kind: bellhop.ChangeAgain, State: bellhop.Waiting, Attempt: a.N, Reason: cmp.Or(a.Reason, string(a.End))})
		}
	}
	if run.Finished != nil {
		end := bellhop.Change{At: *run.Finished, Kind: bellhop.ChangeEnded, State: run.State, Reason: run.Error}
		if n := len(h.Attempts); n > 0 {
			end.Attempt = h.Attempts[n-1].N
		}
		all = append(all, end)
	}
	return all
}

func votesOf(run *bellhop.Run) (all []bellhop.Change) {
	for _, v := range run.Approval.Votes {
		c := bellhop.Change{At: v.At, Kind: bellhop.ChangeApproved, By: v.Principal, Reason: v.Reason}
		if !v.Approve {
			c.Kind = bellhop.ChangeDenied
		}
		if v.Void != "" {
			c.Reason = strings.TrimPrefix(c.Reason+"; does not count: "+v.Void, "; ")
		}
		all = append(all, c)
	}
	if n := len(all); n > 0 && run.State != bellhop.Held && len(run.Approval.Approvers()) >= run.Approval.Count {
		all[n-1].State = bellhop.Waiting
	}
	return all
}
