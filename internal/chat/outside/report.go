package outside

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Report is what a source is told. It may come twice, with the same ID.
type Report struct {
	ID   string             `json:"id"`
	Kind bellhop.ReportKind `json:"kind"`
	Run  Run                `json:"run"`
	To   Place              `json:"to"`
	Text string             `json:"text,omitempty"`
	File *File              `json:"file,omitempty"`
	// Edit is the reference of a message in whose place this one is to be shown.
	Edit string `json:"edit,omitempty"`
}

// Place is where a report is told: the names that the source itself uses.
type Place struct {
	Person  string `json:"person,omitempty"`
	Channel string `json:"channel,omitempty"`
	Thread  string `json:"thread,omitempty"`
	Message string `json:"message,omitempty"` // which asked for it
}

// Run is what a source is told of a run, whoever may read the rest.
type Run struct {
	ID         bellhop.RunID   `json:"id"`
	Service    string          `json:"service"`
	Job        string          `json:"job"`
	State      bellhop.State   `json:"state"`
	Verdict    bellhop.Verdict `json:"verdict,omitempty"`
	ExitStatus *int            `json:"exit_status,omitempty"`
	AskedBy    string          `json:"asked_by"`
	Started    *time.Time      `json:"started,omitempty"`
	Finished   *time.Time      `json:"finished,omitempty"`
}

// File is one that a source may show; its data is base64 in JSON.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// toldDesk reads what a report tells of.
type toldDesk struct {
	chat.Desk
	house chat.House
	r     bellhop.Report
}

// Output calls fn for the output that the report's reader is told of.
func (d toldDesk) Output(ctx context.Context, _ bellhop.RunID, _ bool, fn func(bellhop.Chunk) error) error {
	return d.house.Told(ctx, d.r, fn)
}

// render makes of a report what the source is sent; nil = there is nothing to
// tell.
func (c *Chat) render(ctx context.Context, r bellhop.Report) (*Report, error) {
	out := &Report{
		ID: strconv.FormatInt(r.ID, 10), Kind: r.Kind, To: c.place(r.Ask.Origin),
		Run: Run{
			ID: r.Run.ID, Service: r.Run.Service, Job: r.Run.Job, State: r.Run.State, Verdict: r.Run.Verdict, ExitStatus: r.Run.ExitStatus,
			AskedBy: r.Run.AskedBy, Started: r.Run.Started, Finished: r.Run.Finished,
		},
	}
	shows, err := c.Shows(ctx)
	if err != nil {
		return nil, err
	}
	data := &limited{most: maxFile}
	rest := &limited{most: maxFile}
	to := chat.Outlets{Out: data, Failures: rest, Notes: rest, Style: c.style()}
	if err := chat.WriteOutcome(ctx, to, toldDesk{house: c.opt.House, r: r}, r, chat.Shown{}); err != nil {
		return nil, err
	}
	asFile := r.Kind == bellhop.ReportOutcome && r.Run.State == bellhop.Succeeded && r.Rule.Stdout &&
		(r.Rule.Format == bellhop.FormatFile || r.Rule.Base64) && data.Len() > 0
	if asFile && shows.Files {
		out.Text, _ = shorten(notes(rest, data), lengthOf(shows))
		out.File = &File{Name: r.Run.ID.String() + ".out", Data: data.Bytes()}
	} else {
		text := strings.TrimRight(rest.String()+data.String(), "\n")
		if data.over {
			text += "\n... that is its beginning; all of it: logs " + r.Run.ID.String()
		}
		out.Text, out.File = fitted(shows, chat.CleanText(text), r.Run.ID.String()+".txt")
	}
	if out.Text == "" && out.File == nil {
		return nil, nil
	}
	if shows.Edits {
		out.Edit = c.refOf(ctx, r.Kind, r.Run.ID, r.Ask.Origin)
	}
	return out, nil
}

// notes are those to a file.
func notes(rest, data *limited) string {
	text := strings.TrimRight(chat.CleanText(rest.String()), "\n")
	if data.over {
		text = strings.TrimLeft(text+"\nthe file is the beginning of what was written", "\n")
	}
	return text
}

// place is an origin in the words of the source.
func (c *Chat) place(o bellhop.Origin) Place {
	return Place{Person: strings.TrimPrefix(o.Person, c.opt.Name+":"), Channel: o.Channel, Thread: o.Thread, Message: o.Message}
}

