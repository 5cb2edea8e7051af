package trail

import (
	"slices"

	"github.com/bellhop-io/bellhop"
)

// List gathers what a filter is about from pages in the order in which they
// are read: a chain's from the first on, else the newest first.
type List struct {
	f     bellhop.AuditFilter
	limit int
	recs  []bellhop.AuditRecord
	ids   []int64
}

// NewList returns an empty one.
func NewList(f bellhop.AuditFilter) *List {
	l := &List{f: f, limit: f.Limit}
	if l.limit <= 0 {
		l.limit = bellhop.AuditPage
	}
	return l
}

// Add takes a page, and tells whether the list has all it may have, and knows
// that there is more.
func (l *List) Add(name string, id int64, data []byte) (full bool) {
	recs := Decode(name, id, data)
	if l.f.Chain == "" {
		slices.Reverse(recs)
	}
	first, chain := id, ChainOf(id)
	last := ID(chain, SeqOf(id)+int64(len(recs))-1)
	for i := range recs {
		at := ID(chain, recs[i].Seq)
		if l.before(at, first, last) || !l.f.Means(&recs[i]) {
			continue
		}
		l.recs, l.ids = append(l.recs, recs[i]), append(l.ids, at)
		if len(l.recs) > l.limit {
			return true
		}
	}
	return false
}

// before reports whether a record, of a page with those ids, was on the list's
// page before this one.
func (l *List) before(id, first, last int64) bool {
	after := l.f.After
	if l.f.Chain != "" {
		return SeqOf(id) <= after
	}
	return first <= after && after <= last && id >= after
}

// Page returns the records, and After of the next page of the list.
func (l *List) Page() (recs []bellhop.AuditRecord, next int64) {
	if len(l.recs) <= l.limit {
		return append([]bellhop.AuditRecord{}, l.recs...), 0
	}
	next = l.ids[l.limit-1]
	if l.f.Chain != "" {
		next = SeqOf(next)
	}
	return l.recs[:l.limit], next
}
