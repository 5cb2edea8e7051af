// Package slackapi is Slack as Bellhop speaks to it: the calls of the Web API
// that it makes, and the sockets of Socket Mode. It alone knows slack-go, whose
// releases break often; none of its types leave this package.
package slackapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/bellhop-io/bellhop"
)

// Options are what a Client is made of. BotToken is needed.
type Options struct {
	BotToken string        // xoxb-...
	AppToken string        // xapp-..., for sockets
	URL      string        // of the Web API, with a / at its end; "" = Slack's own
	HTTP     *http.Client  // nil = one of its own
	Clock    bellhop.Clock // nil = the machine's
	// Quiet is how long a socket may say nothing at all before it is taken for
	// dead; 0 = 30 s.
	Quiet time.Duration
}

// Client makes calls. Each waits as long as Slack's rate limits have it wait,
// unless its context ends before that. Every error is a *Fault, or that of the
// context.
type Client struct {
	opt   Options
	api   *slack.Client
	still *http.Client // follows no redirect: what is sent is for one host alone
	gates gates
}

// New returns a client. It opens nothing.
func New(o Options) *Client {
	o.URL = cmp.Or(o.URL, slack.APIURL)
	if !strings.HasSuffix(o.URL, "/") {
		o.URL += "/"
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: callFor}
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	o.Quiet = cmp.Or(o.Quiet, 30*time.Second)
	still := *o.HTTP
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		opt: o, still: &still,
		api:   slack.New(o.BotToken, slack.OptionAPIURL(o.URL), slack.OptionHTTPClient(o.HTTP), slack.OptionAppLevelToken(o.AppToken)),
		gates: gates{clock: o.Clock, until: make(map[gate]time.Time)},
	}
}

// callFor is how long one request may take.
const callFor = 30 * time.Second

// Close lets go of connections that are kept for later calls.
func (c *Client) Close() { c.opt.HTTP.CloseIdleConnections() }

// do makes a call, again and again while Slack answers that it is too early.
func (c *Client) do(ctx context.Context, method, channel string, call func() error) error {
	at := gate{method, channel}
	for {
		if err := c.gates.wait(ctx, at); err != nil {
			return err
		}
		err := call()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := faultOf(method, err)
		if f.RetryAfter == 0 {
			return f
		}
		c.gates.shut(at, f.RetryAfter)
	}
}

// Self is who the bot token belongs to.
type Self struct {
	Team       string
	TeamName   string
	Enterprise string // "" = none
	User       string // the bot's user
	Bot        string // its bot id
	Name       string
	Scopes     []string // that the token was given; nil = Slack did not say
}

// Self asks who the bot token belongs to.
func (c *Client) Self(ctx context.Context) (Self, error) {
	var r *slack.AuthTestResponse
	err := c.do(ctx, "auth.test", "", func() (err error) {
		r, err = c.api.AuthTestContext(ctx)
		return err
	})
	if err != nil {
		return Self{}, err
	}
	s := Self{Team: r.TeamID, TeamName: r.Team, Enterprise: r.EnterpriseID, User: r.UserID, Bot: r.BotID, Name: r.User}
	if list := r.Header.Get("X-OAuth-Scopes"); list != "" {
		for scope := range strings.SplitSeq(list, ",") {
			s.Scopes = append(s.Scopes, strings.TrimSpace(scope))
		}
	}
	return s, nil
}
