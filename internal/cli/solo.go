package cli

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

const (
	// soloWait is how long an `ask` waits for whoever has the store to answer
	// on the control socket.
	soloWait = 10 * time.Second
	// soloPause is how long nobody may answer before an `ask` serves in the
	// place of another that has left: a server that takes over is faster.
	soloPause = 500 * time.Millisecond
)

// standby serves within an `ask` while there is no server: from the beginning,
// or when another `ask` that served this one has left. A server that goes away
// is waited for instead.
type standby struct {
	ctx    context.Context // of the ask
	a      *app
	client *api.Client

	mu   sync.Mutex
	solo bool     // who answers is an ask that serves itself, as far as is known
	ends []func() // what ends the servers of this process

	key  string // of what was asked
	text string

	open context.Context // until close
	shut context.CancelFunc
	busy sync.WaitGroup
}

func newStandby(ctx context.Context, a *app, c *api.Client, solo bool) *standby {
	s := &standby{ctx: ctx, a: a, client: c, solo: solo}
	s.open, s.shut = context.WithCancel(ctx)
	c.Lost, c.Back = s.lost, s.back
	return s
}

// asking is the client of an ask that knows what was asked.
type asking struct {
	*api.Client
	s *standby
}

// Ask hands over the line (chat.Desk). The first one is what was asked; others
// ask after its run.
func (d asking) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	d.s.mu.Lock()
	if d.s.key == "" {
		d.s.key, d.s.text = key, text
	}
	d.s.mu.Unlock()
	return d.Client.Ask(ctx, key, text)
}

// again asks once more, under the same key: an ask that serves itself works
// only what was asked through it, and it may not be the one that heard it.
func (s *standby) again() {
	s.mu.Lock()
	key, text := s.key, s.text
	s.mu.Unlock()
	if key != "" {
		_, _ = s.client.Ask(s.open, key, text)
	}
}

// close ends what serves in this process, once its clients are answered.
func (s *standby) close() {
	s.shut()
	s.busy.Wait()
	for _, end := range s.ends {
		end()
	}
}

// lost is called when nobody answers any more.
func (s *standby) lost() {
	s.mu.Lock()
	solo := s.solo
	s.mu.Unlock()
	if !solo {
		s.a.tell("the server went away; waiting for it to come back (Ctrl-C leaves; what was accepted stays accepted)")
		return
	}
	s.busy.Go(func() {
		select {
		case <-s.open.Done():
			return
		case <-time.After(soloPause):
		}
		if _, err := s.client.Server(s.open); err == nil {
			return
		}
		if err := s.serve(s.open); err != nil && s.open.Err() == nil {
			s.a.tell("%s; waiting for a server (Ctrl-C leaves; what was accepted stays accepted)", err)
		}
	})
}

// back is called when somebody answers again.
func (s *standby) back() {
	s.mu.Lock()
	was := s.solo
	s.mu.Unlock()
	if !was {
		s.a.tell("the server is back")
	}
	s.busy.Go(func() {
		if now, err := s.client.Server(s.open); err == nil {
			s.set(now.Solo)
			if now.Solo {
				s.again()
			}
		}
	})
}

func (s *standby) set(solo bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.solo = solo
}

// serve starts a server within this process that works what is asked through
// it, unless another process turns out to serve.
func (s *standby) serve(ctx context.Context) error {
	loaded, err := s.a.load()
	if err != nil {
		return err
	}
	outlivePipes()
	deadline := time.Now().Add(soloWait)
	for {
		srv := server.New(server.Options{Config: loaded, Version: version(), Log: s.a.quietLog(loaded), Solo: true})
		_, err := srv.Start(ctx)
		if err == nil {
			s.set(true)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ends = append(s.ends, s.ending(srv))
			return nil
		}
		if bellhop.CodeOf(err) != bellhop.Conflict || time.Now().After(deadline) {
			return err
		}
		// Somebody else has the store: a server that is starting or stopping,
		// or another ask. It answers soon, or lets go.
		if other, err := s.client.Server(ctx); err == nil {
			s.set(other.Solo)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ending returns what ends a server of this process: other clients are
// answered first, unless the ask was interrupted.
func (s *standby) ending(srv *server.Server) func() {
	gone := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-srv.Left(): // `up` takes over, and answers this process too
			srv.Stop(context.WithoutCancel(s.ctx), 0)
		case <-done:
		}
	}()
	return func() {
		srv.WaitClients(s.ctx)
		working := srv.Working()
		close(done)
		<-gone
		if errors.Is(s.ctx.Err(), context.Canceled) || errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
			for _, id := range working {
				s.a.tell("no server is running, so %s is interrupted; it runs again when one starts (bellhop up)", id)
			}
		}
		srv.Stop(context.WithoutCancel(s.ctx), 0)
	}
}
