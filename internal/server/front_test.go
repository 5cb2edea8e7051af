package server_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// TestReloadNamesWhatOnlyAStartReads: it is told until it is so no more, even
// when a reload came between.
func TestReloadNamesWhatOnlyAStartReads(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "bellhop.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(house)
	loaded, faults, err := server.Load(path)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	var log strings.Builder
	s := server.New(server.Options{Config: loaded, Version: "test", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background(), 0)
	c := client(t, s)
	for _, step := range []struct {
		more string
		want []string
	}{
		{"", nil},
		{"log: {level: warn}\nchats: {ssh: {listen: \"127.0.0.1:0\"}}\nrunner: {slots: 3}\ngrace: 7s\nstore: sqlite:other.db\n", []string{"chats", "grace", "log", "runner", "store"}},
		{"log: {level: warn}\n", []string{"log"}},
		{"log: {level: warn}\n", []string{"log"}},
		{"", nil},
	} {
		write(house + step.more)
		got, err := c.Reload(t.Context())
		if err != nil || got.Services != 1 || got.Jobs != 3 || !slices.Equal(got.Restart, step.want) {
			t.Errorf("after %q: %+v, %v; want %q", step.more, got, err, step.want)
		}
	}
	write(strings.Replace(house, "lease: 1s", "lease: 2s", 1))
	if got, err := c.Reload(t.Context()); err != nil || !slices.Equal(got.Restart, []string{"lease"}) {
		t.Errorf("%+v, %v", got, err)
	}
	s.Stop(t.Context(), 0)
	if !strings.Contains(log.String(), "changed=lease\n") {
		t.Errorf("the log does not name it:\n%s", log.String())
	}
}

// TestReloadNamesNothingThatOnlyMoved: a line above a key moves it, and changes
// nothing about it.
func TestReloadNamesNothingThatOnlyMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const front = "web: {listen: \"127.0.0.1:0\", trusted_proxies: [10.0.0.1], rate: 100/s}\nchats: {ssh: {listen: \"127.0.0.1:0\"}}\nlog: {level: warn}\n"
	write(front + house)
	loaded, faults, err := server.Load(path)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	s := server.New(server.Options{Config: loaded, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if _, err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background(), 0)
	c := client(t, s)
	for _, step := range []struct {
		text string
		want []string
	}{
		{"# a line more\n" + front + house, nil},
		{strings.Replace(front, "100/s", "200/s", 1) + house, []string{"web"}},
		{strings.Join(strings.SplitAfter(front, "\n")[1:], "") + house, []string{"web"}},
		{"\n\n" + front + house, nil},
	} {
		write(step.text)
		if got, err := c.Reload(t.Context()); err != nil || !slices.Equal(got.Restart, step.want) {
			t.Errorf("after %q: %+v, %v; want %q", step.text, got, err, step.want)
		}
	}
}

// TestWhatIsForAdminsIsRecorded: what an admin has done, and what anybody else
// is refused.
func TestWhatIsForAdminsIsRecorded(t *testing.T) {
	s := start(t, "people: {alice: {ssh: alice}}\n"+house)
	socket := filepath.Join(t.TempDir(), "s")
	if err := s.ControlAs(socket, bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: true}); err != nil {
		t.Fatal(err)
	}
	alice := &api.Client{Socket: socket, Source: "ask"}
	t.Cleanup(alice.Close)
	owner := client(t, s)
	last := func() bellhop.AuditRecord {
		page, err := owner.Audit(t.Context(), bellhop.AuditFilter{Limit: 1})
		if err != nil || len(page.Records) != 1 {
			t.Fatal(page, err)
		}
		return page.Records[0]
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	for action, call := range map[string]func(*api.Client) error{
		"reload":       func(c *api.Client) error { _, err := c.Reload(t.Context()); return err },
		"handover":     func(c *api.Client) error { _, err := c.Handover(t.Context()); return err },
		"backup":       func(c *api.Client) error { return c.Backup(t.Context(), path) },
		"audit":        func(c *api.Client) error { _, err := c.Audit(t.Context(), bellhop.AuditFilter{}); return err },
		"audit verify": func(c *api.Client) error { _, err := c.VerifyAudit(t.Context()); return err },
		"secret":       func(c *api.Client) error { _, err := c.Secrets(t.Context()); return err },
		"why":          func(c *api.Client) error { _, err := c.Explain(t.Context(), "nonsense", "bob"); return err },
	} {
		if err := call(alice); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s by alice: %v", action, err)
		}
		if rec := last(); rec.Action != action || rec.Allowed || rec.Principal != "alice" || rec.Rule != "no admin" {
			t.Errorf("%s by alice: the trail ends with %+v", action, rec)
		}
	}
	if err := owner.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if rec := last(); rec.Action != "backup" || !rec.Allowed || !strings.HasPrefix(rec.Identity, "local:") || rec.Detail != path {
		t.Errorf("after a backup the trail ends with %+v", rec)
	}
}

