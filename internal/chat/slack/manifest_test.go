package slack_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat/slack"
)

// listed returns the items of a list in the manifest, which stand below a line.
func listed(t *testing.T, text, head string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+head+"\n")
	if !ok {
		t.Fatalf("the manifest has no %q", head)
	}
	var items []string
	for line := range strings.SplitSeq(rest, "\n") {
		item, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok {
			break
		}
		items = append(items, item)
	}
	return items
}

// The manifest that people paste asks for what the code uses, and no more.
func TestManifest(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "slack-manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	var scopes []string
	for _, s := range slack.Scopes() {
		scopes = append(scopes, s.Name)
	}
	if got := listed(t, text, "    bot:"); !slices.Equal(got, scopes) {
		t.Errorf("scopes %v, but the code uses %v", got, scopes)
	}
	if got := listed(t, text, "    bot_events:"); !slices.Equal(got, slack.BotEvents()) {
		t.Errorf("events %v, but the code hears %v", got, slack.BotEvents())
	}
	for _, want := range []string{"socket_mode_enabled: true", "command: /bellhop", "should_escape: true", "messages_tab_enabled: true", "messages_tab_read_only_enabled: false"} {
		if !strings.Contains(text, want) {
			t.Errorf("it has no %q", want)
		}
	}
}
