package api

import (
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// Holding says what is to be suppressed, paused, or let go again.
type Holding struct {
	Service string       `json:"service,omitempty"`
	Job     string       `json:"job,omitempty"`  // "" = the whole service
	Args    bellhop.Args `json:"args,omitempty"` // only runs that have these
	From    string       `json:"from,omitempty"` // suppress: a time as people say it; "" = now
	Until   string       `json:"until,omitempty"`
	// Number names one suppression or pause, for unsuppress and resume.
	Number int64 `json:"number,omitempty"`
}

func (h Holding) invocation(action bellhop.Action) (bellhop.Invocation, error) {
	var wrong string
	switch {
	case h.Number != 0 && action != bellhop.ActionUnsuppress && action != bellhop.ActionResume:
		wrong = "number is for unsuppress and resume alone"
	case h.Number < 0:
		wrong = "number is one of those that suppressions lists"
	case h.Number != 0 && (h.Service != "" || h.Job != "" || len(h.Args) > 0):
		wrong = "number says by itself which one is meant; leave out service, job and args"
	case h.Number == 0 && h.Service == "":
		wrong = "service is missing"
	case action == bellhop.ActionSuppress && h.Until == "":
		wrong = "until is missing; it takes a time such as 18:00, 2h or 2026-01-31 06:00"
	case action != bellhop.ActionSuppress && (h.From != "" || h.Until != ""):
		wrong = "from and until are for suppress alone"
	default:
		return bellhop.Invocation{
			Action: action, Service: h.Service, Job: h.Job, Args: h.Args, From: h.From, Until: h.Until, Hold: h.Number,
		}, nil
	}
	return bellhop.Invocation{}, bellhop.Errorf(bellhop.Invalid, "%s", wrong)
}

// hold serves what suppresses, pauses and lets go again.
func (h *Handler) hold(action bellhop.Action) endpoint {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		if r.Header.Get(headerKey) == "" {
			return bellhop.Errorf(bellhop.Invalid, "the header %s is missing; send a value of your own, and the same when you send the request again", headerKey)
		}
		body, err := readBody[Holding](r)
		if err != nil {
			return err
		}
		inv, err := body.invocation(action)
		if err != nil {
			return err
		}
		return h.do(w, r, c, inv)
	}
}

// suppressions is what GET /v1/suppressions answers.
type suppressions struct {
	Holds []bellhop.Hold `json:"holds"`
}

func (h *Handler) suppressions(w http.ResponseWriter, r *http.Request, c caller) error {
	inv := bellhop.Invocation{Action: bellhop.ActionSuppressions, Service: r.URL.Query().Get("service"), Job: r.URL.Query().Get("job")}
	a, err := h.front.Do(r.Context(), c.person, c.source, c.session, "", inv)
	if err != nil {
		return err
	}
	return reply(w, suppressions{append([]bellhop.Hold{}, a.Holds...)})
}

func (h *Handler) why(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := bellhop.ParseRunID(r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.do(w, r, c, bellhop.Invocation{Action: bellhop.ActionWhy, Run: id})
}
