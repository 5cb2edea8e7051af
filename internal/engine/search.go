package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

const (
	// maxArgPrefix is how long what is searched for may be, in bytes.
	maxArgPrefix = 1000
	// searchRounds is how often a store is searched for one page, when runs that
	// were found are not to be known.
	searchRounds = 4
)

// Search lists a page of runs, as far as the person may see them. By source and
// arguments those are found whose origin and arguments the person is shown: of
// jobs that they may have done, whatever the arguments; and what they asked for
// themselves (Principal is theirs). A secret in an argument is not found.
func (e *Engine) Search(ctx context.Context, p bellhop.Person, s bellhop.RunSearch) (page bellhop.RunPage, err error) {
	page.Runs = []bellhop.Run{}
	if len(s.Arg.Name)+len(s.Arg.Prefix) > maxArgPrefix {
		return page, bellhop.Errorf(bellhop.Invalid, "an argument of %d bytes is searched for; at most %d are looked at", len(s.Arg.Name)+len(s.Arg.Prefix), maxArgPrefix)
	}
	who := e.Identify(p)
	deep := s.Source != "" || !s.Arg.IsZero()
	if s.Within = p.Scope; deep && (s.Principal == "" || s.Principal != who.Principal()) {
		s.Within = e.open(ctx, who)
		if s.Within == "" {
			return page, nil
		}
	}
	of := s
	if deep {
		of.Limit = max(s.PageSize(), bellhop.RunPageSize)
	}
	for range searchRounds {
		got, err := e.store.Records.Search(ctx, of)
		if err != nil {
			return page, err
		}
		if err := e.explain(ctx, got.Runs); err != nil {
			return page, err
		}
		shown := slices.DeleteFunc(e.redact(ctx, p, got.Runs), func(r bellhop.Run) bool { return !s.Means(&r) })
		page.Next, of.Before, of.After = got.Next, got.Next, 0
		if s.After > 0 {
			page.Runs = append(shown, page.Runs...)
			of.Before, of.After = 0, got.Next
		} else {
			page.Runs = append(page.Runs, shown...)
		}
		if page.Next == 0 || len(page.Runs) >= s.PageSize() || len(shown) == len(got.Runs) {
			break
		}
	}
	if n := s.PageSize(); len(page.Runs) > n {
		if s.After > 0 {
			page.Runs = page.Runs[len(page.Runs)-n:]
			page.Next = page.Runs[0].ID
		} else {
			page.Runs = page.Runs[:n]
			page.Next = page.Runs[n-1].ID
		}
	}
	return page, nil
}

// open returns the jobs that somebody may have done whatever the arguments, as
// in Person.Scope; "" = there are none.
func (e *Engine) open(ctx context.Context, who bellhop.Principal) string {
	cat := e.active.Load()
	var all []string
	for i := range cat.Services {
		s := &cat.Services[i]
		for j := range s.Jobs {
			if e.decide(ctx, who, request{service: s.Name, job: s.Jobs[j].Name, many: true}).Allowed {
				all = append(all, s.Name+"/"+s.Jobs[j].Name)
			}
		}
	}
	return strings.Join(all, " ")
}
