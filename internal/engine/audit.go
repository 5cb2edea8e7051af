package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// allow is the gate for an ask: a refusal is recorded before it is told.
func (e *Engine) allow(ctx context.Context, inv *ask, r request) (bellhop.Decision, error) {
	d := e.decide(ctx, inv.who, r)
	if err := refusal(d); err != nil {
		return d, e.refused(ctx, inv, d, err)
	}
	return d, nil
}

// beginAudit begins this server's chain, once.
func (e *Engine) beginAudit(ctx context.Context) error {
	if !e.audited || e.begun.Load() {
		return nil
	}
	if err := e.store.Audit.Begin(ctx, e.server, e.auditKey, e.clock.Now()); err != nil {
		return bellhop.Errorf(bellhop.CodeOf(err), "the audit trail can't be begun: %w", err)
	}
	e.begun.Store(true)
	return nil
}

// tellHead writes the end of this server's chain to the log, so that what is
// cut off from the store afterwards is missed.
func (e *Engine) tellHead(ctx context.Context) error {
	heads, err := e.store.Audit.Heads(ctx)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.Chain == e.server && h.Seq != e.toldHead {
			e.toldHead = h.Seq
			e.log.Info("the end of the audit trail", "chain", h.Chain, "seq", h.Seq, "hash", h.Hash)
		}
	}
	return nil
}

// requestOf is what an ask by one of the commands, or built in, is about.
func (e *Engine) requestOf(inv *ask) request {
	r := request{service: inv.Service, job: inv.Job, args: inv.Args}
	if inv.Entry != "" {
		r.entry = e.active.Load().entries[jobName{inv.Service, inv.Entry}]
	}
	return r
}

// refused records a refusal and returns it. One that can't be recorded is told
// all the same, and logged: nothing was done.
func (e *Engine) refused(ctx context.Context, inv *ask, d bellhop.Decision, err error) error {
	if bellhop.CodeOf(err) != bellhop.NotAllowed || !e.audited {
		return err
	}
	rec := e.recordOf(inv, d, e.clock.Now())
	rec.Allowed, rec.Detail = false, e.maskText(err.Error())
	args, left := brief(rec.Args)
	if rec.Args = args; left > 0 {
		rec.Detail += fmt.Sprintf(" (arguments left out: %d)", left)
	}
	if failed := e.store.Audit.Append(ctx, []bellhop.AuditRecord{*rec}); failed != nil {
		e.log.Error("a refusal could not be recorded", "action", rec.Action, "principal", rec.Principal, "service", rec.Service, "job", rec.Job, "error", failed)
	}
	return err
}

// What is kept of the arguments of what was refused: whoever may do nothing
// must not be able to fill a trail that is kept for good.
const (
	maxRefusedArgs = 20
	maxRefusedText = 200 // characters of each
)

// brief shortens arguments, and tells how many it left out.
func brief(args bellhop.Args) (short bellhop.Args, left int) {
	if args == nil {
		return nil, 0
	}
	short = bellhop.Args{}
	names := slices.Sorted(maps.Keys(args))
	for i, name := range names {
		if i == maxRefusedArgs {
			return short, len(names) - i
		}
		short[cut(name, maxRefusedText)] = briefValue(args[name])
	}
	return short, 0
}

// briefValue cuts a text, and of a list all of its words together.
func briefValue(v bellhop.Value) bellhop.Value {
	if !v.IsList() {
		return bellhop.Text(cut(v.Text, maxRefusedText))
	}
	words, room := []string{}, maxRefusedText
	for _, w := range v.List {
		if room <= 0 {
			words = append(words, "...")
			break
		}
		words = append(words, cut(w, room))
		room -= max(utf8.RuneCountInString(w), 1)
	}
	return bellhop.List(words...)
}

// cut returns the first characters of a text, with "..." behind when there are
// more.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i] + "..."
		}
	}
	return s
}

