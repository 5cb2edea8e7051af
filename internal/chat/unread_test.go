package chat_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

// Who has no prompt learns of what they did not ask for by asking after runs.
func TestRunsMineTellsWhatIsUnread(t *testing.T) {
	for text, tells := range map[string]bool{"runs mine": true, " RUNS  Mine. ": true, "runs": false} {
		d := chattest.NewDesk()
		d.AddUnread(chattest.Plan{State: bellhop.Failed, Status: 3})
		d.OnAnswer(text, bellhop.Answer{Action: bellhop.ActionRuns})
		x := converse(d, nil)
		if status := x.Once(t.Context(), text); status != 0 {
			t.Errorf("%q: status %d", text, status)
		}
		told := strings.HasPrefix(x.out.String(), "There are no runs.\nNot read yet:\n000001 example hello failed at ")
		if told != tells || (len(d.Read()) == 1) != tells {
			t.Errorf("%q: out %q, read %v", text, x.out.String(), d.Read())
		}
	}
}
