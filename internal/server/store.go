package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	pgbus "github.com/bellhop-io/bellhop/internal/bus/postgres"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/filelock"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// openStore opens the store and the bus that goes with it. It proves that no
// other server works with what this one owns alone: the file of an SQLite
// store, else the configuration's folder, where the processes of its runs are
// known by.
func (s *Server) openStore(ctx context.Context, cfg *Loaded) error {
	if cfg.Store.Kind != config.Postgres {
		store, err := sqlite.Open(ctx, sqlite.Options{Path: cfg.Store.Path, Clock: s.clock, Log: s.log})
		if err != nil {
			return err
		}
		s.useStore(store)
		s.mark, s.bus = store.ID, &bus.Local{}
		return nil
	}
	folder, err := s.ownFolder(cfg.Home)
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: cfg.Store.URL.Reveal(), Log: s.log})
	if err != nil {
		return err
	}
	s.useStore(store)
	// Another server of this store may run on this machine, out of another
	// folder: its processes carry another mark.
	s.mark = store.ID + "-" + folder
	shared, err := pgbus.New(ctx, pgbus.Options{URL: cfg.Store.URL.Reveal(), Local: &bus.Local{}, Log: s.log})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) { shared.Close() })
	s.bus = shared
	return nil
}

func (s *Server) useStore(store *bellhop.Store) {
	s.onStop(func(context.Context) {
		if err := store.Admin.Close(); err != nil {
			s.log.Error("closing the store", "error", err)
		}
	})
	s.store = s.measured(s.traced(faulty(store)))
}

// ownFolder makes this the one server of a configuration's folder until it
// stops, and returns the folder's id, which is made once.
func (s *Server) ownFolder(home string) (id string, err error) {
	folder := filepath.Join(home, ".bellhop")
	if err := privateFolder(folder); err != nil {
		return "", err
	}
	lock, err := filelock.Take(filepath.Join(folder, "server.lock"))
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		return "", bellhop.Errorf(bellhop.Conflict, "the folder %s is in use by another server (%s); stop that one first, or keep this configuration in a folder of its own", home, held)
	}
	if err != nil {
		return "", bellhop.Errorf(bellhop.Unavailable, "the folder %s can't be locked; look at its rights, and that its file system has locks: %w", folder, err)
	}
	s.onStop(func(context.Context) { lock.Release() })
	return folderID(filepath.Join(folder, "id"))
}

// folderID reads 16 hex digits from a file, or makes it.
func folderID(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(b))
		if _, err := hex.DecodeString(id); err == nil && len(id) == 16 {
			return id, nil
		}
		return "", bellhop.Errorf(bellhop.Invalid, "%s does not hold an id of 16 hex digits; remove it when no job of an earlier server is left, and start again", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := randomID()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", bellhop.Errorf(bellhop.Unavailable, "%s can't be written; look at the folder's rights: %w", path, err)
	}
	return id, nil
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
	if cfg.Store.Kind == config.Postgres {
		return postgres.Open(ctx, postgres.Options{URL: cfg.Store.URL.Reveal()})
	}
	if _, err := os.Stat(cfg.Store.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return sqlite.OpenReadOnly(ctx, sqlite.Options{Path: cfg.Store.Path})
}
