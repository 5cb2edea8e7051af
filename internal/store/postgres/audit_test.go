package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

func auditKey() []byte { return bytes.Repeat([]byte("k"), bellhop.AuditKeySize) }

func auditedSubmission(key string) bellhop.Submission {
	s := submission(key, "key", 0)
	s.Audit = &bellhop.AuditRecord{At: s.Now, Action: "run", Principal: "alice", Allowed: true, Detail: key}
	return s
}

// verify checks all chains, and returns how often each detail is there.
func verify(t *testing.T, s *bellhop.Store) map[string]int {
	t.Helper()
	heads, err := s.Audit.Heads(ctx)
	must(t, err)
	v, seen := bellhop.NewAuditVerifier(auditKey()), map[string]int{}
	for _, h := range heads {
		recs, next, err := s.Audit.Records(ctx, bellhop.AuditFilter{Chain: h.Chain, Limit: 100_000})
		must(t, err)
		if next != 0 {
			t.Errorf("chain %s has more records than were asked for", h.Chain)
		}
		for i := range recs {
			if fault := v.Check(&recs[i]); fault != nil {
				t.Errorf("%+v", *fault)
			}
			if recs[i].Action != bellhop.AuditStart {
				seen[recs[i].Detail]++
			}
		}
	}
	if faults := v.Missing(); len(faults) > 0 {
		t.Errorf("%+v", faults)
	}
	return seen
}

// TestLostAnswersOfCommitsRecordNothingTwice: every second commit is made, and
// the connection is cut before its answer.
func TestLostAnswersOfCommitsRecordNothingTwice(t *testing.T) {
	p := newProxy(t, pgtest.Start(t, "fsync=off"))
	s := withJob(t, open(t, p.url, nil))
	atomic.StoreInt64(&p.every, 2)
	must(t, s.Audit.Begin(ctx, "one", auditKey(), time.Now()))
	const all = 20
	for i := range all {
		_, err := s.Queue.Submit(ctx, []bellhop.Submission{auditedSubmission(fmt.Sprint("run", i))})
		must(t, err)
		must(t, s.Audit.Append(ctx, []bellhop.AuditRecord{{At: time.Now(), Action: "help", Detail: fmt.Sprint("help", i)}}))
		v, err := s.Values.Put(ctx, "n", "k", []byte{byte(i)}, 0, 0, time.Now())
		must(t, err)
		must(t, s.Values.Delete(ctx, "n", "k", v, time.Now()))
		must(t, s.Secrets.PutSecret(ctx, bellhop.SealedSecret{Name: "a", KeyID: fmt.Sprint(i)}))
		must(t, s.Secrets.RemoveSecret(ctx, "", "a"))
	}
	seen := verify(t, s)
	for i := range all {
		if run, help := seen[fmt.Sprint("run", i)], seen[fmt.Sprint("help", i)]; run != 1 || help != 1 {
			t.Errorf("run %d is recorded %d times, and help %d times", i, run, help)
		}
	}
	if p.lost.Load() < all {
		t.Errorf("only %d answers were lost: this test shows little", p.lost.Load())
	}
}

// TestServersThatAreCutForkNoChain: two servers record at the same time, while
// connections are cut. What was told as written is there; what was asked for
// again may be there twice.
func TestServersThatAreCutForkNoChain(t *testing.T) {
	address := pgtest.URL(t)
	var mu sync.Mutex
	told := map[string]int{}
	var work, cutter sync.WaitGroup
	stop, until := make(chan struct{}), time.Now().Add(within)
	for n := range 2 {
		s := withJob(t, open(t, address, nil))
		must(t, s.Audit.Begin(ctx, fmt.Sprint("server-", n), auditKey(), time.Now()))
		for c := range 6 {
			work.Go(func() {
				for i := 0; i < 40 && time.Now().Before(until); {
					key := fmt.Sprint(n, " ", c, " ", i)
					err := record(s, c, key)
					if err == nil {
						mu.Lock()
						told[key]++
						mu.Unlock()
						i++
					} else if bellhop.CodeOf(err) != bellhop.Unavailable {
						t.Errorf("recording: %v (%v)", err, errors.Unwrap(err))
						return
					}
				}
			})
		}
	}
	cutter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			pgtest.Exec(t, address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bellhop' AND datname = current_database() AND random() < 0.1")
		}
	})
	work.Wait()
	close(stop)
	cutter.Wait()
	seen := verify(t, open(t, address, nil))
	for key := range told {
		if seen[key] == 0 {
			t.Errorf("%s was told as written, and is not there", key)
		}
	}
	if len(told) < 2*6*40 {
		t.Errorf("only %d were written in time", len(told))
	}
}

// TestATrailThatIsCutUnderALiveServerHasAGap: the server does not go on where
// the rest ends, also when it reads the end anew.
func TestATrailThatIsCutUnderALiveServerHasAGap(t *testing.T) {
	address := migrated(t)
	s := open(t, address, nil)
	must(t, s.Audit.Begin(ctx, "one", auditKey(), time.Now()))
	one := []bellhop.AuditRecord{{At: time.Now(), Action: "run"}}
	for range 3 {
		must(t, s.Audit.Append(ctx, one))
	}
	pgtest.Exec(t, address, `DELETE FROM bellhop.audit WHERE seq > 2`)
	postgres.ForgetEnd(s)
	must(t, s.Audit.Append(ctx, one))
	must(t, s.Audit.Append(ctx, one))
	recs, _, err := s.Audit.Records(ctx, bellhop.AuditFilter{Chain: "one"})
	must(t, err)
	v := bellhop.NewAuditVerifier(auditKey())
	var faults []bellhop.AuditFault
	for i := range recs {
		if f := v.Check(&recs[i]); f != nil {
			faults = append(faults, *f)
		}
	}
	if len(recs) != 4 || len(faults) != 1 || faults[0].Seq != 5 || faults[0].What != "records 3 to 4 were removed before it" {
		t.Errorf("%d records, faults are %+v", len(recs), faults)
	}
}

// record appends, or submits, which leaves one record however often it is made.
func record(s *bellhop.Store, caller int, key string) error {
	if caller%2 == 0 {
		return s.Audit.Append(ctx, []bellhop.AuditRecord{{At: time.Now(), Action: "help", Detail: key}})
	}
	_, err := s.Queue.Submit(ctx, []bellhop.Submission{auditedSubmission(key)})
	return err
}
