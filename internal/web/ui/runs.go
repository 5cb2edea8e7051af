package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

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
	if v.r.Header.Get("HX-Trigger") == "filter" {
		v.w.Header().Set("HX-Push-Url", v.moved(filtered(q)))
	}
	return v.show("Runs", runsTable(v.page, d))
}

// filtered is the address of the first page of a query.
func filtered(q url.Values) string {
	if c := narrowed(q); len(c) > 0 {
		return "/runs?" + c.Encode()
	}
	return "/runs"
}

// moved is a page's new address, as htmx wants it: a field that is left by
// Enter asks twice, and is one step back.
func (v *view) moved(to string) string {
	if u, err := url.Parse(v.r.Header.Get("HX-Current-URL")); err == nil && u.RequestURI() == to {
		return "false"
	}
	return to
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
	*bellhop.History
	Why  string
	Mine bool   // its approval waits for what the viewer says
	Link string // to the message by which it was asked for; "" = none
	Bars []attemptBar
	Copy []copyLine
}

// attemptBar is an attempt as a bar, in parts of a hundred of the time from the
// first one's beginning.
type attemptBar struct {
	bellhop.Attempt
	X, W string
	Took time.Duration
}

// copyLine is how the same is asked for somewhere else.
type copyLine struct{ Where, Text string }

func (h *Handler) run(v *view) error {
	id, err := bellhop.ParseRunID(v.r.PathValue("id"))
	if err != nil {
		return err
	}
	d := runData{}
	if d.History, err = h.house.History(v.ctx(), v.person, id); err != nil {
		return err
	}
	d.Why = v.page.waits(d.Run)
	if d.Run.State == bellhop.Held {
		votable, err := h.house.Votable(v.ctx(), v.person)
		if err != nil {
			return err
		}
		d.Mine = slices.ContainsFunc(votable, func(r bellhop.Run) bool { return r.ID == id })
	}
	d.Link = h.house.Link(v.ctx(), d.Run.Origin)
	d.Bars = attemptBars(d.Attempts, v.page.now)
	if d.Copy, err = h.copies(v, &d.Run); err != nil {
		return err
	}
	v.page.Output = true
	return v.show(d.Run.Service+" "+d.Run.Job+" "+id.String(), runPage(v.page, d))
}

func attemptBars(all []bellhop.Attempt, now time.Time) []attemptBar {
	if len(all) == 0 {
		return nil
	}
	end := func(a *bellhop.Attempt) time.Time {
		if a.Ended.IsZero() {
			return now
		}
		return a.Ended
	}
	first, last := all[0].Started, all[0].Started
	for i := range all {
		if e := end(&all[i]); e.After(last) {
			last = e
		}
	}
	whole := max(last.Sub(first), time.Millisecond)
	bars := make([]attemptBar, len(all))
	for i := range all {
		took := end(&all[i]).Sub(all[i].Started)
		bars[i] = attemptBar{
			Attempt: all[i], Took: took,
			X: num(float64(all[i].Started.Sub(first)) / float64(whole) * 100), W: num(max(.8, float64(took)/float64(whole)*100)),
		}
	}
	return bars
}

// copies are the lines that ask for what a run did: in a chat, on a command
// line, by curl.
func (h *Handler) copies(v *view, r *bellhop.Run) (all []copyLine, err error) {
	list, err := h.house.Services(v.ctx(), v.person)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.Name != r.Service {
			continue
		}
		for i := range s.Entries {
			if text, ok := sayable(&s.Entries[i], r); ok {
				all = append(all,
					copyLine{"Chat", "@" + v.page.About.Bot + " " + text},
					copyLine{"Command line", "bellhop ask " + shellWord(text)})
				break
			}
		}
	}
	body, err := json.Marshal(r.Args)
	if err != nil {
		return nil, err
	}
	at := "http://" + v.r.Host
	if h.secure(v.r) {
		at = "https://" + v.r.Host
	}
	curl := "curl -H \"Authorization: Bearer $BELLHOP_TOKEN\" -d " + shellWord(string(body)) + " " + shellWord(at+"/v1/"+r.Service+"/"+r.Job)
	return append(all, copyLine{"curl", curl}), nil
}

// sayable is what is said for an entry to bring a run: its pattern with the
// run's arguments in their places.
func sayable(e *bellhop.Entry, r *bellhop.Run) (string, bool) {
	if e.Job != r.Job || e.Action != bellhop.ActionRun || e.Pattern == "" || !r.Args.Contains(e.Args) {
		return "", false
	}
	words := strings.Fields(e.Pattern)
	for i, w := range words {
		name, is := strings.CutPrefix(w, "[")
		if !is {
			continue
		}
		v, ok := r.Args[strings.TrimRight(name, ".]")]
		if !ok {
			return "", false
		}
		parts := v.List
		if !v.IsList() {
			parts = []string{v.Text}
		}
		said := make([]string, len(parts))
		for j, text := range parts {
			switch {
			case text != "" && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '\'' || !unicode.IsPrint(r) }) && !strings.HasSuffix(text, "."):
				said[j] = text
			case strings.ContainsAny(text, "\"\n"):
				return "", false // there is no way to say it on one line
			default:
				said[j] = `"` + text + `"`
			}
		}
		words[i] = strings.Join(said, " ")
	}
	return r.Service + " " + strings.Join(words, " "), true
}

// shellWord quotes a text for a shell (POSIX 2.2.2).
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

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

// bulkMost is how many runs are changed at a time.
const bulkMost = 200

// bulk changes the runs that were chosen, one after the other, and says of each
// what could not be done.
func (h *Handler) bulk(v *view) error {
	what := v.r.PostFormValue("what")
	action, ok := changes[what]
	ids := v.r.PostForm["run"]
	switch {
	case !ok || what != "cancel" && what != "retry":
		return bellhop.Errorf(bellhop.Invalid, "runs can be cancelled or retried together, not %.40q", what)
	case len(ids) == 0:
		return bellhop.Errorf(bellhop.Invalid, "no run was chosen: tick those that are meant")
	case len(ids) > bulkMost:
		return bellhop.Errorf(bellhop.Invalid, "%d runs were chosen; at most %d are changed at a time", len(ids), bulkMost)
	}
	key, good := v.key(), 0
	var bad []string
	for _, text := range ids {
		id, err := bellhop.ParseRunID(text)
		if err == nil {
			_, err = v.do(key+"."+id.String(), bellhop.Invocation{Action: action, Run: id})
		}
		if err != nil {
			bad = append(bad, text+": "+err.Error())
			continue
		}
		good++
	}
	said := count(good, "run") + map[string]string{"cancel": " cancelled", "retry": " asked for again"}[what] + "."
	if len(bad) > 0 {
		said += " Not done:\n" + strings.Join(bad, "\n")
	}
	return v.did(said, "/runs")
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
