package engine

import "github.com/bellhop-io/bellhop"

// This file hides secrets in what the engine tells. An argument may hold one
// that somebody typed: the job gets it, and nobody is shown it.

func (e *Engine) maskText(text string) string {
	if e.mask == nil {
		return text
	}
	return e.mask(text)
}

func (e *Engine) maskArgs(args bellhop.Args) bellhop.Args {
	if e.mask == nil {
		return args
	}
	return args.Masked(e.mask)
}

func (e *Engine) maskRuns(runs []bellhop.Run) {
	if e.mask == nil {
		return
	}
	for i := range runs {
		runs[i] = runs[i].Masked(e.mask)
	}
}

func (e *Engine) maskHolds(holds []bellhop.Hold) {
	if e.mask == nil {
		return
	}
	for i := range holds {
		holds[i] = holds[i].Masked(e.mask)
	}
}

// maskAnswer hides secrets in what an invocation came to. What was read from
// the store for it is its own; what memory shares is copied.
func (e *Engine) maskAnswer(a *bellhop.Answer) {
	if e.mask == nil {
		return
	}
	a.Holds = append([]bellhop.Hold(nil), a.Holds...)
	e.maskHolds(a.Holds)
	if a.Decided != nil {
		run := a.Decided.Masked(e.mask)
		a.Decided = &run
	}
	if a.Accepted != nil && a.Accepted.Hold != nil {
		accepted, hold := *a.Accepted, a.Accepted.Hold.Masked(e.mask)
		accepted.Hold = &hold
		a.Accepted = &accepted
	}
}
