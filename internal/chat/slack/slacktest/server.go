// Package slacktest is a Slack that runs in a test: people, channels, messages
// and all that belongs to them, over the same HTTP and WebSockets, with faults
// on demand. It knows nothing of how Bellhop speaks to it.
package slacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tokens that the workspace has given out.
const (
	BotToken      = "xoxb-fake-bot"
	AppToken      = "xapp-fake-app"
	SigningSecret = "fake-signing-secret"
)

// Who is there from the beginning.
const (
	Team    = "T1"
	BotUser = "UBOT"
	botID   = "B1"
	appID   = "A1"
)

// Options say how this Slack behaves. The zero value is patient and kind.
type Options struct {
	Now func() time.Time // nil = time.Now
	// AckWait is how long an envelope waits to be acknowledged until it is
	// delivered again, Retries how often that is done; 0 = 2 s, 3 times.
	AckWait time.Duration
	Retries int
	// Lossy: what happens while no socket is open is never delivered.
	Lossy bool
	// Scopes are those of the bot token; nil = all.
	Scopes []string
	// PostsPerSecond bounds the posts to one channel; 0 = no bound.
	PostsPerSecond int
	// EventsURL, unless "", gets all deliveries over HTTP, and no socket does.
	EventsURL string
	// Enterprise, unless "", is the organisation that the workspace belongs to.
	Enterprise string
	// MentionTwice: an edit that mentions the bot comes as app_mention, too.
	MentionTwice bool
}

// Server is one workspace.
type Server struct {
	URL string // of the Web API, with a / at its end

	opt  Options
	http *httptest.Server

	mu       sync.Mutex
	changed  chan struct{} // closed at the next change
	ended    bool
	lastTS   int64 // microseconds
	serial   int
	users    map[string]*User
	channels map[string]*Channel
	groups   map[string][]string
	files    []File
	uploads  map[string]*File
	views    []View
	triggers map[string]trigger
	answers  []Ephemeral
	calls    []Call
	faults   []*fault
	posts    map[string][]time.Time
	sockets  []*socket
	opened   int // sockets so far
	tickets  map[string]bool
	waiting  map[string]*envelope
	work     sync.WaitGroup
}

// User is an account.
type User struct {
	ID, Name, Team, Enterprise   string
	Guest, Bot, Deleted, Strange bool
}

// Channel is a place to talk, with what was said there.
type Channel struct {
	ID, Name                  string
	Private, Direct, Archived bool
	Members                   []string
	Messages                  []*Message // threads among them, in the order of their time stamps
}

// Message is one thing that was said.
type Message struct {
	TS, Thread, User, Bot, Text string
	Subtype                     string
	Blocks, Metadata            json.RawMessage
	Edited                      string
	Reactions                   map[string][]string
	Edits                       int
	Files                       []string // names
}

// File is one that was shared.
type File struct {
	ID, Name, Channel, Thread, Comment string
	Size                               int
	Data                               []byte
}

// View is a modal that was opened.
type View struct {
	ID, User string
	JSON     json.RawMessage
	Done     bool // it was submitted and closed
}

// Ephemeral is an answer to a response URL.
type Ephemeral struct {
	User, Channel, Text string
	Blocks              json.RawMessage
	TS                  string
}

// Call is one that was made.
type Call struct {
	Method string
	Args   map[string]string
	At     time.Time
	Error  string
}

type trigger struct {
	user    string
	expires time.Time
}

// New starts a workspace with the bot, Alice (U1), Bob (U2), a guest (U3), a
// stranger (U4 of T2) and #general (C1), in which all of them are.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AckWait == 0 {
		o.AckWait = 2 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	s := &Server{
		opt: o, changed: make(chan struct{}), users: map[string]*User{}, channels: map[string]*Channel{}, groups: map[string][]string{},
		uploads: map[string]*File{}, triggers: map[string]trigger{}, posts: map[string][]time.Time{}, tickets: map[string]bool{}, waiting: map[string]*envelope{},
	}
	for _, u := range []User{
		{ID: BotUser, Name: "bellhop", Team: Team, Bot: true}, {ID: "U1", Name: "alice", Team: Team}, {ID: "U2", Name: "bob", Team: Team},
		{ID: "U3", Name: "gus", Team: Team, Guest: true}, {ID: "U4", Name: "stella", Team: "T2", Strange: true},
		{ID: "USLACKBOT", Name: "slackbot", Team: Team},
	} {
		s.users[u.ID] = &u
	}
	s.channels["C1"] = &Channel{ID: "C1", Name: "general", Members: []string{BotUser, "U1", "U2", "U3", "U4"}}
	s.http = httptest.NewUnstartedServer(s.handler())
	s.http.Start()
	s.URL = s.http.URL + "/api/"
	t.Cleanup(s.Close)
	return s
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.serveMethod)
	mux.HandleFunc("GET /api/{method}", s.serveMethod)
	mux.HandleFunc("GET /link/{ticket}", s.serveSocket)
	mux.HandleFunc("POST /upload/{id}", s.serveUpload)
	mux.HandleFunc("POST /respond/{user}/{channel}", s.serveRespond)
	return mux
}

// Close ends the workspace. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	sockets := s.sockets
	s.sockets = nil
	for id, e := range s.waiting {
		e.settle()
		delete(s.waiting, id)
	}
	s.mu.Unlock()
	if ended {
		return
	}
	for _, k := range sockets {
		k.conn.Close()
	}
	s.http.CloseClientConnections()
	s.http.Close()
	s.work.Wait()
}

// touch tells who waits that something changed. The mutex is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// waitFor bounds how long a test waits for what must come.
const waitFor = 20 * time.Second

// Wait returns when is returns true; it is called at each change. What does
// not come fails the test.
func (s *Server) Wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	end := time.NewTimer(waitFor)
	defer end.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-end.C:
			t.Fatalf("waited %s for: %s\n%s", waitFor, what, s.Dump())
		}
	}
}

// id makes a new id. The mutex is held.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%04d", prefix, s.serial)
}

// ts makes a new time stamp. The mutex is held.
func (s *Server) ts() string {
	s.lastTS = max(s.lastTS+1, s.opt.Now().UnixMicro())
	return fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
}

// channel finds a channel by id or #name. The mutex is held.
func (s *Server) channel(id string) *Channel {
	if c := s.channels[id]; c != nil {
		return c
	}
	for _, c := range s.channels {
		if !c.Direct && "#"+c.Name == id {
			return c
		}
	}
	return nil
}

func (c *Channel) has(user string) bool { return slices.Contains(c.Members, user) }

func (c *Channel) find(ts string) *Message {
	for _, m := range c.Messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

func (c *Channel) kind() string {
	switch {
	case c.Direct:
		return "im"
	case c.Private:
		return "group"
	}
	return "channel"
}

// Dump writes all that was said, for a test that failed.
func (s *Server) Dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, c := range s.channels {
		fmt.Fprintf(&b, "#%s (%s)\n", c.Name, c.ID)
		for _, m := range c.Messages[max(0, len(c.Messages)-20):] {
			fmt.Fprintf(&b, "  %s thread=%s %s: %s %v %s\n", m.TS, m.Thread, m.User, m.Text, m.Reactions, m.Blocks)
		}
	}
	for _, a := range s.answers {
		fmt.Fprintf(&b, "to %s in %s: %s\n", a.User, a.Channel, a.Text)
	}
	for _, c := range s.calls[max(0, len(s.calls)-20):] {
		fmt.Fprintf(&b, "%s %s\n", c.Method, c.Error)
	}
	return b.String()
}
