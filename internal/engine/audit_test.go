package engine_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// regrown is a trail of which one chain is replaced by that of another store.
type regrown struct {
	bellhop.Audit
	chain string
	with  bellhop.Audit
}

func (r regrown) Records(ctx context.Context, f bellhop.AuditFilter) ([]bellhop.AuditRecord, int64, error) {
	if f.Chain == r.chain {
		return r.with.Records(ctx, f)
	}
	return r.Audit.Records(ctx, f)
}

// TestATailThatWasCutAndGrewAgainIsFound: the chain is whole, and longer than
// before, but a later one has noted another record in it.
func TestATailThatWasCutAndGrewAgainIsFound(t *testing.T) {
	ctx, key, began := t.Context(), make([]byte, bellhop.AuditKeySize), time.Now()
	open := func(name, chain string, details ...string) *bellhop.Store {
		t.Helper()
		s, err := sqlite.Open(ctx, sqlite.Options{Path: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Admin.Close() })
		if err := s.Audit.Begin(ctx, chain, key, began); err != nil {
			t.Fatal(err)
		}
		for _, detail := range details {
			if err := s.Audit.Append(ctx, []bellhop.AuditRecord{{At: began, Action: "run", Detail: detail}}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	path := filepath.Join(t.TempDir(), "bellhop.db")
	_ = open(path, "one", "a", "what nobody is to know", "c").Admin.Close()
	s := open(path, "two")
	faults := func(trail bellhop.Audit) string {
		t.Helper()
		store := *s
		store.Audit = trail
		e := engine.New(engine.Options{Store: &store, Bus: &bus.Local{}, AuditKey: key})
		check, err := e.VerifyAudit(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, f := range check.Faults {
			told = append(told, f.Chain+": "+f.What)
		}
		return strings.Join(told, "; ")
	}
	if got := faults(s.Audit); got != "" {
		t.Errorf("as it was written: %s", got)
	}
	for want, details := range map[string][]string{
		"one: it is not the record that two noted":                       {"a", "b", "c", "d", "e"},
		"one: record 4 was removed from its end, which two noted":        {"a", "b"},
		"one: records 2 to 4 were removed from its end, which two noted": {},
	} {
		other := open(filepath.Join(t.TempDir(), "other.db"), "one", details...)
		if got := faults(regrown{s.Audit, "one", other.Audit}); got != want {
			t.Errorf("with %q: %q, want %q", details, got, want)
		}
	}
}
