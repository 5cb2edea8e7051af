package bellhop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestCast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	vote := func(who string, yes bool) bellhop.Vote {
		return bellhop.Vote{Principal: who, Identity: "ssh:" + who, Approve: yes, Reason: "no", At: now}
	}
	votes := func(who ...string) (all []bellhop.Vote) {
		for _, w := range who {
			all = append(all, vote(w, true))
		}
		return all
	}
	for name, c := range map[string]struct {
		state    bellhop.State
		approval *bellhop.Approval
		vote     bellhop.Vote
		want     bellhop.State
		refused  string // "" = it counts
	}{
		"the only one":        {bellhop.Held, &bellhop.Approval{Count: 1}, vote("bob", true), bellhop.Waiting, ""},
		"a count of nobody":   {bellhop.Held, &bellhop.Approval{}, vote("bob", true), bellhop.Waiting, ""},
		"the first of two":    {bellhop.Held, &bellhop.Approval{Count: 2}, vote("bob", true), bellhop.Held, ""},
		"the second of two":   {bellhop.Held, &bellhop.Approval{Count: 2, Votes: votes("carol")}, vote("bob", true), bellhop.Waiting, ""},
		"a denial":            {bellhop.Held, &bellhop.Approval{Count: 2, Votes: votes("carol")}, vote("bob", false), bellhop.Cancelled, ""},
		"at the last moment":  {bellhop.Held, &bellhop.Approval{Count: 1, Expires: now.Add(1)}, vote("bob", true), bellhop.Waiting, ""},
		"too late":            {bellhop.Held, &bellhop.Approval{Count: 1, Expires: now}, vote("bob", true), "", "until 2026-11-21 12:00:00 UTC"},
		"twice":               {bellhop.Held, &bellhop.Approval{Count: 3, Votes: votes("bob")}, vote("bob", true), "", "bob has approved 000001 already; it still waits for 2 more"},
		"another mind":        {bellhop.Held, &bellhop.Approval{Count: 3, Votes: votes("bob")}, vote("bob", false), "", "cancel 000001"},
		"nothing to decide":   {bellhop.TimedOut, nil, vote("bob", true), "", "it is timed out"},
		"decided":             {bellhop.Running, &bellhop.Approval{Count: 2, Votes: votes("carol", "dave")}, vote("bob", true), "", "approved by carol and dave, and it is running now"},
		"decided and over":    {bellhop.TimedOut, &bellhop.Approval{Count: 1, Votes: votes("carol")}, vote("bob", true), "", "approved by carol, and it has ended (timed out); to have it run once more, retry it (retry 000001)"},
		"cancelled before it": {bellhop.Cancelled, &bellhop.Approval{Count: 2, Votes: votes("carol")}, vote("bob", true), "", "decided already: why"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := bellhop.Run{ID: 1, State: c.state, Approval: c.approval}
			if c.state.Terminal() {
				run.Error = "why"
			}
			had := 0
			if c.approval != nil {
				had = len(c.approval.Votes)
			}
			after, next, err := run.Cast(&bellhop.Voting{Vote: c.vote, Seen: had})
			if c.refused != "" {
				if bellhop.CodeOf(err) != bellhop.Conflict || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%v, want a conflict with %q", err, c.refused)
				}
				return
			}
			if err != nil || next != c.want || len(after.Votes) != had+1 || len(run.Approval.Votes) != had {
				t.Errorf("%+v, %s, %v; want %s, and the run as it was", after, next, err, c.want)
			}
		})
	}
}

// TestAVoteIsJudgedWithThoseBefore: what was void does not count, and whoever
// gave it may vote anew; an approval that has not seen all votes comes to
// nothing.
func TestAVoteIsJudgedWithThoseBefore(t *testing.T) {
	t.Parallel()
	given := func(who, identity string) bellhop.Vote {
		return bellhop.Vote{Principal: who, Identity: identity, Approve: true}
	}
	bob, gone := given("bob", "ssh:bob"), given("carol", "ssh:carol")
	gone.Void = "why"
	for name, c := range map[string]struct {
		before  []bellhop.Vote
		voting  bellhop.Voting
		want    bellhop.State
		refused string
	}{
		"with a void one":             {[]bellhop.Vote{gone}, bellhop.Voting{Vote: bob, Seen: 1}, bellhop.Held, ""},
		"one that becomes void":       {[]bellhop.Vote{bob}, bellhop.Voting{Vote: given("dave", "ssh:dave"), Seen: 1, Void: map[int]string{0: "why"}}, bellhop.Held, ""},
		"anew after a void one":       {[]bellhop.Vote{bob, gone}, bellhop.Voting{Vote: given("carol", "ssh:carol"), Seen: 2}, bellhop.Waiting, ""},
		"of a void one that is known": {[]bellhop.Vote{bob}, bellhop.Voting{Vote: bob, Seen: 1, Void: map[int]string{0: "why"}}, bellhop.Held, ""},
		"by another name":             {[]bellhop.Vote{bob}, bellhop.Voting{Vote: given("robert", "ssh:bob"), Seen: 1}, "", "has approved 000001 already"},
		"by another identity":         {[]bellhop.Vote{bob}, bellhop.Voting{Vote: given("bob", "slack:T1/U1"), Seen: 1}, "", "has approved 000001 already"},
		"that saw less":               {[]bellhop.Vote{bob}, bellhop.Voting{Vote: given("dave", "ssh:dave")}, "", "in the same moment"},
		"that is void beyond":         {[]bellhop.Vote{bob}, bellhop.Voting{Vote: bob, Void: map[int]string{0: "why"}}, "", "has approved 000001 already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := bellhop.Run{ID: 1, State: bellhop.Held, Approval: &bellhop.Approval{Count: 2, Votes: c.before}}
			_, next, err := run.Cast(&c.voting)
			if c.refused == "" && err != nil || next != c.want || c.refused != "" && (bellhop.CodeOf(err) != bellhop.Conflict || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("%s, %v; want %s%s", next, err, c.want, c.refused)
			}
		})
	}
}
