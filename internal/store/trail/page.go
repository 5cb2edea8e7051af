// Package trail is the form in which both stores keep the audit: pages of
// records that were written in one transaction, with what each page is found
// by. A row and its indexes cost SQLite as much as half a submission; shared
// by all who submit at once, they cost next to nothing.
//
// What finds pages proves nothing: whoever changes it can hide a record from
// a narrowed list, but not from the chain, which is read page by page.
package trail

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
)

// An id is the number of a chain, shifted, and the number of a record in it,
// from 1. A page has that of its first record, so a chain's pages lie together
// and in order.
const (
	seqBits = 40
	seqMask = int64(1)<<seqBits - 1
)

// ID returns the id of a chain's record; that of record 0 is before the first.
func ID(chain, seq int64) int64 { return chain<<seqBits | min(max(seq, 0), seqMask) }

// LastID returns an id that no record of the chain is behind.
func LastID(chain int64) int64 { return ID(chain, seqMask) }

// SeqOf returns the number of a record in its chain.
func SeqOf(id int64) int64 { return id & seqMask }

// ChainOf returns the number of a record's chain.
func ChainOf(id int64) int64 { return id >> seqBits }

// A page is written when it has so many records or bytes, or the transaction
// ends.
const (
	maxRecords = 256
	maxBytes   = 32 << 10
)

// Page is a row of the audit. Its Data is the hash before its first record;
// then of each its run, what it says with the length of that, and its hash.
// A length of 0 begins a record that is written short, see appendShort.
type Page struct {
	ID    int64
	Late  int64 // the latest time of a record, in microseconds
	Early int64 // the earliest one
	Data  []byte
	Keys  []string // what it is found by
}

// Record is an audit record as far as it can be made before its turn.
type Record struct {
	At     int64 // microseconds
	Run    bellhop.RunID
	packed bellhop.PackedAudit
	found  found
}

// found is what keys are made of.
type found struct {
	principal, service, job string
	allowed                 bool
}

// Prepare packs a record.
func Prepare(r *bellhop.AuditRecord) *Record {
	at := int64(0)
	if !r.At.IsZero() {
		at = r.At.UnixMicro()
	}
	return &Record{At: at, Run: r.Run, packed: r.Pack(), found: found{r.Principal, r.Service, r.Job, r.Allowed}}
}

// End is the end of a chain with the page that is being filled. It is right as
// long as what Take gave is written; when a transaction is undone, the end is
// read again.
type End struct {
	number int64
	sums   *bellhop.AuditChain
	seq    int64
	last   bellhop.AuditSum

	page   Page // Data is nil when it is empty
	count  int
	room   int                 // for the next page: a little more than the last one took
	former found               // of the last record
	said   bellhop.PackedAudit // by the last record of the page; nil: there is none
	seen   map[found]bool
	bands  map[int64]bool // of runs

	pages   int            // that were taken
	covered map[string]int // the page that had a key last
}

// NewEnd returns the end of the chain with that number, of whose last page the
// id and the data are given; nil: there is none yet.
func NewEnd(number int64, sums *bellhop.AuditChain, id int64, data []byte) *End {
	e := &End{number: number, sums: sums, seen: map[found]bool{}, bands: map[int64]bool{}, covered: map[string]int{}, room: 512}
	if data == nil {
		return e
	}
	recs := Decode("", id, data)
	last := recs[len(recs)-1]
	e.seq = last.Seq
	e.last, _ = bellhop.ParseAuditSum(last.Hash) // behind what is damaged, the chain does not verify anyway
	return e
}

// Resume sets the end to a record that is known to have been written, though
// the chain that was read ends before it: what is gone is to leave a gap, not
// to be written over.
func (e *End) Resume(seq int64, sum bellhop.AuditSum) (gone bool) {
	if gone = e.seq < seq; gone {
		e.seq, e.last = seq, sum
	}
	return gone
}

// Last returns the number of the last record, and its hash.
func (e *End) Last() (seq int64, sum bellhop.AuditSum) { return e.seq, e.last }

// Add appends a record, of a run. When it returns true, the page is to be
// taken now.
func (e *End) Add(r *Record, run bellhop.RunID) (full bool) {
	e.seq++
	p := &e.page
	if p.Data == nil {
		*p = Page{ID: ID(e.number, e.seq), Late: r.At, Early: r.At, Data: append(make([]byte, 0, e.room), e.last[:]...)}
	}
	e.last = e.sums.Sum(e.last, e.seq, run, r.packed)
	p.Data = append(appendSaid(binary.AppendUvarint(p.Data, uint64(run)), e.said, r.packed), e.last[:]...)
	e.said = r.packed
	p.Late, p.Early = max(p.Late, r.At), min(p.Early, r.At)
	e.count++
	if e.count == 1 || r.found != e.former { // the same people ask for the same things
		e.former = r.found
		e.seen[r.found] = true
	}
	if run != 0 {
		e.bands[int64(run)>>bandBits] = true
	}
	return e.count >= maxRecords || len(p.Data) >= maxBytes
}

// appendSaid appends what a record says behind another one of its page: whole,
// with its length, or short. That is 0, its time, how many of the bytes behind
// the time are as in the one before, and how many others follow.
func appendSaid(b []byte, before, said bellhop.PackedAudit) []byte {
	same := 0
	_, at := binary.Varint(said)
	if _, n := binary.Varint(before); n > 0 {
		same = shared(before[n:], said[at:])
	}
	if same < minShared {
		return append(binary.AppendUvarint(b, uint64(len(said))), said...)
	}
	b = append(append(b, 0), said[:at]...)
	b = binary.AppendUvarint(b, uint64(same))
	b = binary.AppendUvarint(b, uint64(len(said)-at-same))
	return append(b, said[at+same:]...)
}

