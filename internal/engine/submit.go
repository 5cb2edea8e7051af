package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// submit writes a run for an invocation, or adds its ask to a waiting one.
func (e *Engine) submit(ctx context.Context, inv bellhop.Invocation) (*bellhop.Accepted, error) {
	cat := e.active.Load()
	job, digest, err := cat.job(inv.Service, inv.Job)
	if err != nil {
		return nil, err
	}
	if err := e.May(inv.Person, inv.Service); err != nil {
		return nil, err
	}
	now := e.clock.Now()
	spec := bellhop.RunSpec{
		Service: inv.Service, Job: inv.Job, Digest: digest, Args: inv.Args, Start: now.Add(inv.Delay),
		MergeKey:       mergeKey(digest, inv.Args),
		ConcurrencyKey: concurrencyKey(job, inv.Args),
		Concurrency:    job.Concurrency,
	}
	return e.write(ctx, inv, *job, spec)
}

// retry writes a new run with the arguments of an old one, under the job's
// present definition.
func (e *Engine) retry(ctx context.Context, inv bellhop.Invocation) (*bellhop.Accepted, error) {
	old, err := e.store.Records.Run(ctx, inv.Run)
	if err != nil {
		return nil, err
	}
	if err := e.May(inv.Person, old.Service); err != nil {
		return nil, err
	}
	if !old.State.Terminal() {
		return nil, bellhop.Errorf(bellhop.Conflict, "%s is %s: only a finished run can be retried", old.ID, old.State)
	}
	job, digest, err := e.active.Load().job(old.Service, old.Job)
	if err != nil {
		return nil, err
	}
	if digest != old.Digest { // the parameters may have changed since
		if old.Args, err = job.Bind(old.Args); err != nil {
			return nil, bellhop.Errorf(bellhop.Conflict, "%s can't be retried, since its job has changed: %w", old.ID, err)
		}
	}
	return e.write(ctx, inv, *job, bellhop.RunSpec{
		Service: old.Service, Job: old.Job, Digest: digest, Args: old.Args, Start: e.clock.Now(),
		ConcurrencyKey: concurrencyKey(job, old.Args),
		Concurrency:    job.Concurrency,
		RetryOf:        old.ID,
	})
}

func (e *Engine) write(ctx context.Context, inv bellhop.Invocation, job bellhop.Job, spec bellhop.RunSpec) (*bellhop.Accepted, error) {
	if err := checkKey(inv.Key); err != nil {
		return nil, err
	}
	now := e.clock.Now()
	done, err := e.store.Queue.Submit(ctx, []bellhop.Submission{{
		Run: spec,
		Ask: bellhop.Ask{Principal: inv.Person.Principal(), Identity: inv.Person.Identity, Key: inv.Key, Origin: inv.Origin, At: now},
		Now: now,
	}})
	if err != nil {
		return nil, notAccepted(err)
	}
	got := done[0]
	if got.How == bellhop.Repeated && got.Run == 0 {
		return nil, bellhop.Errorf(bellhop.Conflict, "the key of this request was used before, for something that was no run; use a new one")
	}
	e.mine(got.Run)
	e.bus.Publish(bellhop.TopicQueue)
	return &bellhop.Accepted{
		Run: got.Run, How: got.How, Start: got.Start, Behind: got.Behind, Ended: got.Ended,
		Job: spec.Service + " " + spec.Job, Rule: job.Report,
	}, nil
}

// notAccepted words a failure to write a request down: whoever asked must know
// that it is not.
func notAccepted(err error) error {
	code := bellhop.CodeOf(err)
	if code == bellhop.Internal {
		code = bellhop.Unavailable
	}
	return bellhop.Errorf(code, "not accepted: %w", err)
}

// job returns a job of the catalog with its digest.
func (c *catalog) job(service, name string) (*bellhop.Job, string, error) {
	if s, ok := c.Service(service); ok {
		if j, ok := s.Job(name); ok {
			return j, c.digests[service+"/"+name], nil
		}
	}
	return nil, "", bellhop.Errorf(bellhop.NotFound, "there is no job %s %s in the configuration (see: help)", service, name)
}

// mergeKey is equal for runs of the same definition and arguments.
func mergeKey(digest string, args bellhop.Args) string {
	b, err := json.Marshal(args)
	if err != nil {
		return "" // cannot be: Args are texts; and no merging is always right
	}
	sum := sha256.Sum256(append([]byte(digest), b...))
	return string(sum[:16])
}

// concurrencyKey is what a job's runs take turns by: the job itself, or the
// configured template, which jobs of one service may share.
func concurrencyKey(job *bellhop.Job, args bellhop.Args) string {
	if job.ConcurrencyKey == "" {
		return job.Service + "/" + job.Name
	}
	var pairs []string
	for name, v := range args {
		pairs = append(pairs, "{"+name+"}", v.String())
	}
	return job.Service + ":" + strings.NewReplacer(pairs...).Replace(job.ConcurrencyKey)
}
