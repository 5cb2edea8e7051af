package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
)

// voteBody may be left out.
type voteBody struct {
	Reason string `json:"reason,omitempty"`
	Digest string `json:"digest,omitempty"` // of what is decided of; "" = whatever the run is
}

// vote serves what approves and denies.
func (h *Handler) vote(action bellhop.Action) endpoint {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		id, err := bellhop.ParseRunID(r.PathValue("id"))
		if err != nil {
			return err
		}
		var body voteBody
		if r.ContentLength != 0 {
			if body, err = readBody[voteBody](r); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		return h.do(w, r, c, bellhop.Invocation{Action: action, Run: id, Reason: body.Reason, Digest: body.Digest})
	}
}

// explain serves whether a line would be allowed.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, c caller) error {
	q := r.URL.Query()
	if q.Get("text") == "" {
		return bellhop.Errorf(bellhop.Invalid, "text is missing: what would be asked")
	}
	return h.do(w, r, c, bellhop.Invocation{Action: bellhop.ActionWhy, Text: q.Get("text"), As: q.Get("as")})
}

// AuditPage is one page of the audit trail, newest first.
type AuditPage struct {
	Records []bellhop.AuditRecord `json:"records"`
	// Next is what `after` takes for the next page; 0 = this is the last.
	Next int64 `json:"next,omitempty"`
}

func (h *Handler) audit(w http.ResponseWriter, r *http.Request, c caller) error {
	f, err := parseAudit(r.URL.Query())
	if err != nil {
		return err
	}
	recs, next, err := h.front.Audit(r.Context(), c.person, f)
	if err != nil {
		return err
	}
	return reply(w, AuditPage{Records: append([]bellhop.AuditRecord{}, recs...), Next: next})
}

// parseAudit reads the query of a page of the trail.
func parseAudit(q url.Values) (f bellhop.AuditFilter, err error) {
	f.Principal, f.Service, f.Job, f.Chain = q.Get("who"), q.Get("service"), q.Get("job"), q.Get("chain")
	f.Refused = q.Get("refused") == "true"
	for _, at := range []struct {
		name string
		to   *time.Time
	}{{"since", &f.Since}, {"until", &f.Until}} {
		if s := q.Get(at.name); s != "" {
			if *at.to, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return f, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it takes a time such as 2026-01-31T15:04:05Z", at.name, s)
			}
		}
	}
	if s := q.Get("run"); s != "" {
		if f.Run, err = bellhop.ParseRunID(s); err != nil {
			return f, err
		}
	}
	if s := q.Get("after"); s != "" {
		if f.After, err = strconv.ParseInt(s, 10, 64); err != nil || f.After < 0 {
			return f, bellhop.Errorf(bellhop.Invalid, "after is %.40q; it takes what the page before called next", s)
		}
	}
	f.Limit = maxPage
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit < 1 || f.Limit > maxPage {
			return f, bellhop.Errorf(bellhop.Invalid, "limit is %.40q; it takes a number from 1 to %d", s, maxPage)
		}
	}
	return f, nil
}

func (h *Handler) verify(w http.ResponseWriter, r *http.Request, c caller) error {
	check, err := h.front.VerifyAudit(r.Context(), c.person)
	if err != nil {
		return err
	}
	return reply(w, check)
}

// AuditCheck is what was found when the trail was verified.
type AuditCheck struct {
	Records int64                `json:"records"`
	Chains  int                  `json:"chains"`
	Faults  []bellhop.AuditFault `json:"faults,omitempty"`
	Heads   []bellhop.AuditHead  `json:"heads,omitempty"`
}

// Vote approves or denies a held run, as the action says.
func (c *Client) Vote(ctx context.Context, action bellhop.Action, id bellhop.RunID, reason string) (bellhop.Answer, error) {
	a, err := patiently[answer](ctx, c, "POST", "/v1/runs/"+id.String()+"/"+string(action), keyed(NewKey()), voteBody{Reason: reason})
	return a.back(), err
}

// Explain tells whether a line would be allowed; as "" is oneself.
func (c *Client) Explain(ctx context.Context, text, as string) (bellhop.Answer, error) {
	q := url.Values{"text": {text}}
	if as != "" {
		q.Set("as", as)
	}
	a, err := reading[answer](ctx, c, "/v1/why?"+q.Encode())
	return a.back(), err
}

// Audit returns a page of the audit trail.
func (c *Client) Audit(ctx context.Context, f bellhop.AuditFilter) (AuditPage, error) {
	q := url.Values{}
	for name, v := range map[string]string{"who": f.Principal, "service": f.Service, "job": f.Job, "chain": f.Chain} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			q.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	if f.Run != 0 {
		q.Set("run", f.Run.String())
	}
	if f.Refused {
		q.Set("refused", "true")
	}
	if f.After != 0 {
		q.Set("after", strconv.FormatInt(f.After, 10))
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return reading[AuditPage](ctx, c, "/v1/audit?"+q.Encode())
}

// VerifyAudit verifies the audit trail.
func (c *Client) VerifyAudit(ctx context.Context) (AuditCheck, error) {
	return reading[AuditCheck](ctx, c, "/v1/audit/verify")
}
