package engine

import (
	"context"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// reveal returns the values of the secrets that a claimed run's job names, and
// no others. Without ok the run is not to be handed out: it has ended as not
// started, or its lease runs out.
func (e *Engine) reveal(ctx context.Context, ref bellhop.LeaseRef, job *bellhop.Job) (values map[string]string, ok bool) {
	names := job.SecretNames()
	if len(names) == 0 {
		return nil, true
	}
	err := error(bellhop.Errorf(bellhop.Invalid, "its secrets can't be read here"))
	if e.vault != nil {
		if values, err = e.vault.Reveal(ctx, names); err == nil {
			return values, true
		}
	}
	if ctx.Err() != nil || bellhop.CodeOf(err) == bellhop.Unavailable {
		e.log.Warn("a claimed run's secrets can't be read now", "run", ref.Run, "error", err)
		return nil, false // as when its definition can't be: it is claimed again
	}
	e.log.Error("a claimed run's secrets can't be read", "run", ref.Run, "error", err)
	if err := e.Finish(ctx, ref, bellhop.Outcome{End: bellhop.EndNotStarted, Error: err.Error()}, nil); err != nil {
		e.log.Error("a run that has no secrets could not be ended", "run", ref.Run, "error", err)
	}
	return nil, false
}

// noteReveals records which of the claimed runs are given secrets. What can't
// be recorded is not handed out: its lease runs out.
func (e *Engine) noteReveals(ctx context.Context, claims []bellhop.Claim) []bellhop.Claim {
	if !e.audited {
		return claims
	}
	var recs []bellhop.AuditRecord
	var without []bellhop.Claim
	for _, c := range claims {
		t := &c.Task
		if len(t.Secrets) == 0 {
			without = append(without, c)
			continue
		}
		recs = append(recs, bellhop.AuditRecord{
			At: e.clock.Now(), Action: bellhop.AuditReveal, Principal: t.Principal, Service: t.Job.Service, Job: t.Job.Name, Run: t.Run,
			Allowed: true, Rule: "env of job " + t.Job.Service + " " + t.Job.Name, Detail: strings.Join(t.Job.SecretNames(), ", "),
		})
	}
	if len(recs) == 0 {
		return claims
	}
	if err := e.store.Audit.Append(ctx, recs); err != nil {
		e.log.Error("that runs are given secrets could not be recorded, so they are not", "runs", len(recs), "error", err)
		return without
	}
	return claims
}
