package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

type auditFlags struct {
	since, until, who, service, job, run string
	refused, json                        bool
	limit                                limitFlag
}

func (a *app) auditCommand() *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "audit [flags]",
		Short: "List who asked for what and what was decided, newest first",
		Long: "List who asked for what, whether it was allowed and by which rule, newest\n" +
			"first. For admins. Without a server, the store is read.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.audit(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.since, "since", "", "only since then: 2h, 3d, or a time such as 2026-01-31T15:04:05Z")
	c.Flags().StringVar(&f.until, "until", "", "only before then; as for --since")
	c.Flags().StringVar(&f.who, "who", "", "only of this principal: alice, ssh:guest")
	c.Flags().StringVar(&f.service, "service", "", "only about this service")
	c.Flags().StringVar(&f.job, "job", "", "only about this job; needs --service")
	c.Flags().StringVar(&f.run, "run", "", "only about this run")
	c.Flags().BoolVar(&f.refused, "refused", false, "only what was refused")
	f.limit = 50
	c.Flags().Var(&f.limit, "limit", "at most this many; 0 = all")
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Look whether any record was altered or removed",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context()) },
	}
	verify.DisableFlagsInUseLine = true
	c.AddCommand(verify)
	return c
}

func (f auditFlags) filter(now time.Time) (out bellhop.AuditFilter, err error) {
	out = bellhop.AuditFilter{Principal: f.who, Service: f.service, Job: f.job, Refused: f.refused}
	if f.job != "" && f.service == "" {
		return out, bellhop.Errorf(bellhop.Invalid, "--job needs --service: jobs of several services may have one name")
	}
	if out.Since, err = timeFlag("--since", f.since, now); err != nil {
		return out, err
	}
	if out.Until, err = timeFlag("--until", f.until, now); err != nil {
		return out, err
	}
	if f.run != "" {
		out.Run, err = bellhop.ParseRunID(f.run)
	}
	return out, err
}

// audit prints records page by page.
func (a *app) audit(ctx context.Context, f auditFlags) error {
	if _, err := f.filter(a.now()); err != nil {
		return err
	}
	r, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	filter, err := f.filter(a.now())
	if err != nil {
		return err
	}
	style, found := a.style(), false
	for left := int(f.limit); ; {
		if filter.Limit = pageOf; left > 0 {
			filter.Limit = min(left, pageOf)
		}
		page, err := r.auditPage(ctx, filter)
		if err != nil {
			return err
		}
		for i := range page.Records {
			line := style.AuditLine(page.Records[i])
			if f.json {
				raw, err := json.Marshal(page.Records[i])
				if err != nil {
					return err
				}
				line = string(chat.CleanJSON(raw))
			}
			if _, err := fmt.Fprintln(a.Out, line); err != nil {
				return err
			}
		}
		left -= len(page.Records)
		found = found || len(page.Records) > 0
		if filter.After = page.Next; page.Next == 0 || f.limit > 0 && left <= 0 {
			if !found && !f.json {
				a.tell("no record matches")
			}
			return nil
		}
	}
}

func (r *reader) auditPage(ctx context.Context, f bellhop.AuditFilter) (api.AuditPage, error) {
	switch {
	case r.client != nil:
		return r.client.Audit(ctx, f)
	case r.store == nil:
		return api.AuditPage{}, nil
	}
	recs, next, err := r.engine.Audited(ctx, r.person, f)
	return api.AuditPage{Records: recs, Next: next}, err
}

// maxHeads is how many ends of chains are shown.
const maxHeads = 5

// verify tells what is wrong with the trail; the exit status is 1 when
// anything is.
func (a *app) verify(ctx context.Context) error {
	r, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	check, err := r.verifyAudit(ctx)
	if err != nil {
		return err
	}
	for _, f := range check.Faults {
		if _, err := fmt.Fprintf(a.Out, "%s record %d: %s\n", chat.Clean(f.Chain), f.Seq, chat.Clean(f.What)); err != nil {
			return err
		}
	}
	if len(check.Faults) > 0 {
		a.tell("the audit trail is not as it was written: %s in %s", plural(len(check.Faults), "fault"), plural(check.Chains, "chain"))
		return exit(1)
	}
	slices.SortStableFunc(check.Heads, func(a, b bellhop.AuditHead) int { return b.At.Compare(a.At) })
	if more := len(check.Heads) - maxHeads; more > 0 {
		check.Heads = check.Heads[:maxHeads]
		defer a.tell("the ends of the newest %d chains are shown; %s", maxHeads, plural(more, "older one"))
	}
	for _, h := range check.Heads {
		if _, err := fmt.Fprintf(a.Out, "%s ends with record %d, %s\n", chat.Clean(h.Chain), h.Seq, h.Hash); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.Out, "ok: %s in %s, as they were written\n", plural(int(check.Records), "record"), plural(check.Chains, "chain"))
	return err
}

func (r *reader) verifyAudit(ctx context.Context) (api.AuditCheck, error) {
	switch {
	case r.client != nil:
		return r.client.VerifyAudit(ctx)
	case r.store == nil:
		return api.AuditCheck{}, nil
	}
	check, err := r.engine.VerifyAudit(ctx, r.person)
	return api.AuditCheck(check), err
}

// plural counts: 1 record, 2 records.
func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
