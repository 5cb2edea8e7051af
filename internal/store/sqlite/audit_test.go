package sqlite_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

func auditKey() []byte { return bytes.Repeat([]byte("k"), bellhop.AuditKeySize) }

// verify reads all chains, and returns how many records there are and all that
// is wrong with them.
func verify(t *testing.T, s *bellhop.Store) (n int, faults []bellhop.AuditFault) {
	t.Helper()
	heads, err := s.Audit.Heads(ctx)
	must(t, err)
	v := bellhop.NewAuditVerifier(auditKey())
	for _, h := range heads {
		recs, _, err := s.Audit.Records(ctx, bellhop.AuditFilter{Chain: h.Chain, Limit: 100_000})
		must(t, err)
		n += len(recs)
		for i := range recs {
			if f := v.Check(&recs[i]); f != nil {
				faults = append(faults, *f)
			}
		}
	}
	return n, append(faults, v.Missing()...)
}

// TestWhoeverWritesInTheFileIsFound: with all of the file at hand, but for the
// key.
func TestWhoeverWritesInTheFileIsFound(t *testing.T) {
	const pageOf3 = `(SELECT id FROM audit WHERE id <= (1 << 40 | 3) ORDER BY id DESC LIMIT 1)`
	for name, c := range map[string]struct{ sql, want string }{
		"nothing":                            {`SELECT 1`, ""},
		"one name for another":               {`UPDATE audit SET data = CAST(replace(CAST(data AS TEXT), 'user2', 'user9') AS BLOB) WHERE id = ` + pageOf3, "one 3 it was altered"},
		"a page removed":                     {`DELETE FROM audit WHERE id = ` + pageOf3, "one 4 record 3 was removed"},
		"the end removed":                    {`DELETE FROM audit WHERE id BETWEEN (1 << 40 | 4) AND (1 << 40 | 100)`, "one 5 records 4 to 5 were removed from its end"},
		"a chain removed":                    {`DELETE FROM audit WHERE id < 2 << 40`, "one 5 the chain is not there"},
		"a chain removed with its name":      {`DELETE FROM audit_chain WHERE id = 1`, "one 5 the chain is not there"},
		"a page cut":                         {`UPDATE audit SET data = substr(data, 1, length(data) - 1) WHERE id = ` + pageOf3, "one 3 it "},
		"a page emptied":                     {`UPDATE audit SET data = x'' WHERE id = ` + pageOf3, "one 3 it "},
		"a page moved to another place":      {`UPDATE audit SET id = 1 << 40 | 50 WHERE id = ` + pageOf3, "one 4 record 3 was removed"},
		"a chain with the name of another":   {`UPDATE audit_chain SET name = 'three' WHERE id = 1`, "three 1 it was altered"},
		"what finds it, which proves little": {`DELETE FROM audit_key`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			for _, chain := range []string{"one", "two"} {
				s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
				must(t, err)
				must(t, s.Audit.Begin(ctx, chain, auditKey(), time.Now()))
				for i := range 4 {
					must(t, s.Audit.Append(ctx, []bellhop.AuditRecord{{At: time.Now(), Action: "run", Principal: fmt.Sprint("user", i+1)}}))
				}
				must(t, s.Admin.Close())
			}
			execSQL(t, path, c.sql)
			_, faults := verify(t, open(t, path, nil))
			switch {
			case c.want == "" && len(faults) == 0:
			case len(faults) == 0:
				t.Error("nothing is found")
			default:
				if text := fmt.Sprintf("%s %d %s", faults[0].Chain, faults[0].Seq, faults[0].What); c.want == "" || !strings.HasPrefix(text, c.want) {
					t.Errorf("found is %s, want %s", text, c.want)
				}
			}
		})
	}
}

// TestATrailThatIsCutUnderALiveServerHasAGap: the server does not go on where
// the rest ends, also when it reads the end anew.
func TestATrailThatIsCutUnderALiveServerHasAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	must(t, s.Audit.Begin(ctx, "one", auditKey(), time.Now()))
	for range 3 {
		must(t, s.Audit.Append(ctx, []bellhop.AuditRecord{{Action: "run"}}))
	}
	execSQL(t, path, `DELETE FROM audit WHERE id > 1 << 40 | 2`)
	sqlite.Undone(s, bellhop.ClaimRequest{}, nil)
	must(t, s.Audit.Append(ctx, []bellhop.AuditRecord{{Action: "run"}}))
	if _, faults := verify(t, s); len(faults) != 1 || faults[0].Seq != 5 || !strings.HasPrefix(faults[0].What, "records 3 to 4 were removed") {
		t.Errorf("faults are %+v", faults)
	}
}

// TestTheAuditIsReadWithoutAServer, by a reader beside it.
func TestTheAuditIsReadWithoutAServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	must(t, s.Audit.Begin(ctx, "one", auditKey(), time.Now()))
	sub := hello("k")
	sub.Audit = &bellhop.AuditRecord{At: time.Now(), Action: "run", Principal: "alice", Allowed: true}
	_, err := s.Queue.Submit(ctx, []bellhop.Submission{sub})
	must(t, err)
	r, err := sqlite.OpenReadOnly(ctx, sqlite.Options{Path: path})
	must(t, err)
	defer func() { must(t, r.Admin.Close()) }()
	if n, faults := verify(t, r); n != 2 || len(faults) > 0 {
		t.Errorf("%d records, faults %+v", n, faults)
	}
	for what, err := range map[string]error{
		"begins": r.Audit.Begin(ctx, "two", auditKey(), time.Now()), "records": r.Audit.Append(ctx, []bellhop.AuditRecord{{}}),
		"sets": r.Secrets.PutSecret(ctx, bellhop.SealedSecret{}), "removes": r.Values.Delete(ctx, "n", "k", -1, time.Now()),
	} {
		if bellhop.CodeOf(err) != bellhop.Unavailable {
			t.Errorf("it %s: %v", what, err)
		}
	}
}

// TestEarlierPagesAreFoundByTheirRuns: those that were written before there
// were keys for bands of runs.
func TestEarlierPagesAreFoundByTheirRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	must(t, s.Audit.Begin(ctx, "one", auditKey(), time.Now()))
	for _, run := range []bellhop.RunID{500, 501, 7} {
		must(t, s.Audit.Append(ctx, []bellhop.AuditRecord{{Action: "retry", Run: run, Allowed: true}}))
	}
	execSQL(t, path, `DELETE FROM audit_key`)
	find := func() (n []int) {
		for _, run := range []bellhop.RunID{500, 501, 7, 8} {
			recs, _, err := s.Audit.Records(ctx, bellhop.AuditFilter{Run: run})
			must(t, err)
			n = append(n, len(recs))
		}
		return n
	}
	if n := find(); !slices.Equal(n, []int{0, 0, 0, 0}) {
		t.Fatalf("found without anything to find them by: %v", n)
	}
	execSQL(t, path, `UPDATE audit SET low = 500, high = 501 WHERE id IN (1 << 40 | 2, 1 << 40 | 3)`)
	execSQL(t, path, `INSERT INTO audit_key (key, page) VALUES ('r7', 1 << 40 | 4)`)
	if n := find(); !slices.Equal(n, []int{1, 1, 1, 0}) {
		t.Errorf("found %v", n)
	}
}
