package chat_test

import (
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// TestAVoteThatCountsNoMoreIsSaid, and it is not among who approved.
func TestAVoteThatCountsNoMoreIsSaid(t *testing.T) {
	void := bellhop.Vote{Principal: "bea", Approve: true, Void: "no approver any more"}
	ada, dan := bellhop.Vote{Principal: "ada", Approve: true}, bellhop.Vote{Principal: "dan", Approve: true}
	run := bellhop.Run{ID: 77, Service: "site", Job: "deploy", AskedBy: "cy", State: bellhop.Held, Start: now, Approval: &bellhop.Approval{By: []string{"ops"}, Count: 2, Votes: []bellhop.Vote{void, ada}}}
	const why = "\nthe approval of bea does not count any more: no approver any more"
	s := chat.Style{Now: now}
	if got, want := s.DecidedText(run), "00002d site deploy waits to be approved by 2 of ops (1 so far: ada)"+why; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	run.State, run.Approval.Votes = bellhop.Waiting, append(run.Approval.Votes, dan)
	if got, want := s.DecidedText(run), "00002d site deploy was approved by ada, dan"+why; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := s.SignedText(run), "00002d was asked for by cy and approved by ada, dan"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
