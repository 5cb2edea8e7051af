package transcript_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"github.com/bellhop-io/bellhop/internal/transcript"
)

// stored is a run in a real store with about size bytes of output in chunks as
// a runner makes them, read in pages as the engine reads them.
func stored(b *testing.B, size int) (transcript.Options, bellhop.RunID) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "bellhop.db")})
	must(err)
	b.Cleanup(func() { _ = s.Admin.Close() })
	j := storetest.Job()
	must(s.Definitions.PutDefinitions(b.Context(), []bellhop.Definition{{Digest: j.Digest(), Job: j}}))
	now := time.Now()
	_, err = s.Queue.Submit(b.Context(), []bellhop.Submission{{
		Now: now,
		Run: bellhop.RunSpec{Service: j.Service, Job: j.Name, Digest: j.Digest(), Start: now},
		Ask: bellhop.Ask{Principal: "alice", Identity: "ssh:alice", Key: "test", At: now},
	}})
	must(err)
	claimed, _, err := s.Queue.Claim(b.Context(), bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Hour})
	must(err)
	ref := bellhop.LeaseRef{Run: claimed[0].Run.ID, Lease: claimed[0].Lease}
	var text bytes.Buffer
	for n := 0; text.Len() < size; n++ {
		fmt.Fprintf(&text, "2026-11-28T12:00:00Z INFO step %d of many: something was done\n", n)
	}
	var chunks []bellhop.Chunk
	for all := text.Bytes(); len(all) > 0; {
		n := min(len(all), 64<<10)
		chunks = append(chunks, bellhop.Chunk{Seq: int64(len(chunks) + 1), Channel: bellhop.Stdout, Offset: int64(text.Len() - len(all)), At: now, Data: all[:n]})
		all = all[n:]
	}
	errs, err := s.Outputs.AppendOutput(b.Context(), []bellhop.OutputBatch{{Ref: ref, Attempt: 1, Chunks: chunks}})
	must(err)
	must(errs[0])
	return transcript.Options{
		Ended: func(context.Context, bellhop.RunID) (bool, error) { return true, nil },
		Read: func(ctx context.Context, id bellhop.RunID, attempt int, seq int64, _ bool, fn func(bellhop.Chunk) error) error {
			for {
				page, err := s.Outputs.Output(ctx, id, attempt, seq, 256<<10)
				if err != nil || len(page) == 0 {
					return err
				}
				for _, c := range page {
					if err := fn(c); err != nil {
						return err
					}
					attempt, seq = c.Attempt, c.Seq
				}
			}
		},
	}, ref.Run
}

// BenchmarkOutput is 100 MB of output in a real store.
func BenchmarkOutput(b *testing.B) {
	o, id := stored(b, 100<<20)
	kept := transcript.New(o)
	w, err := kept.Window(b.Context(), id, 1, 1)
	if err != nil {
		b.Fatal(err)
	}
	total := w.Total
	b.Run("index", func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var r *transcript.Reader
		for b.Loop() {
			r = transcript.New(o)
			if _, err := r.Window(b.Context(), id, 1, 200); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "B/index")
		b.ReportMetric(float64(total), "lines")
		runtime.KeepAlive(r)
	})
	b.Run("window", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, err := kept.Window(b.Context(), id, 1+n*7919%total, 200); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			for h := (&transcript.Hits{}); !h.Done; {
				if h, err = kept.Search(b.Context(), id, "nowhere", h.Next, false, 1); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("error", func(b *testing.B) {
		for b.Loop() {
			for h := (&transcript.Hits{}); !h.Done; {
				if h, err = kept.FirstError(b.Context(), id, h.Next); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
