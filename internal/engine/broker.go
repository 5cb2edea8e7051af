package engine

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// Brokers returns those of the active configuration.
func (e *Engine) Brokers() (all []bellhop.Broker) {
	cat := e.active.Load()
	for i := range cat.Services {
		all = append(all, cat.Services[i].Brokers...)
	}
	return all
}

// Take asks for the runs that a broker's messages want, of which each has a key
// and arguments that are not checked yet. They are written in one change and
// in their order, so that runs are in the order of the messages. There is an
// error for each; nil says that its run is written, now or before under the
// same key.
func (e *Engine) Take(ctx context.Context, b *bellhop.Broker, wants []bellhop.Invocation) []error {
	faults := make([]error, len(wants))
	var subs []bellhop.Submission
	var at []int // which of wants each is
	for i := range wants {
		sub, err := e.taken(ctx, b, wants[i])
		if err != nil {
			faults[i] = err
			continue
		}
		subs, at = append(subs, sub), append(at, i)
	}
	if len(subs) == 0 {
		return faults
	}
	done, err := e.store.Queue.Submit(ctx, subs)
	for n, i := range at {
		if err != nil {
			faults[i] = notAccepted(err)
			continue
		}
		faults[i] = e.submitted(ctx, done[n])
	}
	if err == nil {
		e.bus.Publish(bellhop.TopicQueue)
	}
	return faults
}

func (e *Engine) taken(ctx context.Context, b *bellhop.Broker, want bellhop.Invocation) (bellhop.Submission, error) {
	want.Delay, want.OnRepeat = b.Delay, b.OnRepeat
	inv, err := e.called(b.Principal(), b.Service, b.Job, b.ReportTo, want)
	if err != nil {
		return bellhop.Submission{}, err
	}
	a := &ask{Invocation: &inv, who: e.Identify(inv.Person)}
	inv.Person = a.who.Person
	o, spec, d, err := e.wanted(ctx, a)
	if err != nil {
		return bellhop.Submission{}, err
	}
	return e.submission(a, o, spec, d)
}