// logs is what a run has written.
func (c *Chat) logs(ctx context.Context, p bellhop.Person, id bellhop.RunID) (string, error) {
	out := &limited{most: maxFile}
	err := c.opt.House.Output(ctx, p, id, 0, 0, false, func(ch bellhop.Chunk) error {
		if _, err := out.Write(ch.Data); err != nil || !out.over {
			return err
		}
		return errEnough
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return "", err
	case out.Len() == 0:
		return id.String() + " has written nothing so far", nil
	}
	return chat.CleanText(strings.ToValidUTF8(out.String(), "\ufffd")), nil
}

// errEnough ends the reading of output.
var errEnough = errors.New("that is enough")

// limited keeps the beginning of what is written.
type limited struct {
	bytes.Buffer
	most int
	over bool
}

func (l *limited) Write(b []byte) (int, error) {
	room := l.most - l.Len()
	if len(b) > room {
		l.over = true
		l.Buffer.Write(b[:max(room, 0)])
		return len(b), nil
	}
	return l.Buffer.Write(b)
}

// fit makes a text short enough for the source, or a file of it.
func (c *Chat) fit(ctx context.Context, text, name string) (string, *File, error) {
	shows, err := c.Shows(ctx)
	if err != nil {
		return "", nil, err
	}
	said, file := fitted(shows, text, cmp.Or(name, "answer.txt"))
	return said, file, nil
}

func lengthOf(s Shows) int {
	if s.Length == 0 {
		return maxText
	}
	return s.Length
}

func fitted(s Shows, text, name string) (string, *File) {
	said, whole := shorten(text, lengthOf(s))
	if whole || !s.Files {
		return said, nil
	}
	return "It is long, so it is a file: " + name, &File{Name: name, Data: []byte(text)}
}

// shorten returns the beginning of a text, of at most n characters with what
// says so, and whether that is all of it.
func shorten(text string, n int) (string, bool) {
	total := utf8.RuneCountInString(text)
	if total <= n {
		return text, true
	}
	more := fmt.Sprintf("\n... (cut; %s characters in all)", chat.Count(int64(total)))
	keep := n - utf8.RuneCountInString(more)
	for i := range text {
		if keep == 0 {
			text = text[:i]
			break
		}
		keep--
	}
	return strings.TrimRight(text, "\n") + more, false
}

// What is shown in the place of what: progress of what was told before of it,
// and a decision of the question that it answers.
func chainOf(k bellhop.ReportKind) string {
	switch k {
	case bellhop.ReportProgress:
		return "progress"
	case bellhop.ReportApproval, bellhop.ReportDecided:
		return "approval"
	}
	return ""
}

// refAge is how long a message may be edited.
const refAge = 7 * 24 * time.Hour

func refKey(k bellhop.ReportKind, run bellhop.RunID, o bellhop.Origin) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{o.Channel, o.Thread, o.Person}, "\x00")))
	return "ref/" + run.String() + "/" + chainOf(k) + "/" + hex.EncodeToString(sum[:8])
}

// refOf is the reference of the message that a report takes the place of; "" =
// it has none, or can't be had.
func (c *Chat) refOf(ctx context.Context, k bellhop.ReportKind, run bellhop.RunID, o bellhop.Origin) string {
	if chainOf(k) == "" {
		return ""
	}
	v, err := c.opt.Values.Get(ctx, c.space(), refKey(k, run, o), c.opt.Clock.Now())
	if err != nil {
		return ""
	}
	return string(v.Value)
}

// keepRef notes what a source calls a message by that later ones may take the
// place of. Without it they are messages of their own, so that it is no reason
// to deliver anything again.
func (c *Chat) keepRef(ctx context.Context, k bellhop.ReportKind, run bellhop.RunID, o bellhop.Origin, ref string) {
	if ref == "" || chainOf(k) == "" {
		return
	}
	if _, err := c.opt.Values.Put(ctx, c.space(), refKey(k, run, o), []byte(ref), -1, refAge, c.opt.Clock.Now()); err != nil {
		c.opt.Log.Warn("what a message is called could not be kept, so that it is not edited", "source", c.opt.Name, "run", run.String(), "error", err)
	}
}
