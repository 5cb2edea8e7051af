package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// kindProgress marks messages that show progress.
const kindProgress = "bellhop_progress"

const (
	// editEvery is how often a message is edited at most, and tickEvery how
	// often at least while nothing is printed, so that the time goes on.
	editEvery = time.Second
	tickEvery = 5 * time.Second
	// lookEvery is how often is looked whether a run that waits has begun.
	lookEvery = 10 * time.Second
	// How much of the output is shown.
	showLines = 10
	showChars = 1500
)

// shows are the runs whose progress is shown.
type shows struct {
	mu   sync.Mutex
	runs map[showKey]*show
}

// showKey is one run in one place.
type showKey struct {
	run bellhop.RunID
	at  spot
}

func (k showKey) key() string {
	return "show/" + k.run.String() + "/" + k.at.channel + "/" + k.at.thread
}

// shown is what is stored of a message that shows progress.
type shown struct {
	Run     bellhop.RunID  `json:"run"`
	Person  bellhop.Person `json:"person"`
	Channel string         `json:"channel"`
	Thread  string         `json:"thread,omitempty"`
	TS      string         `json:"ts,omitempty"` // "" = it is about to be posted
	At      string         `json:"at"`           // time stamp from which on it may be found
	Live    bool           `json:"live,omitempty"`
}

// show follows one run.
type show struct {
	shown
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	tail tail
}

// showFor is how long the reference of a message is kept.
const showFor = 30 * 24 * time.Hour

// follow shows the progress of a run that was accepted, should it take long.
func (c *Chat) follow(to reply, a bellhop.Accepted) {
	at := c.spotOf(to.origin)
	if at.channel == "" {
		return
	}
	s := &show{shown: shown{Run: a.Run, Person: to.person, Channel: at.channel, Thread: at.thread, Live: a.Rule.Live()}}
	c.startShow(s, max(0, a.Start.Sub(c.now()))+c.opt.ProgressAfter)
}

func (c *Chat) startShow(s *show, after time.Duration) {
	ctx, cancel := context.WithCancel(c.ctx)
	s.cancel, s.done = cancel, make(chan struct{})
	key := showKey{s.Run, spot{s.Channel, s.Thread}}
	c.shows.mu.Lock()
	_, there := c.shows.runs[key]
	if !there {
		c.shows.runs[key] = s
	}
	c.shows.mu.Unlock()
	if there {
		cancel()
		return
	}
	c.loops.Go(func() {
		c.runShow(ctx, s, after)
		c.shows.mu.Lock()
		delete(c.shows.runs, key)
		c.shows.mu.Unlock()
		cancel()
		close(s.done)
	})
}

// resumeShows goes on with what the last life of the chat showed.
func (c *Chat) resumeShows(ctx context.Context) {
	list, err := c.opt.Values.List(ctx, c.space(), "show/", "", 1000, c.now())
	c.note("reading what was shown", err)
	for _, v := range list {
		s := &show{}
		if json.Unmarshal(v.Value, &s.shown) == nil && s.TS != "" {
			c.startShow(s, 0)
		}
	}
}

// runShow waits until the run runs, and shows it until it has ended. How it
// ended is shown with its report (endShow).
func (c *Chat) runShow(ctx context.Context, s *show, after time.Duration) {
	run, ok := c.begun(ctx, s, after)
	if !ok {
		return
	}
	ended := make(chan struct{})
	c.loops.Go(func() {
		defer close(ended)
		err := c.opt.House.Output(ctx, s.Person, s.Run, 0, 0, true, func(ch bellhop.Chunk) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.Live {
				s.tail.add(ch)
			}
			return nil
		})
		if ctx.Err() == nil {
			c.note("following a run", err)
		}
	})
	defer func() { s.cancel(); <-ended }()
	if err := c.postShow(ctx, s, run); err != nil {
		if ctx.Err() == nil {
			c.note("showing progress", err)
		}
		return
	}
	c.editShow(ctx, s, run, ended)
}

// begun waits until a run runs; false = it will not, or it has ended.
func (c *Chat) begun(ctx context.Context, s *show, after time.Duration) (bellhop.Run, bool) {
	for {
		timer, stop := c.opt.Clock.NewTimer(after)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return bellhop.Run{}, false
		}
		run, err := c.opt.House.Run(ctx, s.Person, s.Run)
		switch {
		case err == nil && run.State.Terminal():
			return run, false
		case err == nil && run.State == bellhop.Running:
			if after = c.yet(s, run); after <= 0 {
				return run, true
			}
			continue
		case bellhop.CodeOf(err) == bellhop.NotFound, bellhop.CodeOf(err) == bellhop.NotAllowed:
			return run, false
		}
		after = lookEvery
		if d := run.Start.Sub(c.now()); d > after {
			after = d
		}
	}
}

// yet is how long a run that began late goes on until it is shown.
func (c *Chat) yet(s *show, run bellhop.Run) time.Duration {
	if s.TS != "" || run.Started == nil {
		return 0
	}
	return run.Started.Add(c.opt.ProgressAfter).Sub(c.now())
}

