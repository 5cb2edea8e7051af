package slack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func TestAMentionIsHeardOnceMarkedAndTold(t *testing.T) {
	w := start(t, slacktest.Options{})
	ts := w.Say("U1", "C1", "good morning "+slacktest.Mention+" deploy staging")
	w.until("the ask is marked", func() bool { return slices.Contains(w.Reactions("C1", ts), "hourglass_flowing_sand") })
	w.quiet()
	events := w.house.heard()
	if len(events) != 1 {
		t.Fatalf("heard %+v", events)
	}
	ev := events[0]
	if ev.Key != "slack:T1/C1/"+ts || ev.Text != "deploy staging" || !ev.Addressed || ev.Person.Identity != "slack:T1/U1" || ev.Person.Outside {
		t.Errorf("heard %+v", ev)
	}
	if o := ev.Origin; o.Source != "slack" || o.Channel != "C1" || o.Message != ts || o.Thread != ts || o.Person != "slack:T1/U1" {
		t.Errorf("origin %+v", o)
	}
	ref := w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, ev.Origin))
	if got := w.Reactions("C1", ts); !slices.Equal(got, []string{"white_check_mark"}) {
		t.Errorf("reactions at the end: %v", got)
	}
	posts := w.Posts("C1")
	if len(posts) != 1 || !strings.Contains(posts[0].Text, "deploys deploy succeeded (00002a)") || posts[0].Thread != "" || ref != "C1/"+posts[0].TS {
		t.Errorf("posted %+v, ref %s", posts, ref)
	}
}
