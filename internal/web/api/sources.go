package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

// Sources is Bellhop for outside sources, each of which has a token of its own.
type Sources interface {
	// Of is the source whose token a request shows.
	Of(r *http.Request) (source string, err error)
	Register(ctx context.Context, source string, shows outside.Shows) (Source, error)
	Hear(ctx context.Context, source string, e *outside.Event) (outside.Reply, error)
	// Reports calls fn for each report to the source, and with nil from time to
	// time (outside.Chat.Stream).
	Reports(ctx context.Context, source, last string, fn func(*outside.Report) error) error
	Ack(ctx context.Context, source, report, reference string) error
}

// Source is what Bellhop knows of an outside source.
type Source struct {
	Source      string        `json:"source"`
	Description string        `json:"description,omitempty"`
	Bot         string        `json:"bot"` // the name that people call
	Shows       outside.Shows `json:"shows"`
	// People are those of the source whom the configuration knows: by the name
	// that the source has for them, their own. All others are guests.
	People map[string]string `json:"people"`
	// Entries are what data of the source asks for.
	Entries []SourceEntry `json:"entries"`
	Reports SourceReports `json:"reports"`
}

// SourceEntry is an entry for data of a source.
type SourceEntry struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Job     string `json:"job"`
}

// SourceReports is how a source has its reports.
type SourceReports struct {
	By      string `json:"by"`               // stream, or url
	Waiting int    `json:"waiting"`          // not delivered yet, 1000 or more are 1000
	Oldest  string `json:"oldest,omitempty"` // of those
}

type (
	registerBody struct {
		Shows outside.Shows `json:"shows,omitzero"`
	}
	ackBody struct {
		Reference string `json:"reference,omitempty"` // what the source calls the message, for later edits
	}
)

func (h *Handler) handleSources(s Sources) {
	h.sources = s
	h.handleSource("PUT /v1/sources/{source}", h.registerSource)
	h.handleSource("POST /v1/events", h.sourceEvent)
	h.handleSource("GET /v1/sources/{source}/reports", h.sourceReports)
	h.handleSource("POST /v1/sources/{source}/reports/{report}/ack", h.ackReport)
}

// handleSource adds an endpoint for outside sources alone, each of which is
// itself and no other.
func (h *Handler) handleSource(pattern string, fn func(w http.ResponseWriter, r *http.Request, source string) error) {
	h.patterns = append(h.patterns, pattern)
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		source, err := h.sources.Of(r)
		if named := r.PathValue("source"); err == nil && named != "" && named != source {
			err = bellhop.Errorf(bellhop.NotAllowed, "this token is source %s, and no other; %.60q is another", source, named)
		}
		if err == nil {
			err = fn(w, r, source)
		}
		h.failed(w, r, err)
	})
}

func (h *Handler) registerSource(w http.ResponseWriter, r *http.Request, source string) (err error) {
	var body registerBody
	if r.ContentLength != 0 {
		if body, err = readBody[registerBody](r); err != nil {
			return err
		}
	}
	got, err := h.sources.Register(r.Context(), source, body.Shows)
	if err != nil {
		return err
	}
	return reply(w, got)
}

// sourceEvent answers 202 when the event has brought a run.
func (h *Handler) sourceEvent(w http.ResponseWriter, r *http.Request, source string) error {
	e, err := readBody[outside.Event](r)
	if err != nil {
		return err
	}
	got, err := h.sources.Hear(r.Context(), source, &e)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if got.Asked() {
		w.WriteHeader(http.StatusAccepted)
	}
	return json.NewEncoder(w).Encode(got)
}

func (h *Handler) sourceReports(w http.ResponseWriter, r *http.Request, source string) error {
	ev := &events{w: w, ctx: r.Context()}
	stands := standing(func() error { _, err := h.sources.Of(r); return err })
	return ev.end(h.sources.Reports(r.Context(), source, r.Header.Get("Last-Event-ID"), func(rep *outside.Report) error {
		if err := stands(); err != nil {
			return err
		}
		if rep != nil {
			return ev.send(rep.ID, "report", rep)
		}
		if !ev.begun {
			ev.begin()
			return nil
		}
		return ev.alive()
	}))
}

func (h *Handler) ackReport(w http.ResponseWriter, r *http.Request, source string) (err error) {
	var body ackBody
	if r.ContentLength != 0 {
		if body, err = readBody[ackBody](r); err != nil {
			return err
		}
	}
	if err := h.sources.Ack(r.Context(), source, r.PathValue("report"), body.Reference); err != nil {
		return err
	}
	return reply(w, struct{}{})
}

func sourceOperations() map[string]operation {
	const alone = "For the token of that source (bellhop token create NAME --source SOURCE) alone."
	return map[string]operation{
		"PUT /v1/sources/{source}": {
			about: "Register an outside source: what it can show", more: alone + " The same again changes nothing.", body: registerBody{},
			answers: ok("What Bellhop knows of the source.", Source{}),
		},
		"POST /v1/events": {
			about: "Send an event of an outside source: what somebody said, a job that they want, or data",
			more:  "For the token of a source alone. The same key again, within 7 days, is the same event. What a person may not, or did wrong, is an answer with error and text; a problem is one of the source's.",
			body:  outside.Event{}, needed: true,
			answers: []answers{
				{status: http.StatusAccepted, about: "It has brought a run, or several, now or before.", body: outside.Reply{}},
				{status: http.StatusOK, about: "It was answered, asked back, refused or ignored; text is what the person is to be told.", body: outside.Reply{}},
			},
		},
		"GET /v1/sources/{source}/reports": {
			about:   "Take reports as they come",
			more:    alone + " Events named report, each with a Report as its data. What is not acknowledged comes again, at least at the next connection; a source has one stream.",
			header:  []parameter{{name: "Last-Event-ID", about: "The last event that came: those up to it are not sent again at once."}},
			answers: []answers{{status: http.StatusOK, about: "The events.", body: "", media: events1}},
		},
		"POST /v1/sources/{source}/reports/{report}/ack": {
			about: "Acknowledge a report, so that it does not come again", more: alone, body: ackBody{}, answers: ok("It is written down.", struct{}{}),
		},
	}
}
