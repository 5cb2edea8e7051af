package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// approvalKey is where the message is kept that asks for an approval in a
// place.
func approvalKey(r bellhop.Report, at spot) string {
	return "approval/" + r.Run.ID.String() + "/" + at.channel
}

// deliverApproval asks for a decision.
func (c *Chat) deliverApproval(ctx context.Context, at spot, r bellhop.Report) (string, error) {
	if r.Run.State != bellhop.Held { // decided before it could be asked
		return c.tell(ctx, at, words{text: decidedText(r.Run), kind: kindReport, ref: reportRef(r)})
	}
	vote := func(word string) string { return word + " " + r.Run.ID.String() + " digest " + r.Run.ApprovalDigest() }
	ts, err := c.tell(ctx, at, words{
		text: approvalText(r.Run, c.style()), kind: kindReport, ref: reportRef(r),
		buttons: []button{{label: "Approve", ask: vote("approve"), style: "primary"}, {label: "Deny", ask: vote("deny"), style: "danger"}},
	})
	if err != nil {
		return "", err
	}
	_, err = c.opt.Values.Put(ctx, c.space(), approvalKey(r, at), []byte(ts), -1, heardStored, c.now())
	return ts, err
}

// approvalText is what exactly is to be decided.
func approvalText(r bellhop.Run, s chat.Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s wants %s %s (%s) to run, and it needs an approval.", r.AskedBy, r.Service, r.Job, r.ID)
	names := make([]string, 0, len(r.Args))
	for name := range r.Args {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "\n  %s = %s", name, chat.Clean(r.Args[name].String()))
	}
	if a := r.Approval; a != nil {
		fmt.Fprintf(&b, "\nBy %s", strings.Join(a.By, ", "))
		if a.Count > 1 {
			fmt.Fprintf(&b, ", %d of them", a.Count)
		}
		if left := a.Expires.Sub(s.Now); left > 0 {
			fmt.Fprintf(&b, ", within %s", chat.Duration(left))
		}
		b.WriteString(".")
	}
	return b.String()
}

// decidedText says what became of an approval.
func decidedText(r bellhop.Run) string {
	head := fmt.Sprintf("%s %s (%s)", r.Service, r.Job, r.ID)
	a := r.Approval
	if a == nil {
		return head + " needs no approval"
	}
	var lines []string
	for _, v := range a.Votes {
		word := "approved"
		if !v.Approve {
			word = "denied"
		}
		line := fmt.Sprintf("%s by %s at %s", word, v.Principal, v.At.Format("15:04 on 2006-01-02"))
		if v.Reason != "" {
			line += ": " + chat.Clean(v.Reason)
		}
		lines = append(lines, line)
	}
	switch {
	case r.State == bellhop.Held:
		lines = append(lines, fmt.Sprintf("%d of %d approvals so far", len(a.Approvers()), a.Count))
	case len(lines) == 0:
		lines = append(lines, firstOf(chat.Clean(r.Error), "decided without a vote"))
	}
	return head + ", asked for by " + r.AskedBy + ": " + strings.Join(lines, "; ")
}

// deliverDecided changes the message that asked into who decided, for those who
// were asked; whoever asked for the run is told.
func (c *Chat) deliverDecided(ctx context.Context, at spot, r bellhop.Report) (string, error) {
	w := words{text: decidedText(r.Run), kind: kindReport, ref: reportRef(r)}
	if r.Ask.N >= 0 {
		return c.tell(ctx, at, w)
	}
	v, err := c.opt.Values.Get(ctx, c.space(), approvalKey(r, at), c.now())
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return c.tell(ctx, at, w)
	}
	if err != nil {
		return "", err
	}
	ts := string(v.Value)
	err = c.api.Update(ctx, ts, c.compose(spot{channel: at.channel}, w))
	switch slackapi.CodeOf(err) {
	case "message_not_found", "cant_update_message":
		return c.tell(ctx, at, w)
	}
	return ts, err
}