// note records what is allowed, before it is done: what can't be recorded is
// not done. (A submission carries its record with it.)
func (e *Engine) note(ctx context.Context, inv *ask, d bellhop.Decision) error {
	return e.Record(ctx, e.recordOf(inv, d, e.clock.Now()))
}

// Record writes a record of the audit trail; nil is none.
func (e *Engine) Record(ctx context.Context, rec *bellhop.AuditRecord) error {
	if !e.audited || rec == nil {
		return nil
	}
	if err := e.store.Audit.Append(ctx, []bellhop.AuditRecord{*rec}); err != nil {
		return notAccepted(err)
	}
	return nil
}

// recordOf is what the trail says of an ask; nil without a trail.
func (e *Engine) recordOf(inv *ask, d bellhop.Decision, now time.Time) *bellhop.AuditRecord {
	if !e.audited {
		return nil
	}
	source := inv.Origin.Source
	if source == "" {
		source = inv.who.Source()
	}
	rec := records.Get().(*bellhop.AuditRecord)
	*rec = bellhop.AuditRecord{
		At: now, Action: string(inv.Action), Principal: inv.who.Principal(), Identity: inv.who.Identity,
		Source: source, Channel: inv.who.Channel, Service: inv.Service, Job: inv.Job, Run: inv.Run, Args: e.maskArgs(inv.Args),
		Allowed: d.Allowed, Rule: placed(d), Detail: e.maskText(inv.Reason),
	}
	return rec
}

// records are those that nobody needs any more: a store has packed what goes
// with a submission when Submit returns.
var records = sync.Pool{New: func() any { return new(bellhop.AuditRecord) }}

// release gives back what recordOf gave.
func release(rec *bellhop.AuditRecord) {
	if rec != nil {
		*rec = bellhop.AuditRecord{}
		records.Put(rec)
	}
}

// Audited lists records of the trail, for admins.
func (e *Engine) Audited(ctx context.Context, p bellhop.Person, f bellhop.AuditFilter) ([]bellhop.AuditRecord, int64, error) {
	if err := e.MayManage(ctx, p, "audit"); err != nil {
		return nil, 0, err
	}
	return e.store.Audit.Records(ctx, f)
}

// AuditCheck is what was found when a trail was verified.
type AuditCheck struct {
	Records int64                `json:"records"`
	Chains  int                  `json:"chains"`
	Faults  []bellhop.AuditFault `json:"faults,omitempty"`
	Heads   []bellhop.AuditHead  `json:"heads,omitempty"`
}

// verifyPage is how many records are read at a time.
const verifyPage = 1000

// VerifyAudit looks at every record of the trail, for admins: whether it is as
// it was written, and whether any was removed.
func (e *Engine) VerifyAudit(ctx context.Context, p bellhop.Person) (AuditCheck, error) {
	if err := e.MayManage(ctx, p, "audit verify"); err != nil {
		return AuditCheck{}, err
	}
	if e.auditKey == nil {
		return AuditCheck{}, bellhop.Errorf(bellhop.Unavailable, "the trail can't be verified without its key")
	}
	heads, err := e.store.Audit.Heads(ctx)
	if err != nil {
		return AuditCheck{}, err
	}
	check := AuditCheck{Chains: len(heads), Heads: heads}
	v := bellhop.NewAuditVerifier(e.auditKey)
	for _, h := range slices.Backward(heads) { // newest first: what they note of the others is known when those are read
		f := bellhop.AuditFilter{Chain: h.Chain, Limit: verifyPage}
		for {
			recs, next, err := e.store.Audit.Records(ctx, f)
			if err != nil {
				return AuditCheck{}, err
			}
			for i := range recs {
				check.Records++
				if fault := v.Check(&recs[i]); fault != nil {
					check.Faults = append(check.Faults, *fault)
				}
			}
			if f.After = next; next == 0 {
				break
			}
		}
	}
	check.Faults = append(check.Faults, v.Missing()...)
	return check, nil
}
