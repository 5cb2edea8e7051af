package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// reader reads runs, from the server when there is one, else from the store.
type reader struct {
	offline bool
	frozen  bool // offline: there is a server, and it does not answer
	client  *api.Client
	engine  *engine.Engine // offline
	store   *bellhop.Store // offline
	person  bellhop.Person
	others  []string // offline: the servers of the same store that run elsewhere
}

func (a *app) reader(ctx context.Context) (*reader, error) {
	c, err := a.client("ask")
	if err != nil {
		return nil, err
	}
	answers, err := c.Server(ctx)
	if err == nil {
		a.tellTimesAs(answers)
		return &reader{client: c}, nil
	}
	frozen := errors.Is(err, context.DeadlineExceeded)
	if err := noServer(err); bellhop.CodeOf(err) != bellhop.Unavailable {
		return nil, err
	}
	loaded, faults, err := server.Load(a.config)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, a.faulty(faults)
	}
	a.zone = loaded.Location
	r := &reader{offline: true, frozen: frozen, person: server.LocalPerson(os.Getuid())}
	if r.store, err = server.OpenForReading(ctx, loaded); err != nil || r.store == nil {
		return r, err // without a store, nothing was ever asked
	}
	if r.store.Shared {
		if r.others, err = r.store.Cluster.Alive(ctx); err != nil {
			r.Close()
			return nil, err
		}
	}
	hide, auditKey, err := server.Look(ctx, loaded, r.store)
	if err != nil {
		a.tell("the secrets can't be opened, so arguments and errors are hidden, lest they hold one: %v", err)
	}
	r.engine = engine.New(engine.Options{Store: r.store, Bus: &bus.Local{}, Mask: hide, AuditKey: auditKey})
	r.engine.Browse(loaded.WithStored(ctx, r.store).Catalog)
	return r, nil
}

// Close lets go of the server or the store.
func (r *reader) Close() {
	if r.client != nil {
		r.client.Close()
	}
	if r.store != nil {
		_ = r.store.Admin.Close()
	}
}

// words is the style in which is told what was read.
func (r *reader) words(s chat.Style) chat.Style {
	s.Offline = r.offline && !r.frozen
	s.Others = s.Offline && len(r.others) > 0
	return s
}

// missing says that nobody answers here. A server that was killed counts as
// alive for a while.
func (r *reader) missing() string {
	n := len(r.others)
	switch {
	case r.frozen:
		return "The server does not answer. In the store:"
	case n == 1:
		return "No server is running in this folder; `bellhop up` starts one. Another server\nof the store was alive lately: " + r.others[0] + ". In the store:"
	case n > 1:
		return fmt.Sprintf("No server is running in this folder; `bellhop up` starts one. %d other servers\nof the store were alive lately: %s. In the store:", n, strings.Join(r.others, ", "))
	case r.store != nil && r.store.Shared:
		return "No server of this store is running; `bellhop up` starts one. In the store:"
	}
	return "No server is running; `bellhop up` starts one. In the store:"
}

// pageOf is how many runs are read at a time.
const pageOf = 500

// EachRun calls fn with pages of runs, newest first, until there are no more
// or f.Limit is reached; 0 = all.
func (r *reader) EachRun(ctx context.Context, f bellhop.RunSearch, mine bool, fn func([]bellhop.Run) error) error {
	for left := f.Limit; ; {
		if f.Limit = pageOf; left > 0 {
			f.Limit = min(left, pageOf)
		}
		page, err := r.page(ctx, f, mine)
		if err != nil {
			return err
		}
		if err := fn(page.Runs); err != nil {
			return err
		}
		if left -= len(page.Runs); page.Next == 0 || left == 0 {
			return nil
		}
		f.Before = page.Next
	}
}

// page lists one page of runs, newest first.
func (r *reader) page(ctx context.Context, f bellhop.RunSearch, mine bool) (page bellhop.RunPage, err error) {
	switch {
	case r.client != nil:
		return r.client.Runs(ctx, f, mine)
	case r.store == nil:
		return page, nil
	}
	if mine {
		f.Principal = r.engine.Identify(r.person).Principal()
	}
	if f.Rare() {
		return r.engine.Search(ctx, r.person, f)
	}
	page.Runs, err = r.engine.Runs(ctx, r.person, f.RunFilter)
	if err == nil && len(page.Runs) == f.Limit {
		page.Next = page.Runs[len(page.Runs)-1].ID
	}
	return page, err
}

// Status tells what happens now; offline, what was happening.
func (r *reader) Status(ctx context.Context) (*bellhop.Status, error) {
	switch {
	case r.client != nil:
		return r.client.Status(ctx)
	case r.store == nil:
		return &bellhop.Status{}, nil
	}
	s, err := r.engine.Status(ctx, r.person)
	if err != nil {
		return nil, err
	}
	s.Config = nil // there is no server that could have another one
	return s, nil
}

// Output calls fn for each piece of a run's output.
func (r *reader) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	switch {
	case r.client != nil:
		return r.client.Output(ctx, id, follow, fn)
	case r.store == nil:
		return bellhop.Errorf(bellhop.NotFound, "there is no run %s: nothing was ever asked here", id)
	}
	return r.engine.ReadOutput(ctx, r.person, id, 0, 0, false, fn)
}

// unread tells the reports that no connection of this person has read.
func (a *app) unread(ctx context.Context, r *reader) error {
	if r.client == nil {
		return nil
	}
	first, to := true, a.streams().Outlets(a.style())
	return r.client.Unread(ctx, func(rep bellhop.Report) error {
		if first {
			first = false
			if _, err := fmt.Fprintln(a.Out, "\nNot read yet:"); err != nil {
				return err
			}
		}
		return chat.WriteAway(ctx, to, r.client, rep)
	})
}
