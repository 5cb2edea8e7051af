package shell

import (
	"context"
	"sync"

	"github.com/bellhop-io/bellhop/internal/proc"
)

// sweeper ends, some time after runs have ended, what left their groups
// unnoticed. It looks only for runs that were handed to it, so it can't end
// what another part of the server or another server runs.
type sweeper struct {
	opt Options
	wg  sync.WaitGroup

	mu     sync.Mutex
	wanted map[proc.Mark]bool // ended since the last sweep
	going  bool               // a goroutine waits or sweeps
	closed chan struct{}
	shut   bool
}

func newSweeper(o Options) *sweeper {
	return &sweeper{opt: o, wanted: map[proc.Mark]bool{}, closed: make(chan struct{})}
}

// ended has the processes of a run looked for, SweepAfter from now or earlier.
func (s *sweeper) ended(m proc.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted[m] = true
	if !s.going && !s.shut {
		s.going = true
		s.wg.Go(s.loop)
	}
}

func (s *sweeper) loop() {
	for {
		timer, stop := s.opt.Clock.NewTimer(s.opt.SweepAfter)
		select {
		case <-timer:
		case <-s.closed:
		}
		stop()
		s.mu.Lock()
		wanted := s.wanted
		if len(wanted) == 0 || s.shut {
			s.going = false
			s.mu.Unlock()
			return
		}
		s.wanted = map[proc.Mark]bool{}
		s.mu.Unlock()
		s.sweep(wanted)
	}
}

// sweep ends processes of the wanted runs until none is left.
func (s *sweeper) sweep(wanted map[proc.Mark]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	found, err := proc.Find(proc.Mark{Store: s.opt.StoreID, Instance: s.opt.Instance})
	if err != nil {
		s.opt.Log.Warn("looking for processes that left their run's group", "error", err)
		return
	}
	for _, p := range found {
		if !wanted[p.Mark] {
			continue
		}
		delete(wanted, p.Mark) // once per run is enough: KillAll takes all of it
		n, err := proc.KillAll(ctx, p.Mark)
		s.opt.Log.Info("ended processes that had left their run's group", "run", p.Mark.Run, "processes", n, "error", err)
	}
}

// close sweeps a last time.
func (s *sweeper) close() {
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		return
	}
	s.shut = true
	close(s.closed)
	s.mu.Unlock()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wanted) > 0 {
		s.sweep(s.wanted)
		clear(s.wanted)
	}
}
