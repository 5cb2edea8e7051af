package ui

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// runsPage is how many runs a page shows.
const runsPage = 50

// runsData is a page of runs, and what it was filtered by.
type runsData struct {
	Runs   []bellhop.Run
	Query  url.Values
	Next   string // address of the next page; "" = this is the last
	First  bool
	Narrow bool // something is filtered by
}

// filters are the names that a query may have.
var filters = []string{"service", "job", "state", "who", "since", "until", "before"}

// filterOf reads a filter from a query.
func (v *view) filterOf(q url.Values) (f bellhop.RunFilter, err error) {
	f = bellhop.RunFilter{Service: strings.ToLower(v.query("service")), Job: strings.ToLower(v.query("job")), Principal: v.query("who"), Limit: runsPage + 1}
	for _, s := range q["state"] {
		if s == "" {
			continue
		}
		st, err := bellhop.ParseState(s)
		if err != nil {
			return f, err
		}
		f.States = append(f.States, st)
	}
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if s := v.query(name); s != "" {
			if *to, err = v.timeOf(s); err != nil {
				return f, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; write a date such as 2026-01-31, or a time such as 2026-01-31T15:04", name, s)
			}
		}
	}
	if s := v.query("before"); s != "" {
		if f.Before, err = bellhop.ParseRunID(s); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (v *view) timeOf(s string) (t time.Time, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err = time.ParseInLocation(layout, s, v.zone()); err == nil {
			return t, nil
		}
	}
	return t, err
}

func (h *Handler) runs(v *view) error {
	q := v.r.URL.Query()
	f, err := v.filterOf(q)
	if err != nil {
		return err
	}
	d := runsData{Query: q, First: f.Before == 0}
	if d.Runs, err = h.house.Runs(v.ctx(), v.person, f); err != nil {
		return err
	}
	if len(d.Runs) > runsPage {
		d.Runs = d.Runs[:runsPage]
		next := url.Values{}
		for _, name := range filters {
			next[name] = q[name]
		}
		next.Set("before", d.Runs[runsPage-1].ID.String())
		d.Next = "/runs?" + next.Encode()
	}
	for _, name := range filters {
		d.Narrow = d.Narrow || name != "before" && q.Get(name) != ""
	}
	return v.show("Runs", runsTable(v.page, d))
}

// runData is what the page of a run shows.
type runData struct {
	Run bellhop.Run
	Why string
}

func (h *Handler) run(v *view) error {
	id, err := bellhop.ParseRunID(v.r.PathValue("id"))
	if err != nil {
		return err
	}
	d := runData{}
	if d.Run, err = h.house.Run(v.ctx(), v.person, id); err != nil {
		return err
	}
	d.Why = v.page.waits(d.Run)
	return v.show(d.Run.Service+" "+d.Run.Job+" "+id.String(), runPage(v.page, d))
}

// changes are what a page may do to a run.
var changes = map[string]bellhop.Action{
	"cancel": bellhop.ActionCancelRun, "retry": bellhop.ActionRetry, "approve": bellhop.ActionApprove, "deny": bellhop.ActionDeny,
}

// act changes a run.
func (h *Handler) act(v *view) error {
	id, err := bellhop.ParseRunID(v.r.PathValue("id"))
	if err != nil {
		return err
	}
	action, ok := changes[v.r.PathValue("what")]
	if !ok {
		return bellhop.Errorf(bellhop.NotFound, "a run can't be made to %.40q", v.r.PathValue("what"))
	}
	a, err := v.do(v.key(), bellhop.Invocation{Action: action, Run: id, Digest: v.r.PostFormValue("digest"), Reason: v.r.PostFormValue("reason")})
	if err != nil {
		return err
	}
	to := id
	if a.Accepted != nil {
		to = a.Accepted.Run
	}
	return v.did(v.page.style().AnswerText(a), "/runs/"+to.String())
}

// did says that something was done: on the page that had it done, or by going
// on to another.
func (v *view) did(text, to string) error {
	if !part(v.r) {
		http.Redirect(v.w, v.r, to, http.StatusSeeOther)
		return nil
	}
	v.w.Header().Set("HX-Trigger", "bellhop:change")
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return done(text).Render(v.ctx(), v.w)
}

// key is that of what a form asks for: the same form sent twice is one request.
func (v *view) key() string {
	if k := v.r.PostFormValue("key"); k != "" && len(k) <= 64 {
		return k
	}
	return newKey()
}