// minShared is from what on a record is written short: all of that is shorter
// than what it stands for then.
const minShared = 12

func shared(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// takeSaid takes what appendSaid wrote from the beginning of some bytes; ok is
// false when that is not what is there.
func takeSaid(before bellhop.PackedAudit, data []byte) (said bellhop.PackedAudit, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 {
		return nil, nil, false
	}
	if data = data[n:]; size > 0 {
		if size > uint64(len(data)) {
			return nil, nil, false
		}
		return data[:size], data[size:], true
	}
	_, at := binary.Varint(data)
	_, from := binary.Varint(before)
	if at <= 0 || from <= 0 {
		return nil, nil, false
	}
	same, n := binary.Uvarint(data[at:])
	if n <= 0 || same > uint64(len(before)-from) {
		return nil, nil, false
	}
	rest = data[at+n:]
	more, n := binary.Uvarint(rest)
	if n <= 0 || more > uint64(len(rest)-n) {
		return nil, nil, false
	}
	rest = rest[n:]
	said = make(bellhop.PackedAudit, 0, at+int(same)+int(more))
	said = append(append(append(said, data[:at]...), before[from:from+int(same)]...), rest[:more]...)
	return said, rest[more:], true
}

// Take returns the page, nil when it is empty, and begins another one.
func (e *End) Take() *Page {
	if e.page.Data == nil {
		return nil
	}
	p := e.page
	keys := map[string]bool{}
	if len(e.covered) > maxCovered {
		clear(e.covered)
	}
	add := func(key string) {
		if at, ok := e.covered[key]; !ok || e.pages-at >= Cover {
			keys[key], e.covered[key] = true, e.pages
		}
	}
	for f := range e.seen {
		for _, key := range keysOf(f) {
			add(key)
		}
	}
	for band := range e.bands {
		add(bandKey(band))
	}
	e.pages++
	p.Keys = slices.Sorted(maps.Keys(keys))
	e.page, e.count, e.said, e.room = Page{}, 0, nil, len(p.Data)*5/4
	clear(e.seen)
	clear(e.bands)
	return &p
}

// Cover is for how many pages a key stands: the one that has it, and those
// behind it, which may be found by it. So whoever asks all the time costs a
// page of what finds pages every so often, and whoever asks once has Cover
// pages read.
const Cover = 16

// maxCovered bounds what is remembered of them.
const maxCovered = 1000

// bandBits is the size of a band: runs are mostly made in order, so pages are
// found by the 128 that a run is among.
const bandBits = 7

func keysOf(f found) (keys []string) {
	if f.principal != "" {
		keys = append(keys, "p"+f.principal)
	}
	if f.service != "" {
		keys = append(keys, "s"+f.service)
	}
	if f.job != "" {
		keys = append(keys, "j"+f.service+" "+f.job)
	}
	if !f.allowed {
		keys = append(keys, "refused")
	}
	return keys
}

func bandKey(band int64) string { return "b" + strconv.FormatInt(band, 10) }

// Keys returns what a page, or one of the Cover-1 before it, must have that a
// filter is about, those first that fewer pages have. A run is not among them:
// it is found by RunKey, or as in earlier pages.
func Keys(f *bellhop.AuditFilter) (keys []string) {
	if f.Principal != "" {
		keys = append(keys, "p"+f.Principal)
	}
	if f.Refused {
		keys = append(keys, "refused")
	}
	if f.Service != "" && f.Job != "" {
		keys = append(keys, "j"+f.Service+" "+f.Job)
	} else if f.Service != "" {
		keys = append(keys, "s"+f.Service)
	}
	return keys
}

// RunKey is the key for a run.
func RunKey(run bellhop.RunID) string { return bandKey(int64(run) >> bandBits) }

// Earlier returns how pages are found that have low and high, as all had before
// there were keys for bands of runs: by a key of their own, or because low is
// from from to to, and high not below the run.
func Earlier(run bellhop.RunID) (key string, from, to int64) {
	return "r" + strconv.FormatInt(int64(run), 10), int64(run) - 127, int64(run)
}

// Decode reads a page of the chain with that name. From where it can't be
// read there is one more record, which says so and does not verify: a list
// that failed would help whoever did the damage.
func Decode(name string, id int64, data []byte) (recs []bellhop.AuditRecord) {
	seq := SeqOf(id)
	damaged := func() []bellhop.AuditRecord {
		return append(recs, bellhop.AuditRecord{Chain: name, Seq: seq, At: time.Time{}, Detail: bellhop.AuditDamaged})
	}
	var prev bellhop.AuditSum
	if len(data) <= len(prev) {
		return damaged()
	}
	copy(prev[:], data)
	var said bellhop.PackedAudit
	for data = data[len(prev):]; len(data) > 0; seq++ {
		run, n := binary.Uvarint(data)
		if n <= 0 {
			return damaged()
		}
		data = data[n:]
		var rest []byte
		var ok bool
		if said, rest, ok = takeSaid(said, data); !ok || len(rest) < len(prev) {
			return damaged()
		}
		r := bellhop.AuditRecord{Chain: name, Seq: seq, Run: bellhop.RunID(run), Prev: prev.String()}
		if !r.Unpack(said) {
			return damaged()
		}
		copy(prev[:], rest)
		r.Hash = prev.String()
		recs, data = append(recs, r), rest[len(prev):]
	}
	return recs
}

// Head returns the end of a chain whose last page that is.
func Head(name string, id int64, data []byte) bellhop.AuditHead {
	recs := Decode(name, id, data)
	last := recs[len(recs)-1]
	return bellhop.AuditHead{Chain: name, Seq: last.Seq, Hash: last.Hash, At: last.At}
}
