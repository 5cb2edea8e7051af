package engine

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
)

// Services returns the services of the active configuration with the jobs and
// commands that a person may use, with some arguments at least. Services of
// which nothing is left are not among them.
func (e *Engine) Services(ctx context.Context, p bellhop.Person) []bellhop.Service {
	cat := e.active.Load()
	var all []bellhop.Service
	for i := range cat.Services {
		s := cat.Services[i]
		s.Jobs = slices.DeleteFunc(slices.Clone(s.Jobs), func(j bellhop.Job) bool { return !e.SeesJob(ctx, p, s.Name, j.Name) })
		s.Entries = slices.DeleteFunc(slices.Clone(s.Entries), func(en bellhop.Entry) bool { return !e.Sees(ctx, p, s.Name, &en) })
		s.Schedules, s.Webhooks = nil, nil
		if len(s.Jobs)+len(s.Entries) > 0 {
			all = append(all, s)
		}
	}
	return all
}
