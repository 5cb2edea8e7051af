// Package slack has Bellhop heard and told in Slack: mentions, direct messages,
// a slash command, buttons and modals come in, by sockets or over HTTP;
// answers, progress and reports go out.
package slack

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// Options are what a Chat is made of. BotToken, House and Values are needed,
// and AppToken or, for the Events API, SigningSecret.
type Options struct {
	Name          string // of the chat; identities begin with it. "" = slack
	AppToken      string // xapp-...: Socket Mode
	BotToken      string // xoxb-...
	SigningSecret string // Events API: requests are signed with it
	// Events: what happens comes over HTTP (Handler), and no socket is opened.
	Events    bool
	Reactions Reactions
	CatchUp   time.Duration // asks that are older are not taken after a gap; 0 = 10 min
	// ThreadAlways: what was asked in a channel is answered in its thread.
	ThreadAlways bool
	Silent       bool // refuse: silent: who may not is told nothing
	HearName     bool // hear: name: what begins with the bot's name is for it
	AutoJoin     bool // public channels are joined
	Listen       []Listen
	// Channels are names of channels (#ops) that the configuration speaks of;
	// one that does not exist is a fault at start.
	Channels []string
	Bot      string // the name that people call; "" = bellhop
	APIURL   string // "" = Slack's own
	House    chat.House
	Values   bellhop.Values
	Clock    bellhop.Clock
	Log      *slog.Logger
	// Quiet is how long a socket may be silent; 0 = 30 s.
	Quiet time.Duration
	// ProgressAfter is how long a run goes on before a message shows its
	// progress; 0 = 3 s.
	ProgressAfter time.Duration
}

// Reactions are the names of the emoji that an ask gets.
type Reactions struct {
	Accepted, Succeeded, Failed string
}

// The reactions when nothing else is said.
const (
	DefaultAccepted  = "hourglass_flowing_sand"
	DefaultSucceeded = "white_check_mark"
	DefaultFailed    = "x"
)

func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, "slack")
	o.Bot = cmp.Or(o.Bot, "bellhop")
	o.CatchUp = cmp.Or(o.CatchUp, 10*time.Minute)
	o.ProgressAfter = cmp.Or(o.ProgressAfter, 3*time.Second)
	o.Reactions.Accepted = cmp.Or(strings.Trim(o.Reactions.Accepted, ":"), DefaultAccepted)
	o.Reactions.Succeeded = cmp.Or(strings.Trim(o.Reactions.Succeeded, ":"), DefaultSucceeded)
	o.Reactions.Failed = cmp.Or(strings.Trim(o.Reactions.Failed, ":"), DefaultFailed)
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.House == nil || o.Values == nil:
		return bellhop.Errorf(bellhop.Internal, "chat %s: it needs a house and values", o.Name)
	case o.BotToken == "":
		return bellhop.Errorf(bellhop.Invalid, "chat %s: bot_token is missing", o.Name)
	case !o.Events && o.AppToken == "":
		return bellhop.Errorf(bellhop.Invalid, "chat %s: app_token is missing", o.Name)
	case o.Events && o.SigningSecret == "":
		return bellhop.Errorf(bellhop.Invalid, "chat %s: signing_secret is missing", o.Name)
	}
	return nil
}

// Chat is one workspace. It is a bellhop.Destination and a bellhop.Directory.
type Chat struct {
	opt  Options
	api  *slackapi.Client
	self slackapi.Self

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	ready  chan struct{} // closed when it has begun
	loops  sync.WaitGroup
	stop   sync.Once
	away   atomic.Bool // there is no socket, where there is to be one

	hearing lanes // what comes in, in order for each person and place
	saying  lanes // what is answered

	large    chan struct{} // one is in it for each large output in memory
	receipts receipts
	heard    heard
	people   people
	names    names
	members  members
	seen     seen
	catching catching
	shows    shows
}

// New returns a chat that is not started.
func New(o Options) (*Chat, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Chat{opt: o, ready: make(chan struct{})}
	c.api = slackapi.New(slackapi.Options{BotToken: o.BotToken, AppToken: o.AppToken, URL: o.APIURL, Clock: o.Clock, Quiet: o.Quiet})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.large = make(chan struct{}, largeAtOnce)
	c.receipts.open = make(map[spot]map[*receipt]bool)
	c.heard.known = make(map[string]*hearing)
	c.people.known, c.people.unknown = make(map[string]known), make(map[string]nobody)
	c.names.ids, c.names.names = make(map[string]string), make(map[string]string)
	c.members.known = make(map[string]group)
	c.seen.places = make(map[string]*cursor)
	c.catching.wake = make(chan struct{}, 1)
	c.shows.runs = make(map[showKey]*show)
	return c, nil
}

// startFor bounds what Start asks Slack.
const startFor = time.Minute

// Start checks the tokens and begins to hear. It fails with Invalid when a
// token is wrong or lacks a scope, or a channel does not exist, and says which.
// When Slack can't be reached, it goes on trying.
func (c *Chat) Start(ctx context.Context) error {
	err := c.begin(ctx)
	if bellhop.CodeOf(err) != bellhop.Unavailable {
		return err
	}
	c.opt.Log.Warn("Slack can't be reached now; trying again", "chat", c.opt.Name, "error", err)
	c.loops.Go(func() {
		for pause := time.Second; c.sleep(pause); pause = min(2*pause, lastReopen) {
			err := c.begin(c.ctx)
			if err == nil || c.ctx.Err() != nil {
				return
			}
			c.opt.Log.Warn("the chat is not there yet; trying again", "chat", c.opt.Name, "error", err)
		}
	})
	return nil
}

// begin is one try to start.
func (c *Chat) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	if err := c.checkTokens(ctx); err != nil {
		return err
	}
	if err := c.resolveNames(ctx); err != nil {
		return err
	}
	if err := c.loadSeen(ctx); err != nil {
		return err
	}
	c.seen.hold()
	if !c.opt.Events {
		first, err := c.api.Open(ctx)
		if err != nil {
			return c.wordToken("app_token", err)
		}
		c.loops.Go(func() { c.keepSockets(first) })
	}
	close(c.ready)
	if c.opt.AutoJoin {
		c.loops.Go(c.joinAll)
	}
	c.loops.Go(c.catchUpLoop)
	c.loops.Go(c.saveSeenLoop)
	c.resumeShows(ctx)
	c.catchUp()
	return nil
}

// whenReady waits until the chat has begun.
func (c *Chat) whenReady(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	default:
	}
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	return bellhop.Errorf(bellhop.Unavailable, "chat %s: Slack can't be reached", c.opt.Name)
}

// Stop ends hearing, and lets what was heard be answered until ctx ends. It
// may be called twice.
func (c *Chat) Stop(ctx context.Context) error {
	c.stop.Do(func() {
		c.hearing.close(ctx)
		c.saying.close(ctx)
		c.cancel()
		c.loops.Wait()
		c.saveSeen(context.WithoutCancel(ctx))
		c.api.Close()
	})
	return nil
}

// Team is the id of the workspace, once started.
func (c *Chat) Team() string { return c.self.Team }

func (c *Chat) now() time.Time { return c.opt.Clock.Now() }

// space is where values of this chat are kept.
func (c *Chat) space() string { return "slack/" + c.opt.Name }

// sleep waits, and reports whether the chat goes on.
func (c *Chat) sleep(d time.Duration) bool {
	timer, stop := c.opt.Clock.NewTimer(d)
	defer stop()
	select {
	case <-timer:
		return true
	case <-c.ctx.Done():
		return false
	}
}