// postShow posts the message, unless the last life of the chat did.
func (c *Chat) postShow(ctx context.Context, s *show, run bellhop.Run) error {
	if s.TS != "" {
		return nil
	}
	s.At = stampOf(c.now().Add(-time.Minute))
	if err := c.storeShow(ctx, s); err != nil { // first, so that it is found
		return err
	}
	m := c.showMessage(s, run)
	m.Thread, m.Kind, m.Ref = s.Thread, kindProgress, s.Run.String()
	ts, err := c.api.Post(ctx, m)
	if err != nil {
		return err
	}
	s.TS = ts
	return c.storeShow(context.WithoutCancel(ctx), s)
}

func (c *Chat) storeShow(ctx context.Context, s *show) error {
	raw, err := json.Marshal(s.shown)
	if err != nil {
		return err
	}
	_, err = c.opt.Values.Put(ctx, c.space(), showKey{s.Run, spot{s.Channel, s.Thread}}.key(), raw, -1, showFor, c.now())
	return err
}

// editShow edits the message while the run goes on.
func (c *Chat) editShow(ctx context.Context, s *show, run bellhop.Run, ended <-chan struct{}) {
	last, lines := c.now(), s.lines()
	for {
		timer, stop := c.opt.Clock.NewTimer(editEvery)
		select {
		case <-timer:
		case <-ended:
			stop()
			return
		case <-ctx.Done():
			stop()
			return
		}
		now := s.lines()
		if now == lines && c.now().Sub(last) < tickEvery {
			continue
		}
		hurry, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := c.api.Update(hurry, s.TS, c.showMessage(s, run))
		cancel()
		switch {
		case slackapi.CodeOf(err) == "message_not_found", final(err):
			return
		case err != nil && ctx.Err() == nil:
			c.note("showing progress", err)
		}
		last, lines = c.now(), now
	}
}

func (s *show) lines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.text()
}

// showMessage is what is shown of a run that goes on.
func (c *Chat) showMessage(s *show, run bellhop.Run) slackapi.Message {
	text := fmt.Sprintf("%s %s (%s) runs", run.Service, run.Job, run.ID)
	if run.Started != nil {
		text += ", " + chat.Duration(c.now().Sub(*run.Started).Truncate(time.Second))
	}
	m := slackapi.Message{Channel: s.Channel, Text: plain(text), Plain: true}
	m.Blocks = append(m.Blocks, section(plain(text), false))
	if lines := s.lines(); lines != "" {
		m.Blocks = append(m.Blocks, section(code(lines), true))
	}
	m.Blocks = append(m.Blocks, actions([]button{{label: "Cancel", ask: "cancel " + run.ID.String(), style: "danger"}}))
	return m
}

// endShow changes the message that showed a run's progress into how it ended,
// and reports whether there is one.
func (c *Chat) endShow(ctx context.Context, r bellhop.Report) bool {
	key := showKey{r.Run.ID, c.spotOf(r.Ask.Origin)}
	c.shows.mu.Lock()
	s := c.shows.runs[key]
	c.shows.mu.Unlock()
	if s != nil {
		s.cancel()
		<-s.done
	}
	v, err := c.opt.Values.Get(ctx, c.space(), key.key(), c.now())
	if err != nil {
		return false
	}
	var old shown
	if json.Unmarshal(v.Value, &old) != nil {
		return false
	}
	if old.TS == "" {
		if old.TS = c.findShow(ctx, key, old); old.TS == "" {
			return false
		}
	}
	w := words{text: overText(r.Run), buttons: overButtons(r.Run.ID)}
	if err := c.api.Update(ctx, old.TS, c.compose(spot{channel: old.Channel}, w)); err != nil {
		c.note("ending the progress of a run", err)
		return false
	}
	c.note("forgetting what was shown", c.opt.Values.Delete(ctx, c.space(), key.key(), -1, c.now()))
	return true
}

// findShow looks for a message of which is not known whether it was posted.
func (c *Chat) findShow(ctx context.Context, key showKey, old shown) (ts string) {
	err := c.lookAt(ctx, key.at, old.At, func(s slackapi.Said) bool {
		if s.Ref(kindProgress) == old.Run.String() {
			ts = s.TS
		}
		return ts == ""
	})
	c.note("looking for what was shown", err)
	return ts
}

// overText says in a line how a run ended.
func overText(r bellhop.Run) string {
	text := fmt.Sprintf("%s %s (%s) %s", r.Service, r.Job, r.ID, strings.ReplaceAll(string(r.State), "_", " "))
	if r.Started != nil && r.Finished != nil {
		text += ", after " + chat.Duration(r.Finished.Sub(*r.Started))
	}
	return text
}

// tail keeps the end of a run's output.
type tail struct {
	attempt int
	data    []byte
}

func (t *tail) add(ch bellhop.Chunk) {
	if ch.Attempt != t.attempt { // it was begun again
		t.attempt, t.data = ch.Attempt, nil
	}
	t.data = append(t.data, ch.Data...)
	if n := len(t.data) - 4*showChars; n > 0 {
		t.data = append([]byte(nil), t.data[n:]...)
	}
}

// text is the last lines, without a line that is not complete when there are
// others.
func (t *tail) text() string {
	lines := strings.Split(clean(string(t.data)), "\n")
	if n := len(lines) - showLines; n > 0 {
		lines = lines[n:]
	}
	return strings.TrimSpace(cut(strings.Join(lines, "\n"), showChars))
}
