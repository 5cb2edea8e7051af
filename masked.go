package bellhop

import (
	"encoding/json"
	"slices"
)

// Masked returns arguments with a function applied to each value.
func (a Args) Masked(mask func(string) string) Args {
	if a == nil {
		return nil
	}
	out := make(Args, len(a))
	for name, v := range a {
		v.Text = mask(v.Text)
		if v.List != nil {
			v.List = slices.Clone(v.List)
			for i := range v.List {
				v.List[i] = mask(v.List[i])
			}
		}
		out[name] = v
	}
	return out
}

// Masked returns a run with a function applied to what people or programs have
// put into it. It shares nothing of that with r, and what approves it is that of
// the run as it is.
func (r Run) Masked(mask func(string) string) Run {
	if r.Approval != nil {
		r.unmasked = r.ApprovalDigest()
	}
	r.Args, r.Error, r.Result = r.Args.Masked(mask), mask(r.Error), MaskedJSON(r.Result, mask)
	r.Warnings = slices.Clone(r.Warnings)
	for i := range r.Warnings {
		r.Warnings[i] = mask(r.Warnings[i])
	}
	if r.Wait != nil && r.Wait.Hold != nil {
		w, h := *r.Wait, r.Wait.Hold.Masked(mask)
		w.Hold = &h
		r.Wait = &w
	}
	if r.Approval != nil {
		a := *r.Approval
		a.Votes = slices.Clone(a.Votes)
		for i := range a.Votes {
			a.Votes[i].Reason = mask(a.Votes[i].Reason)
		}
		r.Approval = &a
	}
	return r
}

// Masked returns a hold with a function applied to its arguments.
func (h Hold) Masked(mask func(string) string) Hold {
	h.Args = h.Args.Masked(mask)
	return h
}

// MaskedJSON returns JSON with a function applied to its text. Where that
// leaves no JSON (a number is masked), it is a string.
func MaskedJSON(text json.RawMessage, mask func(string) string) json.RawMessage {
	masked := mask(string(text))
	if masked == string(text) {
		return text
	}
	if b := json.RawMessage(masked); json.Valid(b) {
		return b
	}
	b, _ := json.Marshal(masked) // a string is always JSON
	return b
}
