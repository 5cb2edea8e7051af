package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/transcript"
	"github.com/bellhop-io/bellhop/internal/web"
)

const (
	// maxSearch is the longest text that is searched for, in bytes.
	maxSearch = 1 << 10
	// aliveEvery is how often a stream that has no news says that it is alive.
	aliveEvery = 15 * time.Second
)

// Output shows what runs write. Its handlers are for requests whose person may
// see the run's output: that is judged before.
type Output struct {
	Reader *transcript.Reader // reads output as lines
	// Read calls fn with the chunks after the given attempt and seq, in order.
	Read  func(ctx context.Context, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error
	Clock bellhop.Clock
	// Stands is asked before each piece of news of a stream whether its person
	// may still see the run; nil = yes.
	Stands func(r *http.Request, id bellhop.RunID) error
}

// lineJSON is a line: its number from 1, attempt, channel (1 stdout, 2 stderr),
// time in milliseconds since 1970, and text; how many bytes it has if that is
// not all of it, how many bytes are missing before its end, and whether it has
// not ended.
type lineJSON struct {
	N       int    `json:"n"`
	Attempt int    `json:"a"`
	Channel int    `json:"c"`
	Time    int64  `json:"t"`
	Text    string `json:"s"`
	Cut     int64  `json:"cut,omitempty"`
	Gap     int64  `json:"gap,omitempty"`
	Open    bool   `json:"open,omitempty"`
}

// linesJSON is some lines, the first of which has number From, of Total.
type linesJSON struct {
	Total int        `json:"total"`
	Done  bool       `json:"done"`
	Epoch int        `json:"epoch"`
	From  int        `json:"from"`
	Lines []lineJSON `json:"lines"`
}

func toLines(w *transcript.Window) linesJSON {
	out := linesJSON{Total: w.Total, Done: w.Done, Epoch: w.Epoch, From: w.Total + 1, Lines: make([]lineJSON, 0, len(w.Lines))}
	for i, l := range w.Lines {
		if i == 0 {
			out.From = l.N
		}
		j := lineJSON{N: l.N, Attempt: l.Attempt, Channel: int(l.Channel), Time: l.At.UnixMilli(), Text: l.Text, Gap: l.Gap, Open: l.Open}
		if l.Cut {
			j.Cut = l.Size
		}
		out.Lines = append(out.Lines, j)
	}
	return out
}

// hitsJSON is what a search found: the first line, or null, and all of them.
type hitsJSON struct {
	Line  *int  `json:"line"`
	Lines []int `json:"lines"`
	Next  int   `json:"next"`
	Done  bool  `json:"done"`
	Total int   `json:"total"`
	Epoch int   `json:"epoch"`
}

func toHits(h *transcript.Hits) hitsJSON {
	out := hitsJSON{Lines: h.Lines, Next: h.Next, Done: h.Done, Total: h.Total, Epoch: h.Epoch}
	if len(h.Lines) > 0 {
		out.Line = &h.Lines[0]
	}
	return out
}

// Lines answers with lines: ?from=N&n=M, where from counts from 1, or from
// the end when it is below; ?search=TEXT&from=N&dir=next|prev&n=M; ?error=first&from=N.
func (o *Output) Lines(w http.ResponseWriter, r *http.Request, id bellhop.RunID) {
	answer, err := o.lines(r, id)
	if err != nil {
		web.Fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer)
}

func (o *Output) lines(r *http.Request, id bellhop.RunID) (any, error) {
	q := r.URL.Query()
	from, err := wholeNumber(q.Get("from"), 1, "from")
	if err != nil {
		return nil, err
	}
	n, err := wholeNumber(q.Get("n"), 200, "n")
	if err != nil {
		return nil, err
	}
	switch text := q.Get("search"); {
	case q.Get("error") == "first":
		if !q.Has("from") {
			from = 0
		}
		h, err := o.Reader.FirstError(r.Context(), id, from)
		if err != nil {
			return nil, err
		}
		return toHits(h), nil
	case len(text) > maxSearch:
		return nil, bellhop.Errorf(bellhop.Invalid, "search has %d bytes; it may have %d", len(text), maxSearch)
	case text != "":
		dir := q.Get("dir")
		if dir != "" && dir != "next" && dir != "prev" {
			return nil, bellhop.Errorf(bellhop.Invalid, "dir is %.40q; it may be next or prev", dir)
		}
		if !q.Has("n") {
			n = 1
		}
		h, err := o.Reader.Search(r.Context(), id, text, from, dir == "prev", n)
		if err != nil {
			return nil, err
		}
		return toHits(h), nil
	}
	w, err := o.Reader.Window(r.Context(), id, from, n)
	if err != nil {
		return nil, err
	}
	return toLines(w), nil
}

func wholeNumber(text string, without int, name string) (int, error) {
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > math.MaxInt32 || n < -math.MaxInt32 {
		return 0, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it must be a whole number", name, text)
	}
	return n, nil
}

// Live streams news as server-sent events: `lines` with what Lines answers, of
// which the lines are the last that are new, and `end` when the run has ended.
// A stream that the server ends for another reason says `failed`, with a
// problem document; one that is cut says nothing.
func (o *Output) Live(w http.ResponseWriter, r *http.Request, id bellhop.RunID) {
	watch := o.Reader.Follow(id)
	defer watch.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	send := func(event string, data []byte) error {
		if event != "" {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: ", event); err != nil {
				return err
			}
		}
		if _, err := w.Write(append(data[:len(data):len(data)], "\n\n"...)); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	if send("", []byte(": connected")) != nil {
		return
	}
	for {
		quiet, stop := o.Clock.NewTimer(aliveEvery)
		u, err := watch.Next(r.Context(), quiet)
		stop()
		if errors.Is(err, context.Canceled) { // the client has gone, or the server goes
			return
		}
		if err == nil && o.Stands != nil {
			err = o.Stands(r, id)
		}
		switch {
		case err != nil:
			problem, _ := json.Marshal(web.ProblemOf(err))
			_ = send("failed", problem)
			return
		case u == nil:
			err = send("", []byte(": alive"))
		default:
			err = send("lines", u.Encode(encodeUpdate))
			if err == nil && u.Done {
				_ = send("end", []byte("{}"))
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func encodeUpdate(u *transcript.Update) []byte {
	b, _ := json.Marshal(toLines(&u.Window)) // of its own types, all of which JSON knows
	return b
}

// Download answers with the output as it was written: of all attempts, or of
// ?attempt=N.
func (o *Output) Download(w http.ResponseWriter, r *http.Request, id bellhop.RunID) {
	attempt, err := wholeNumber(r.URL.Query().Get("attempt"), 0, "attempt")
	if err == nil && attempt < 0 {
		err = bellhop.Errorf(bellhop.Invalid, "attempt is %d; it must be 1 or more", attempt)
	}
	if err != nil {
		web.Fail(w, err)
		return
	}
	name, after, seq := "run-"+id.String()+".txt", 0, int64(0)
	if attempt > 0 {
		name, after, seq = fmt.Sprintf("run-%s-attempt-%d.txt", id, attempt), attempt-1, math.MaxInt64
	}
	begun := false
	begin := func() {
		begun = true
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
	}
	over := errors.New("all of the attempt")
	err = o.Read(r.Context(), id, after, seq, false, func(c bellhop.Chunk) error {
		if attempt > 0 && c.Attempt > attempt {
			return over
		}
		if !begun {
			begin()
		}
		_, err := w.Write(c.Data)
		return err
	})
	switch {
	case errors.Is(err, over), err == nil:
		if !begun {
			begin()
		}
	case !begun:
		web.Fail(w, err)
	default:
		panic(http.ErrAbortHandler) // too late for a problem document: the connection is cut short
	}
}
