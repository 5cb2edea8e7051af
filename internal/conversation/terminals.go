package conversation

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Ears are told of by a server what it heard.
type Ears interface {
	// Heard returns when n lines were answered since the start.
	Heard(ctx context.Context, n int) error
	// Asked reports whether the next thing that a person says at a front end
	// answers a question.
	Asked(front, person string) bool
}

// Terminals is a Stage of prompts, one for each person. The zero value of a
// field but Greeting is not good for anything.
type Terminals struct {
	House
	Front string // its name
	Ears  Ears
	// Open opens a terminal of somebody, at least 4,000 columns wide, with a
	// prompt of its own.
	Open func(ctx context.Context, person string) (io.ReadWriteCloser, error)
	// Prompt stands before what is typed, Greeting begins the first line.
	Prompt, Greeting string

	heard    int // lines that the server must have answered
	marks    int
	sessions map[string]*session // by person; nil = has left
	inboxes  map[string]*Inbox
}

// Name returns the front end's name.
func (t *Terminals) Name() string { return t.Front }

// Reactions are not seen at a terminal.
func (t *Terminals) Reactions() bool { return false }

// session is one terminal.
type session struct {
	io.ReadWriteCloser
	in     *Inbox
	done   chan struct{} // closed when it has ended
	greets string

	mu    sync.Mutex
	first bool     // nothing was shown yet
	typed []string // that the terminal is going to echo
	lines int      // shown since something was said
	mark  string   // a line that holds it is not for the Inbox
	seen  chan struct{}
}

func (t *Terminals) session(ctx context.Context, v Voice) (*session, error) {
	if v.Place != "" && v.Place != "direct" {
		return nil, fmt.Errorf("there are no channels on %s; what is said in %s is for other front ends: put [!%s] before the line", t.Front, v, t.Front)
	}
	if s := t.sessions[v.Person]; s != nil {
		return s, nil
	}
	rw, err := t.Open(ctx, v.Person)
	if err != nil {
		return nil, err
	}
	if t.sessions == nil {
		t.sessions, t.inboxes = map[string]*session{}, map[string]*Inbox{}
	}
	if t.inboxes[v.Person] == nil {
		t.inboxes[v.Person] = &Inbox{}
	}
	s := &session{ReadWriteCloser: rw, in: t.inboxes[v.Person], done: make(chan struct{}), greets: t.Greeting, first: true}
	t.sessions[v.Person] = s
	go s.read(t.Prompt)
	return s, nil
}

// read puts what is shown into the Inbox, without what was typed.
func (s *session) read(prompt string) {
	defer close(s.done)
	screen := screen{emit: func(line string) { s.show(prompt, line) }}
	buf := make([]byte, 32<<10)
	for {
		n, err := s.Read(buf)
		screen.write(buf[:n])
		if err != nil {
			return
		}
	}
}

func (s *session) show(prompt, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first
	s.first = false
	switch {
	case first && strings.HasPrefix(line, s.greets):
	case len(s.typed) > 0 && strings.TrimRight(line, " ") == strings.TrimRight(prompt+s.typed[0], " "):
		s.typed = s.typed[1:]
	case s.mark != "" && strings.Contains(line, s.mark):
		close(s.seen)
		s.mark = ""
	default:
		s.lines++
		s.in.Add(Line{Text: line})
	}
}

// answered returns when something was shown since something was said.
func (s *session) answered(ctx context.Context) error {
	for {
		s.mu.Lock()
		n := s.lines
		s.mu.Unlock()
		if n > 0 {
			return nil
		}
		select {
		case <-time.After(look):
		case <-s.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look is between two looks.
const look = 2 * time.Millisecond

func (s *session) typing(text string) error {
	s.mu.Lock()
	s.typed = append(s.typed, text)
	s.mu.Unlock()
	if _, err := io.WriteString(s, text+"\r"); err != nil {
		return fmt.Errorf("the connection was closed: %w", err)
	}
	return nil
}

// Say types a line. Who says exit leaves, and comes back with what they say
// next.
func (t *Terminals) Say(ctx context.Context, v Voice, text string) error {
	s, err := t.session(ctx, v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.lines = 0
	s.mu.Unlock()
	if err := s.typing(text); err != nil {
		return err
	}
	if strings.EqualFold(text, "exit") || strings.EqualFold(text, "quit") {
		return t.leave(ctx, v.Person, s)
	}
	t.heard++
	return t.Ears.Heard(ctx, t.heard)
}

// leave waits until a terminal was left; what it showed stays to be read.
func (t *Terminals) leave(ctx context.Context, person string, s *session) error {
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.sessions[person] = nil
	return s.Close()
}

// Next returns the next line that a person was shown. Who was never here comes,
// who left does not.
func (t *Terminals) Next(ctx context.Context, v Voice) (Line, error) {
	if _, was := t.sessions[v.Person]; !was || v.Place != "" {
		if _, err := t.session(ctx, v); err != nil {
			return Line{}, err
		}
	}
	return t.inboxes[v.Person].Next(ctx)
}

// Settle waits until the house has, and all that was told was shown: what is
// typed last is answered last.
func (t *Terminals) Settle(ctx context.Context) error {
	if err := t.House.Settle(ctx); err != nil {
		return err
	}
	for person, s := range t.sessions {
		if s == nil {
			continue // has left
		}
		if t.Ears.Asked(t.Front, person) { // the mark would be the answer; and the question is the last that is shown
			if err := s.answered(ctx); err != nil {
				return err
			}
			continue
		}
		t.marks++
		mark := (bellhop.RunID(math.MaxInt64) - bellhop.RunID(t.marks)).String()
		seen := make(chan struct{})
		s.mu.Lock()
		s.mark, s.seen = mark, seen
		s.mu.Unlock()
		if err := s.typing("logs " + mark); err != nil { // there is no such run, which is said in one line
			return err
		}
		t.heard++
		select {
		case <-seen:
		case <-s.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends every terminal.
func (t *Terminals) Close() {
	for _, s := range t.sessions {
		if s != nil {
			_ = s.Close()
			<-s.done
		}
	}
}
