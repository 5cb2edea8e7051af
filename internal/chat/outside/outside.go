// Package outside is the chat of an outside source: a program of somebody else
// that sends what people say, or data, over HTTP and is told reports as JSON.
// It knows no more of HTTP than to post a report.
package outside

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// House is Bellhop as an outside source sees it.
type House interface {
	chat.House
	// Ask has a job done for the event's person, by its name. The errors are as
	// those of Hear.
	Ask(ctx context.Context, ev bellhop.Event, service, job string, args bellhop.Args) (bellhop.Answer, error)
	// Feed asks for what entries want for data under a key, to be told at o. An
	// error says that not all of it was looked at, and that it may be sent again.
	Feed(ctx context.Context, key string, data []byte, o bellhop.Origin) (runs []Fed, ignored string, err error)
	Outbox
}

// Outbox is what is to be told to one source.
type Outbox interface {
	// Waiting returns up to n reports that were not delivered, oldest first.
	Waiting(ctx context.Context, n int) ([]bellhop.OutboxRow, error)
	// Compose reads what a report tells. NotFound: of what is not kept any more.
	Compose(ctx context.Context, row bellhop.OutboxRow) (bellhop.Report, error)
	// News is told when there may be more to tell; end ends that.
	News() (news <-chan struct{}, end func())
	// Delivered writes down that a report was.
	Delivered(ctx context.Context, id int64, ref string) error
}

// Options are what a Chat is made of. Name, House and Values are needed.
type Options struct {
	Name   string
	House  House
	Values bellhop.Values
	Clock  bellhop.Clock // of what people are told, too
	Log    *slog.Logger
	// Silent: whoever may not have something done is told nothing.
	Silent bool
	// URL is where reports are posted; "" = the source takes them by Stream.
	URL string
	// Secret is what they are signed with.
	Secret func(ctx context.Context) (string, error)
	Client *http.Client // nil = one that follows no redirects
	// Look is how often a stream looks for reports without news; 0 = seldom.
	Look time.Duration
}

// Chat is one outside source. It is a bellhop.Destination.
type Chat struct {
	opt Options

	mu      sync.Mutex
	open    *stream           // nil = the source is away
	flights map[int64]*flight // sent and not acknowledged, or waited for
	acked   map[int64]string  // the reference of what was acknowledged lately
	order   []int64           // of acked
}

// New returns the chat of a source.
func New(o Options) *Chat {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Client == nil {
		o.Client = client()
	}
	return &Chat{opt: o, flights: map[int64]*flight{}, acked: map[int64]string{}}
}

// Shows is what a source can show.
type Shows struct {
	// Length is the most characters of a text; 0 = as many as there are, up to
	// maxText. What is longer is cut, or a file.
	Length int  `json:"length,omitempty"`
	Files  bool `json:"files,omitempty"` // a text that is too long, and output that is a file
	Edits  bool `json:"edits,omitempty"` // a message that it has shown before
}

// Bounds of Shows.Length, in characters.
const (
	minLength = 80
	maxText   = 16 << 10
	maxFile   = 1 << 20 // bytes
)

// Check returns nil when a source may be so.
func (s Shows) Check() error {
	if s.Length != 0 && (s.Length < minLength || s.Length > maxText) {
		return bellhop.Errorf(bellhop.Invalid, "shows.length is %d; it is between %d and %d characters, or 0 for as many as there are", s.Length, minLength, maxText)
	}
	return nil
}

func (c *Chat) space() string { return "source/" + c.opt.Name }

const keyShows = "shows"

// Register notes what the source can show.
func (c *Chat) Register(ctx context.Context, s Shows) error {
	if err := s.Check(); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = c.opt.Values.Put(ctx, c.space(), keyShows, b, -1, 0, c.opt.Clock.Now())
	return err
}

// Shows is what the source can show: nothing in particular until it says so.
func (c *Chat) Shows(ctx context.Context) (s Shows, err error) {
	v, err := c.opt.Values.Get(ctx, c.space(), keyShows, c.opt.Clock.Now())
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(v.Value, &s)
}

// Posts reports whether reports are posted to a URL.
func (c *Chat) Posts() bool { return c.opt.URL != "" }

// Fed is what an entry made of data.
type Fed struct {
	Service string        `json:"service"`
	Entry   string        `json:"entry"`
	Run     bellhop.RunID `json:"run,omitempty"`
	How     bellhop.How   `json:"how,omitempty"`
	Error   bellhop.Code  `json:"error,omitempty"`
	Text    string        `json:"text,omitempty"` // the error in words
}

