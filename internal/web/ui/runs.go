package ui

import (
	"context"
	"net/http"
	"net/url"
	"slices"
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
	Older  string // address of the next page; "" = this is the last
	Newer  string // and of the one before
	Far    string // how far was searched, when there may be more; "" = to the end, or the page is full
	First  bool
	Narrow bool // something is filtered by
}

// filters are the names that a query may have, besides where the page begins.
var filters = []string{"service", "job", "state", "verdict", "who", "source", "arg", "since", "until"}

// verdicts in the order in which people are shown them.
var verdicts = []bellhop.Verdict{bellhop.Success, bellhop.Fixed, bellhop.Fail, bellhop.Regression, bellhop.Broken, bellhop.Aborted}

// searchOf reads what is searched for from a query.
func (v *view) searchOf(q url.Values) (s bellhop.RunSearch, err error) {
	s.RunFilter = bellhop.RunFilter{Service: strings.ToLower(v.query("service")), Job: strings.ToLower(v.query("job")), Principal: v.query("who"), Limit: runsPage}
	s.Source = strings.ToLower(v.query("source"))
	for _, text := range q["state"] {
		if text == "" {
			continue
		}
		st, err := bellhop.ParseState(text)
		if err != nil {
			return s, err
		}
		s.States = append(s.States, st)
	}
	if text := strings.ToUpper(v.query("verdict")); text != "" {
		if !slices.Contains(verdicts, bellhop.Verdict(text)) {
			return s, bellhop.Errorf(bellhop.Invalid, "verdict %.40q does not exist; the verdicts are SUCCESS, FIXED, FAIL, REGRESSION, ERROR, ABORTED", text)
		}
		s.Verdicts = []bellhop.Verdict{bellhop.Verdict(text)}
	}
	if text := v.query("arg"); text != "" {
		name, prefix, named := strings.Cut(text, "=")
		if s.Arg = (bellhop.ArgPrefix{Prefix: text}); named {
			s.Arg = bellhop.ArgPrefix{Name: name, Prefix: prefix}
		}
	}
	for name, to := range map[string]*time.Time{"since": &s.Since, "until": &s.Until} {
		if text := v.query(name); text != "" {
			if *to, err = v.timeOf(text); err != nil {
				return s, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; write a date such as 2026-01-31, or a time such as 2026-01-31T15:04", name, text)
			}
		}
	}
	for name, to := range map[string]*bellhop.RunID{"before": &s.Before, "after": &s.After} {
		if text := v.query(name); text != "" {
			if *to, err = bellhop.ParseRunID(text); err != nil {
				return s, err
			}
		}
	}
	if s.Before != 0 {
		s.After = 0
	}
	return s, nil
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
	s, err := v.searchOf(q)
	if err != nil {
		return err
	}
	page, err := h.house.Search(v.ctx(), v.person, s)
	if err != nil {
		return err
	}
	if s.After != 0 && page.Next == 0 { // the newest: shown as the first page is
		q.Del("after")
		s.After = 0
		if page, err = h.house.Search(v.ctx(), v.person, s); err != nil {
			return err
		}
	}
	d := runsData{Runs: page.Runs, Query: q, First: s.Before == 0 && s.After == 0}
	for _, name := range filters {
		d.Narrow = d.Narrow || q.Get(name) != ""
	}
	to := func(name string, id bellhop.RunID) string {
		c := narrowed(q)
		c.Set(name, id.String())
		return "/runs?" + c.Encode()
	}
	n := len(d.Runs)
	switch {
	case s.After != 0:
		d.Newer = to("after", page.Next)
		if n > 0 {
			d.Older = to("before", d.Runs[n-1].ID)
		}
	case page.Next != 0:
		d.Older = to("before", page.Next)
		if n < runsPage {
			d.Far = page.Next.String()
		}
	}
	if s.Before != 0 && n > 0 {
		d.Newer = to("after", d.Runs[0].ID)
	}
	return v.show("Runs", runsTable(v.page, d))
}

// narrowed is a query without where its page begins.
func narrowed(q url.Values) url.Values {
	c := url.Values{}
	for _, name := range filters {
		for _, text := range q[name] {
			if text != "" {
				c.Add(name, text)
			}
		}
	}
	return c
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
	v.page.Output = true
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

// written serves what a run writes, to whom may see the run.
func (h *Handler) written(serve func(http.ResponseWriter, *http.Request, bellhop.RunID)) func(*view) error {
	return func(v *view) error {
		id, err := bellhop.ParseRunID(v.r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, err := h.house.Run(v.ctx(), v.person, id); err != nil {
			return err
		}
		serve(v.w, v.r.WithContext(context.WithValue(v.ctx(), standsKey{}, &standing{at: h.opt.Clock.Now()})), id)
		return nil
	}
}

// standing is when it was looked last whether a stream's person may still see
// it.
type (
	standing  struct{ at time.Time }
	standsKey struct{}
)

// stands is nil while whoever has a stream may see the run: looked at once a
// second at most.
func (h *Handler) stands(r *http.Request, id bellhop.RunID) error {
	s, ok := r.Context().Value(standsKey{}).(*standing)
	now := h.opt.Clock.Now()
	if ok && now.Sub(s.at).Abs() < time.Second {
		return nil
	}
	if ok {
		s.at = now
	}
	p, _, err := h.house.SessionPerson(r.Context(), h.proof(r))
	if err == nil {
		_, err = h.house.Run(r.Context(), p, id)
	}
	if code := bellhop.CodeOf(err); code == bellhop.NotAllowed || code == bellhop.NotFound {
		return err
	}
	return nil // it can't be known just now
}