// TestAServerThatStopsTakesNothingOn: what would make a run is refused by
// whatever way it comes; what is there may still be ended.
func TestAServerThatStopsTakesNothingOn(t *testing.T) {
	s := start(t, house)
	r := dial(t, s)
	ended := r.ask("example hello")
	r.do("POST", "/v1/runs", `{"text":"example wait"}`, "Idempotency-Key: w")
	for len(s.Working()) == 0 {
		time.Sleep(time.Millisecond)
	}
	running := s.Working()[0].String()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop(context.Background(), time.Minute)
	}()
	const words = "not accepted: the server is stopping; ask again when it is back"
	refused := func(path, body string) bool {
		status, answer, _ := r.do("POST", path, body, "Idempotency-Key: "+api.NewKey())
		return status == 503 && strings.Contains(answer, words)
	}
	for !refused("/v1/runs", `{"text":"example later"}`) { // until it is stopping
		time.Sleep(time.Millisecond)
	}
	if !refused("/v1/runs/"+ended+"/retry", "") {
		t.Error("a retry was accepted")
	}
	if status, answer, _ := r.do("POST", "/v1/runs/"+running+"/cancel", "", "Idempotency-Key: c"); status != 200 {
		t.Errorf("a cancel: %d %s", status, answer)
	}
	<-stopped
}

// TestAMissingKeyNamesTheHeader: who calls by HTTP knows no other key.
func TestAMissingKeyNamesTheHeader(t *testing.T) {
	r := dial(t, start(t, house))
	id := r.ask("example hello")
	for path, body := range map[string]string{
		"/v1/runs": `{"text":"example hello"}`, "/v1/runs/" + id + "/cancel": "", "/v1/runs/" + id + "/retry": "",
	} {
		if status, answer, _ := r.do("POST", path, body); status != 400 || !strings.Contains(answer, "Idempotency-Key") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if status, answer, _ := r.do("POST", "/v1/runs", `{"text":"status"}`); status != 200 {
		t.Errorf("status needs no key: %d %s", status, answer)
	}
}

// TestTheSocketsTemporaryFolderIsRemoved: one of each long path would stay in
// the folder that everybody shares, but what somebody put there is theirs.
func TestTheSocketsTemporaryFolderIsRemoved(t *testing.T) {
	for name, keep := range map[string]bool{"empty": false, "not empty": true} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", "")
			home := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
			if err := os.MkdirAll(home, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, "bellhop.yaml")
			if err := os.WriteFile(path, []byte(echo), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, faults, err := server.Load(path)
			if err != nil || len(faults) > 0 {
				t.Fatal(faults, err)
			}
			s := server.New(server.Options{Config: loaded, Version: "test", Log: slog.New(slog.DiscardHandler)})
			if _, err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			folder := filepath.Dir(s.Socket())
			t.Cleanup(func() { os.RemoveAll(folder) })
			if strings.HasPrefix(folder, home) {
				t.Fatalf("the socket is in %s", folder)
			}
			if keep {
				if err := os.WriteFile(filepath.Join(folder, "mine"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.Stop(context.Background(), 0)
			if _, err := os.Stat(folder); (err == nil) != keep {
				t.Errorf("%s: %v", folder, err)
			}
		})
	}
}
