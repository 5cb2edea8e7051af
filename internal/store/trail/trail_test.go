package trail_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
)

func key() []byte { return []byte(strings.Repeat("k", bellhop.AuditKeySize)) }

func newEnd(chain int64, id int64, data []byte) *trail.End {
	return trail.NewEnd(chain, bellhop.NewAuditChain("one", key()), id, data)
}

// pages writes n records, of runs that count upwards from 1, and begins a page
// where the end says so.
func pages(n int) (out []*trail.Page) {
	e := newEnd(3, 0, nil)
	for i := range n {
		r := bellhop.AuditRecord{At: time.UnixMicro(int64(1000 - i)), Action: bellhop.AuditStart, Principal: fmt.Sprint("p", i%3), Service: "s", Job: "j", Allowed: i != 2}
		if e.Add(trail.Prepare(&r), bellhop.RunID(i+1)) || i == n-1 {
			out = append(out, e.Take())
		}
	}
	return out
}

func TestPagesAreOneChain(t *testing.T) {
	all := pages(600)
	if len(all) < 3 {
		t.Fatalf("%d pages", len(all))
	}
	v, n := bellhop.NewAuditVerifier(key()), 0
	for i, p := range all {
		if i > 0 { // as after a restart, the next one goes on
			e := newEnd(3, all[i-1].ID, all[i-1].Data)
			if seq, _ := e.Last(); trail.ID(3, seq+1) != p.ID {
				t.Errorf("page %d ends with record %d, and the next one has id %d", i-1, seq, p.ID)
			}
		}
		for _, r := range trail.Decode("one", p.ID, p.Data) {
			n++
			if f := v.Check(&r); f != nil || r.Seq != int64(n) || r.Run != bellhop.RunID(n) {
				t.Fatalf("record %d: %+v, %+v", n, r, f)
			}
		}
		if trail.ChainOf(p.ID) != 3 || p.Late < p.Early {
			t.Errorf("page %d is %+v", i, p)
		}
	}
	if n != 600 {
		t.Errorf("%d records", n)
	}
}

func TestWhatAPageIsFoundBy(t *testing.T) {
	p := pages(5)[0]
	if want := []string{trail.RunKey(1), "js j", "pp0", "pp1", "pp2", "refused", "ss"}; !slices.Equal(p.Keys, want) {
		t.Errorf("keys are %q, want %q", p.Keys, want)
	}
	e := newEnd(1, 0, nil)
	for _, run := range []bellhop.RunID{500, 7, 0, 900, 501} {
		e.Add(trail.Prepare(&bellhop.AuditRecord{Allowed: true}), run)
	}
	if want, p := []string{trail.RunKey(7), trail.RunKey(500), trail.RunKey(900)}, e.Take(); !slices.Equal(p.Keys, want) {
		t.Errorf("runs that are far apart: %q, want %q", p.Keys, want)
	}
	if trail.RunKey(500) != trail.RunKey(501) {
		t.Error("a key for each run")
	}
	if e.Take() != nil {
		t.Error("an empty page was given")
	}
}

// TestEarlierPages: what was written before there were short records is read
// as it was.
func TestEarlierPages(t *testing.T) {
	chain, sum := bellhop.NewAuditChain("one", key()), bellhop.AuditSum{}
	data := append([]byte{}, sum[:]...)
	for i := range 3 {
		r := bellhop.AuditRecord{At: time.UnixMicro(int64(i)), Action: bellhop.AuditStart, Principal: "alice", Detail: fmt.Sprint(i)}
		said := r.Pack()
		sum = chain.Sum(sum, int64(i+1), 7, said)
		data = append(append(data, 7, byte(len(said))), said...)
		data = append(data, sum[:]...)
	}
	v := bellhop.NewAuditVerifier(key())
	recs := trail.Decode("one", trail.ID(1, 1), data)
	for i := range recs {
		if f := v.Check(&recs[i]); f != nil || recs[i].Detail != fmt.Sprint(i) || recs[i].Principal != "alice" {
			t.Errorf("record %d: %+v, %+v", i, recs[i], f)
		}
	}
	if len(recs) != 3 {
		t.Errorf("%d records", len(recs))
	}
}

// TestPagesAreSmall: what a record says as the one before is not kept again.
func TestPagesAreSmall(t *testing.T) {
	e := newEnd(1, 0, nil)
	for i := range 100 {
		e.Add(trail.Prepare(&bellhop.AuditRecord{
			At: time.UnixMicro(1e15 + int64(i)), Action: "run", Principal: "alice", Identity: "slack:T1/U1", Source: "slack", Channel: "C1",
			Service: "deploys", Job: "deploy", Rule: "bellhop.yaml:7", Allowed: true, Args: bellhop.Args{"name": bellhop.Text(fmt.Sprint("web-", i))},
		}), bellhop.RunID(i+1))
	}
	if p := e.Take(); len(p.Data) > 100*64 || len(trail.Decode("one", p.ID, p.Data)) != 100 {
		t.Errorf("100 records take %d bytes", len(p.Data))
	}
}

// TestKeysStandForPages: what a page is found by is not written again for those
// that follow, as long as it stands for them.
func TestKeysStandForPages(t *testing.T) {
	e := newEnd(1, 0, nil)
	for i := range 2*trail.Cover + 1 {
		e.Add(trail.Prepare(&bellhop.AuditRecord{Principal: "alice", Allowed: i != 3}), 0)
		e.Add(trail.Prepare(&bellhop.AuditRecord{Principal: "alice", Allowed: true}), 0)
		var want []string
		if i%trail.Cover == 0 {
			want = append(want, "palice")
		}
		if i == 3 {
			want = append(want, "refused")
		}
		if p := e.Take(); !slices.Equal(p.Keys, want) {
			t.Errorf("page %d is found by %q, want %q", i, p.Keys, want)
		}
	}
}

// TestDamageIsListed: from where a page can't be read, a record says so and
// does not verify.
func TestDamageIsListed(t *testing.T) {
	p := pages(3)[0]
	whole := len(trail.Decode("one", p.ID, p.Data))
	for cut := range p.Data {
		recs := trail.Decode("one", p.ID, p.Data[:cut])
		last := recs[len(recs)-1]
		// A page that ends where a record does is shorter, and nothing else.
		if damaged := last.Detail == bellhop.AuditDamaged; damaged != (last.Hash == "") || !damaged && len(recs) >= whole {
			t.Errorf("cut at %d: %d records, the last one is %+v", cut, len(recs), last)
		}
	}
	for i := range p.Data {
		bad := slices.Clone(p.Data)
		bad[i] ^= 1
		v, found := bellhop.NewAuditVerifier(key()), false
		recs := trail.Decode("one", p.ID, bad)
		for j := range recs {
			found = found || v.Check(&recs[j]) != nil
		}
		if !found {
			t.Errorf("a change of byte %d is not found", i)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(int64(1), pages(3)[0].Data)
	f.Add(int64(1)<<40|1, []byte{})
	f.Fuzz(func(t *testing.T, id int64, data []byte) {
		recs := trail.Decode("one", id, data)
		if len(recs) == 0 {
			t.Error("a page without a record")
		}
		for i := range recs {
			if recs[i].Seq != trail.SeqOf(id)+int64(i) {
				t.Errorf("record %d has number %d, the page %d", i, recs[i].Seq, trail.SeqOf(id))
			}
		}
	})
}
