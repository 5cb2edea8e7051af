package slack

import (
	"context"
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
		return c.tell(ctx, at, words{text: decidedText(r.Run, c.style()), kind: kindReport, ref: reportRef(r)})
	}
	vote := func(word string) string { return word + " " + r.Run.ID.String() + " digest " + r.Run.ApprovalDigest() }
	ts, err := c.tell(ctx, at, words{
		text: c.style().ApprovalText(r.Run), kind: kindReport, ref: reportRef(r),
		buttons: []button{{label: "Approve", ask: vote("approve"), style: "primary"}, {label: "Deny", ask: vote("deny"), style: "danger"}},
	})
	if err != nil {
		return "", err
	}
	_, err = c.opt.Values.Put(ctx, c.space(), approvalKey(r, at), []byte(ts), -1, heardStored, c.now())
	return ts, err
}

// decidedText says what became of an approval, who decided, and when.
func decidedText(r bellhop.Run, s chat.Style) string {
	lines := []string{s.DecidedText(r), "asked for by " + chat.Clean(r.AskedBy)}
	if a := r.Approval; a != nil {
		for _, v := range a.Votes {
			if v.Void != "" {
				continue // said already
			}
			word := "approved"
			if !v.Approve {
				word = "denied"
			}
			lines = append(lines, word+" by "+chat.Clean(v.Principal)+" on "+v.At.In(s.Now.Location()).Format("2006-01-02 at 15:04:05"))
		}
		if len(a.Votes) == 0 && r.Error != "" {
			lines = append(lines, chat.Clean(r.Error))
		}
	}
	return strings.Join(lines, "\n")
}

// deliverDecided changes the message that asked into who decided, for those who
// were asked; whoever asked for the run is told.
func (c *Chat) deliverDecided(ctx context.Context, at spot, r bellhop.Report) (string, error) {
	w := words{text: decidedText(r.Run, c.style()), kind: kindReport, ref: reportRef(r)}
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
	if end := fits(w.text, maxText); end < len(w.text) { // whoever denied it may have said a lot
		w.text = w.text[:end] + "..."
	}
	err = c.api.Update(ctx, ts, c.compose(spot{channel: at.channel}, w))
	switch slackapi.CodeOf(err) {
	case "message_not_found", "cant_update_message":
		return c.tell(ctx, at, w)
	}
	return ts, err
}
