package bellhop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// chainOf makes a chain as a store does.
func chainOf(name string, n int, others ...bellhop.AuditHead) []bellhop.AuditRecord {
	recs := []bellhop.AuditRecord{bellhop.AuditStartRecord(fullAudit().At, others)}
	for i := 1; i < n; i++ {
		recs = append(recs, bellhop.AuditRecord{At: fullAudit().At, Action: "run", Detail: fmt.Sprint(i)})
	}
	return sealed(name, recs)
}

func sealed(name string, recs []bellhop.AuditRecord) []bellhop.AuditRecord {
	before := prev()
	for i := range recs {
		r := &recs[i]
		r.Chain, r.Seq, r.Prev = name, int64(i)+1, before
		r.Hash = r.Sum(auditKey(), before)
		before = r.Hash
	}
	return recs
}

func headOf(recs []bellhop.AuditRecord) bellhop.AuditHead {
	last := recs[len(recs)-1]
	return bellhop.AuditHead{Chain: last.Chain, Seq: last.Seq, Hash: last.Hash}
}

func TestAVerifierFindsWhatWasDone(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(recs []bellhop.AuditRecord) []bellhop.AuditRecord
		seq  int64 // of the fault; 0 = none
		what string
	}{
		"nothing": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { return r }, 0, ""},
		"altered": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { r[3].Principal = "bob"; return r }, 4, "altered"},
		"altered with its hash": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord {
			r[3].Hash = r[2].Hash
			return r
		}, 4, "altered"},
		"altered and linked again without the key": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord {
			r[3].Detail = "x"
			r[3].Hash = r[3].Sum([]byte("guess"), r[3].Prev)
			r[4].Prev = r[3].Hash
			return r
		}, 4, "another key"},
		"another one before it": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { r[3].Prev = r[1].Hash; return r }, 4, "does not follow"},
		"one removed":           {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { return slices.Delete(r, 3, 4) }, 5, "record 4 was removed"},
		"three removed":         {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { return slices.Delete(r, 3, 6) }, 7, "records 4 to 6 were removed"},
		"removed, and the others counted anew": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord {
			r = slices.Delete(r, 3, 4)
			for i := range r {
				r[i].Seq = int64(i) + 1
			}
			return r
		}, 4, "does not follow"},
		"the first removed": {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { return r[1:] }, 2, "record 1 was removed"},
		"out of order":      {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { r[3], r[4] = r[4], r[3]; return r }, 5, "record 4 was removed"},
		"twice":             {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { return slices.Insert(r, 4, r[3]) }, 4, "out of order"},
		"no start":          {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { r[0].Action = "run"; return sealed("one", r) }, 1, "begin with a start"},
		"no hash":           {func(r []bellhop.AuditRecord) []bellhop.AuditRecord { r[3].Hash = ""; return r }, 4, "altered"},
	} {
		t.Run(name, func(t *testing.T) {
			v := bellhop.NewAuditVerifier(auditKey())
			var faults []bellhop.AuditFault
			for _, r := range c.do(chainOf("one", 9)) {
				if f := v.Check(&r); f != nil {
					faults = append(faults, *f)
				}
			}
			switch {
			case c.seq == 0 && len(faults) == 0:
			case len(faults) != 1 || faults[0].Chain != "one" || faults[0].Seq != c.seq || !strings.Contains(faults[0].What, c.what):
				t.Errorf("faults are %+v, want one at %d: %s", faults, c.seq, c.what)
			}
		})
	}
}

func TestAVerifierMissesWhatWasNoted(t *testing.T) {
	one, two := chainOf("one", 4), chainOf("two", 3)
	three := chainOf("three", 2, headOf(one), headOf(two))
	other := chainOf("one", 3)
	other = sealed("one", append(other, bellhop.AuditRecord{Action: "run", Detail: "another one"}))
	for name, c := range map[string]struct {
		chains [][]bellhop.AuditRecord
		want   []string
	}{
		"all there":                 {[][]bellhop.AuditRecord{one, two, three}, nil},
		"in another order":          {[][]bellhop.AuditRecord{three, two, one}, nil},
		"one that went on":          {[][]bellhop.AuditRecord{chainOf("one", 9), two, three}, nil},
		"one removed":               {[][]bellhop.AuditRecord{one, three}, []string{"two 3 the chain is not there"}},
		"an end removed":            {[][]bellhop.AuditRecord{one[:2], two, three}, []string{"one 4 records 3 to 4 were removed"}},
		"the last removed":          {[][]bellhop.AuditRecord{one[:3], two, three}, []string{"one 4 record 4 was removed"}},
		"another one in its place":  {[][]bellhop.AuditRecord{other, two, three}, []string{"one 4 it is not the record"}},
		"that, the later one first": {[][]bellhop.AuditRecord{three, two, other}, []string{"one 4 it is not the record"}},
		"both removed":              {[][]bellhop.AuditRecord{three}, []string{"two 3 the chain", "one 4 the chain"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := bellhop.NewAuditVerifier(auditKey())
			for _, recs := range c.chains {
				for i := range recs {
					if f := v.Check(&recs[i]); f != nil {
						t.Fatalf("%+v", f)
					}
				}
			}
			got := v.Missing()
			if len(got) != len(c.want) {
				t.Fatalf("missing are %+v, want %q", got, c.want)
			}
			for i, f := range got {
				if text := fmt.Sprintf("%s %d %s", f.Chain, f.Seq, f.What); !strings.HasPrefix(text, c.want[i]) {
					t.Errorf("missing is %s, want %s", text, c.want[i])
				}
			}
		})
	}
}
