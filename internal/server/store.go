package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// openStore opens the store and the bus that goes with it. It proves that no
// other server works with what this one owns alone: the file of an SQLite
// store, else the configuration's folder, where the processes of its runs are
// known by.
func (s *Server) openStore(ctx context.Context, cfg *Loaded) error {
	store, err := sqlite.Open(ctx, sqlite.Options{Path: cfg.Store.Path, Clock: s.clock, Log: s.log})
	if err != nil {
		return err
	}
	s.useStore(store)
	s.mark, s.bus = store.ID, &bus.Local{}
	return nil
}

func (s *Server) useStore(store *bellhop.Store) {
	s.store = faulty(store)
	s.onStop(func(context.Context) {
		if err := store.Admin.Close(); err != nil {
			s.log.Error("closing the store", "error", err)
		}
	})
}

// randomID returns 16 hex digits.
func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// serverName names this life of a server among those of a store: the machine,
// so that people know where to look, and something of its own.
func serverName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "-" + randomID()[:8]
}

// OpenForReading opens the store of a configuration without a server, to look
// at what the last one left. It returns nil when there is none yet.
func OpenForReading(ctx context.Context, cfg *Loaded) (*bellhop.Store, error) {
	if _, err := os.Stat(cfg.Store.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return sqlite.OpenReadOnly(ctx, sqlite.Options{Path: cfg.Store.Path})
}
