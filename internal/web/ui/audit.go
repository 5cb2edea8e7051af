package ui

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Trail is the audit trail, for admins.
type Trail interface {
	// Audit lists records, newest first; next is the After of the next page, 0
	// = there is none.
	Audit(ctx context.Context, p bellhop.Person, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error)
	Verify(ctx context.Context, p bellhop.Person) (AuditCheck, error)
}

// AuditCheck is what was found when the trail was verified.
type AuditCheck struct {
	Records int64
	Chains  int
	Faults  []bellhop.AuditFault
	Heads   []bellhop.AuditHead
}

// auditPageSize is how many records a page shows.
const auditPageSize = 50

// auditFilters are the names that a query may have, but for the place of a
// page.
var auditFilters = []string{"who", "service", "job", "run", "refused", "since", "until"}

func (h *Handler) auditRoutes() {
	h.get("/audit", h.audit)
	h.post("/audit/verify", h.verify)
}

// auditData is a page of the trail, and what it was searched for.
type auditData struct {
	Records []bellhop.AuditRecord
	Query   url.Values
	Next    string // address of the next page; "" = this is the last
	First   bool
	Narrow  bool        // something is searched for
	Check   *AuditCheck // nil = it was not verified just now
}

func (v *view) auditFilter(q url.Values) (f bellhop.AuditFilter, err error) {
	f = bellhop.AuditFilter{
		Principal: v.query("who"), Service: strings.ToLower(v.query("service")), Job: strings.ToLower(v.query("job")), Refused: q.Get("refused") != "", Limit: auditPageSize,
	}
	if f.Job != "" && f.Service == "" {
		return f, bellhop.Errorf(bellhop.Invalid, "a job is searched for in its service; name that, too")
	}
	if s := v.query("run"); s != "" {
		if f.Run, err = bellhop.ParseRunID(s); err != nil {
			return f, err
		}
	}
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if s := v.query(name); s != "" {
			if *to, err = v.timeOf(s); err != nil {
				return f, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; write a date such as 2026-01-31, or a time such as 2026-01-31T15:04", name, s)
			}
		}
	}
	if s := v.query("after"); s != "" {
		if f.After, err = strconv.ParseInt(s, 10, 64); err != nil || f.After < 0 {
			return f, bellhop.Errorf(bellhop.Invalid, "%.40q is no place in the trail; go there from its first page", s)
		}
	}
	return f, nil
}

func (h *Handler) audit(v *view) error {
	q := v.r.URL.Query()
	f, err := v.auditFilter(q)
	if err != nil {
		return err
	}
	d := auditData{Query: url.Values{}, First: f.After == 0}
	for _, name := range auditFilters {
		if q.Get(name) != "" {
			d.Query.Set(name, q.Get(name))
		}
	}
	d.Narrow = len(d.Query) > 0
	var next int64
	if d.Records, next, err = h.house.Audit(v.ctx(), v.person, f); err != nil {
		return err
	}
	if next != 0 {
		d.Next = auditPath(d.Query, "after", strconv.FormatInt(next, 10))
	}
	v.page.Still = true
	return v.show("Audit", auditPage(v.page, d))
}

// auditPath is the page with one thing of a query as it is told here.
func auditPath(q url.Values, name, value string) string {
	c := url.Values{}
	for n, v := range q {
		c[n] = v
	}
	if value == "" {
		c.Del(name)
	} else {
		c.Set(name, value)
	}
	if len(c) == 0 {
		return "/audit"
	}
	return "/audit?" + c.Encode()
}

// verify looks at all of the trail.
func (h *Handler) verify(v *view) error {
	check, err := h.house.Verify(v.ctx(), v.person)
	if err != nil {
		return err
	}
	if part(v.r) {
		v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return verified(check).Render(v.ctx(), v.w)
	}
	v.page.Still = true
	return v.show("Audit", verifiedPage(check))
}

// auditWho is who a record is about.
func auditWho(r bellhop.AuditRecord) string {
	switch {
	case r.Principal != "":
		return r.Principal
	case r.Identity != "":
		return r.Identity
	}
	return "the server"
}

// auditWhat is what was to be done, besides the service, job, arguments and
// run.
func auditWhat(r bellhop.AuditRecord) string { return strings.ReplaceAll(r.Action, "_", " ") }

// auditFrom is where it was asked for.
func auditFrom(r bellhop.AuditRecord) string {
	if r.Channel == "" {
		return r.Source
	}
	return r.Source + ":" + r.Channel
}

// checkTitle says how a trail was found.
func checkTitle(c AuditCheck) string {
	in := fmt.Sprintf("%s in %s", count(int(c.Records), "record"), count(c.Chains, "chain"))
	if len(c.Faults) == 0 {
		return "The trail is as it was written: " + in + ", none altered and none removed."
	}
	return fmt.Sprintf("The trail is not as it was written: %s, in %s.", count(len(c.Faults), "fault"), in)
}

// newestHeads are the ends of chains that are shown, newest first.
func newestHeads(c AuditCheck) []bellhop.AuditHead {
	heads := slices.Clone(c.Heads)
	slices.Reverse(heads)
	return heads[:min(len(heads), 5)]
}
