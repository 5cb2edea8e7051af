package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// events writes server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type events struct {
	w     http.ResponseWriter
	ctx   context.Context // of the request
	begun bool
	out   []byte // what was added since the last flush
}

// begin sends the header, so that the client knows that it is connected.
func (e *events) begin() {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.Header().Set("Cache-Control", "no-store")
		_, _ = e.w.Write([]byte(": connected\n\n"))
		_ = http.NewResponseController(e.w).Flush()
	}
}

func (e *events) send(id, event string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e.add(id, event, b)
	return e.flush()
}

// add has an event sent with the next flush.
func (e *events) add(id, event string, data []byte) {
	if id != "" {
		e.out = append(append(append(e.out, "id: "...), id...), '\n')
	}
	e.out = append(append(append(e.out, "event: "...), event...), "\ndata: "...)
	e.out = append(append(e.out, data...), "\n\n"...)
}

// keptOut is how much room a stream keeps for what it sends next, in bytes: one
// that waits has none that is large.
const keptOut = 4 << 10

// flush sends what was added.
func (e *events) flush() error {
	e.begin()
	_, err := e.w.Write(e.out)
	if e.out = e.out[:0]; cap(e.out) > keptOut {
		e.out = nil
	}
	if err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}

// alive sends what is no event, so that nobody on the way takes the stream for
// dead.
func (e *events) alive() error {
	if _, err := e.w.Write([]byte(": alive\n\n")); err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}

// end tells the client that the stream is complete, or why it is not. One that
// is cut because the server stops says neither: the client comes back.
func (e *events) end(err error) error {
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	if err != nil {
		if !e.begun {
			return err // a problem document, as for every other request
		}
		return e.send("", "error", web.ProblemOf(err))
	}
	return e.send("", "end", struct{}{})
}

// output serves a run's output: as events when the client accepts those, else
// as plain bytes of one channel (stream=stdout|stderr) or of both by arrival.
func (h *Handler) output(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := bellhop.ParseRunID(r.PathValue("id"))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	follow := q.Get("follow") == "true"
	stands := h.standing(r)
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		attempt, seq, err := parseCursor(r.Header.Get("Last-Event-ID"))
		if err != nil {
			return err
		}
		ev := &events{w: w, ctx: r.Context()}
		return ev.end(h.front.Output(r.Context(), c.person, id, attempt, seq, follow, func(ch bellhop.Chunk) error {
			if err := stands(); err != nil {
				return err
			}
			return ev.send(cursor(ch.Attempt, ch.Seq), ch.Channel.String(), toChunk(ch))
		}))
	}
	only := q.Get("stream")
	if only != "" && only != "stdout" && only != "stderr" {
		return bellhop.Errorf(bellhop.Invalid, "stream is %.40q; it may be stdout or stderr", only)
	}
	begun := false
	err = h.front.Output(r.Context(), c.person, id, 0, 0, follow, func(ch bellhop.Chunk) error {
		if err := stands(); err != nil {
			return err
		}
		if only != "" && only != ch.Channel.String() {
			return nil
		}
		begun = true
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, err := w.Write(ch.Data)
		_ = http.NewResponseController(w).Flush()
		return err
	})
	if begun && err != nil {
		panic(http.ErrAbortHandler) // too late for a problem document: the connection is cut short
	}
	return err
}

// cursor is a place in a run's output, for Last-Event-ID.
func cursor(attempt int, seq int64) string {
	return strconv.Itoa(attempt) + "." + strconv.FormatInt(seq, 10)
}

func parseCursor(s string) (attempt int, seq int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(s, ".")
	attempt, err1 := strconv.Atoi(a)
	seq, err2 := strconv.ParseInt(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || attempt < 0 || seq < 0 {
		return 0, 0, bellhop.Errorf(bellhop.Invalid, "Last-Event-ID is %.40q; it looks like 1.42", s)
	}
	return attempt, seq, nil
}

// reports streams the reports to the caller's session, or with unread=true
// those that nobody read. Each one counts as read when the client says so
// (POST /v1/reports/{id}/ack) before it disconnects.
func (h *Handler) reports(w http.ResponseWriter, r *http.Request, c caller) error {
	if c.session == "" {
		return bellhop.Errorf(bellhop.Invalid, "%s is missing: reports are told to a session", headerSession)
	}
	ev := &events{w: w, ctx: r.Context()}
	ev.begin()
	desk := h.front.Desk(c.person, c.source, c.session)
	tell := func(rep bellhop.Report) error {
		key := ackKey{c.person.Principal(), c.session, rep.ID}
		acked := make(chan struct{})
		h.mu.Lock()
		h.acks[key] = acked
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			if h.acks[key] == acked { // not that of a client that came back meanwhile
				delete(h.acks, key)
			}
			h.mu.Unlock()
		}()
		if err := ev.send(strconv.FormatInt(rep.ID, 10), "report", toReport(rep)); err != nil {
			return err
		}
		select {
		case <-acked:
			return nil
		case <-r.Context().Done():
		}
		select {
		case <-acked: // and then the client left
			return nil
		default:
			return bellhop.ErrGone
		}
	}
	if r.URL.Query().Get("unread") == "true" {
		return ev.end(desk.Unread(r.Context(), tell))
	}
	return ev.end(desk.Reports(r.Context(), tell))
}

func (h *Handler) ack(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "%.40q is not the number of a report", r.PathValue("id"))
	}
	key := ackKey{c.person.Principal(), c.session, id}
	h.mu.Lock()
	acked, ok := h.acks[key]
	delete(h.acks, key)
	h.mu.Unlock()
	if !ok {
		return bellhop.Errorf(bellhop.NotFound, "report %d is not on its way to this session", id)
	}
	close(acked)
	return reply(w, struct{}{})
}