// Reply is what an event came to.
type Reply struct {
	Action bellhop.Action `json:"action,omitempty"`
	Run    bellhop.RunID  `json:"run,omitempty"`
	How    bellhop.How    `json:"how,omitempty"` // the event found its run
	// Error: the person can't have it, as Text says.
	Error bellhop.Code `json:"error,omitempty"`
	// Text is what the person is to be told; none = nothing.
	Text string `json:"text,omitempty"`
	File *File  `json:"file,omitempty"`
	// Question is asked back: the next event of that person in that place
	// answers it.
	Question *Question `json:"question,omitempty"`
	Ignored  string    `json:"ignored,omitempty"` // it was not for Bellhop
	Runs     []Fed     `json:"runs,omitempty"`    // of data
}

// Asked reports whether an event has brought a run.
func (r *Reply) Asked() bool {
	for _, f := range r.Runs {
		if f.Run != 0 {
			return true
		}
	}
	return r.Run != 0 && r.How != ""
}

// Question is one that a source may show as it likes, with buttons for one.
type Question struct {
	Kind    bellhop.QuestionKind `json:"kind"`
	Param   string               `json:"param,omitempty"`
	Choices []string             `json:"choices,omitempty"` // any of which answers it
	Expires time.Time            `json:"expires"`
}

// Hear takes an event. An error is one of the source's, or says that nothing
// was written and that it may be sent again; what a person did wrong, or may
// not, is a Reply.
func (c *Chat) Hear(ctx context.Context, e *Event) (Reply, error) {
	if err := e.Check(); err != nil {
		return Reply{}, err
	}
	if len(e.Data) > 0 {
		runs, ignored, err := c.opt.House.Feed(ctx, c.opt.Name+"/"+e.Key, e.Data, c.origin(e))
		return Reply{Runs: runs, Ignored: ignored}, err
	}
	ev := c.event(e)
	var a bellhop.Answer
	var err error
	if e.Text != "" {
		a, err = c.opt.House.Hear(ctx, ev)
	} else {
		a, err = c.opt.House.Ask(ctx, ev, e.Service, e.Job, e.Args)
	}
	if err != nil {
		return c.refused(ctx, ev.Person, err)
	}
	return c.answer(ctx, ev.Person, a)
}

// refused makes an answer of what is wrong with what a person wants.
func (c *Chat) refused(ctx context.Context, p bellhop.Person, err error) (Reply, error) {
	code := bellhop.CodeOf(err)
	switch {
	case code == bellhop.Unavailable || ctx.Err() != nil:
		return Reply{}, err
	case code == bellhop.Internal:
		c.opt.Log.Error("an ask failed", "source", c.opt.Name, "person", p.Identity, "error", errors.Join(err, errors.Unwrap(err)))
		return Reply{}, err
	case code == bellhop.NotAllowed && c.opt.Silent:
		return Reply{Error: code}, nil
	}
	r := Reply{Error: code}
	r.Text, r.File, err = c.fit(ctx, c.style().ErrorText(err), "")
	return r, err
}

// answer words what came of what a person wants.
func (c *Chat) answer(ctx context.Context, p bellhop.Person, a bellhop.Answer) (r Reply, err error) {
	text, name := c.style().AnswerText(a), ""
	r.Action = a.Action
	switch {
	case a.Question != nil:
		r.Question = question(a.Question)
	case a.Action == "":
		return Reply{Ignored: "it was not said to the bot"}, nil
	case a.Accepted != nil:
		r.Run, r.How = a.Accepted.Run, a.Accepted.How
	case a.Decided != nil:
		r.Run = a.Decided.ID
	case a.Action == bellhop.ActionLogs:
		r.Run, name = a.Run, a.Run.String()+".log"
		if text, err = c.logs(ctx, p, a.Run); err != nil {
			return c.refused(ctx, p, err)
		}
	}
	r.Text, r.File, err = c.fit(ctx, text, name)
	return r, err
}

func question(q *bellhop.Question) *Question {
	out := &Question{Kind: q.Kind, Param: q.Param, Expires: q.Expires}
	switch {
	case q.Kind == bellhop.AskConfirm:
		out.Choices = []string{"yes", "no"}
	case q.Kind == bellhop.AskArgument && len(q.Missing) > 0:
		out.Choices = q.Missing[0].Enum
	}
	return out
}

func (c *Chat) style() chat.Style { return chat.Style{Now: c.opt.Clock.Now()} }
