package e2e_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/conversation"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// stages are the front ends over which each of conversations/*.conversation is
// held.
var stages = []stage{
	{name: "console", open: openConsole},
	{name: "ssh", open: openSSH},
	{name: "slack", prepare: prepareSlack, open: openSlack, without: []string{"away"}}, // nobody is ever away from a channel
}

// stage is a front end. A file of its own says how it is opened; prepare, unless
// nil, is called before the server starts, and may change its configuration.
type stage struct {
	name    string
	without []string // conversations that mean nothing there
	prepare func(t *testing.T, h *held, config string) string
	open    func(t *testing.T, h *held) conversation.Stage
}

// held is a server with which a conversation is held: that of a rehearsal, with
// its control socket and chats.
type held struct {
	*server.Rehearsal
	dir   string // of the configuration
	lines []server.Line
	slack *workspace // nil = none
}

// listens returns where a chat listens.
func (h *held) listens(t *testing.T, name string) string {
	t.Helper()
	for _, l := range h.lines {
		if l.What == name {
			return l.Where
		}
	}
	t.Fatalf("%s does not listen; what does: %v", name, h.lines)
	return ""
}

// TestConversations holds what is written down over every front end.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("conversations/*.conversation")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d conversations (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conversation")
		for _, st := range stages {
			if slices.Contains(st.without, name) {
				continue
			}
			t.Run(name+"/"+st.name, func(t *testing.T) {
				t.Parallel()
				holdConversation(t, file, st)
			})
		}
	}
}

func holdConversation(t *testing.T, file string, st stage) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	script, faults := conversation.Parse(file, data)
	for _, f := range faults {
		t.Errorf("%s", f)
	}
	if script == nil {
		return
	}
	h := openHeld(t, st)
	if err := conversation.Run(t.Context(), script, st.open(t, h), patience); err != nil {
		t.Error(err)
	}
}

// openHeld starts a server on conversations/bellhop.yaml, whose jobs are not
// carried out.
func openHeld(t *testing.T, st stage) *held {
	t.Helper()
	p := newPlace(t)
	h := &held{dir: p.dir}
	data, err := os.ReadFile("conversations/bellhop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := string(data)
	if st.prepare != nil {
		config = st.prepare(t, h, config)
	}
	p.write("bellhop.yaml", config)
	p.write("authorized_keys", listedKeys)
	p.write("authorities", authority)
	loaded, wrong, err := server.Load(p.path("bellhop.yaml"))
	if err != nil || len(wrong) > 0 {
		t.Fatal(wrong, err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	h.Rehearsal, h.lines, err = server.Rehearse(t.Context(), server.RehearsalOptions{Config: loaded, Log: log, Listen: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// openConsole is `bellhop chat`, as each person would have it who ran the
// server: at a control socket that is theirs.
func openConsole(t *testing.T, h *held) conversation.Stage {
	return h.terminals(t, "console", func(ctx context.Context, name string) (io.ReadWriteCloser, error) {
		p, err := h.Person("console", name)
		if err != nil {
			return nil, err
		}
		folder, err := os.MkdirTemp(h.dir, "socket")
		if err != nil {
			return nil, err
		}
		socket := filepath.Join(folder, ".bellhop", "control.sock")
		if err := h.ControlAs(socket, p); err != nil {
			return nil, err
		}
		client := &api.Client{Socket: socket, Source: "console", Session: api.NewKey()}
		return &closing{h.PromptOn(ctx, client), client.Close}, nil
	})
}

// closing is a terminal with something behind that is closed with it.
type closing struct {
	io.ReadWriteCloser
	then func()
}

func (c *closing) Close() error {
	err := c.ReadWriteCloser.Close()
	c.then()
	return err
}

func (h *held) terminals(t *testing.T, name string, open func(context.Context, string) (io.ReadWriteCloser, error)) conversation.Stage {
	s := &conversation.Terminals{
		House: h.Rehearsal, Ears: h.Rehearsal, Front: name, Open: open,
		Prompt: chat.PromptText, Greeting: server.Greeting,
	}
	t.Cleanup(s.Close)
	return s
}

// TestConversationsAsUsersDo holds them by the verb.
func TestConversationsAsUsersDo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := os.CopyFS(p.path("c"), os.DirFS("conversations")); err != nil {
		t.Fatal(err)
	}
	if r := p.run("bellhop", "-c", "c/bellhop.yaml", "test"); r.status != 0 {
		t.Errorf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
}
