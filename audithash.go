package bellhop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// AuditKeySize is how long the key of a chain is, in bytes.
const AuditKeySize = 32

// AuditSum is the hash of an audit record. The zero sum goes before a chain's
// first record.
type AuditSum [sha256.Size]byte

// String returns 64 hex digits.
func (s AuditSum) String() string { return hex.EncodeToString(s[:]) }

// ParseAuditSum reads what String wrote; ok tells whether it is a sum.
func ParseAuditSum(s string) (sum AuditSum, ok bool) {
	if len(s) != 2*len(sum) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(s))
	return sum, err == nil
}

// Sum returns the Hash that the record has under a key, behind a record with
// the hash prev: the HMAC-SHA256 of prev's bytes and all that the record says
// but Prev and Hash. It is "" when prev is no hash.
//
// It is the same before a record is stored and after it was read: times count
// to the microsecond, and bytes that are no UTF-8 as what JSON makes of them.
func (r *AuditRecord) Sum(key []byte, prev string) string {
	before, ok := ParseAuditSum(prev)
	if !ok {
		return ""
	}
	return NewAuditChain(r.Chain, key).Sum(before, r.Seq, r.Run, r.Pack()).String()
}

// AuditChain computes the hashes of a chain, for one goroutine at a time.
type AuditChain struct {
	name string
	mac  hash.Hash
	buf  []byte
	sum  AuditSum
}

// NewAuditChain returns the one with that name, under a key.
func NewAuditChain(name string, key []byte) *AuditChain {
	return &AuditChain{name: name, mac: hmac.New(sha256.New, key)}
}

// Sum is AuditRecord.Sum for a record that was packed before.
func (c *AuditChain) Sum(prev AuditSum, seq int64, run RunID, packed PackedAudit) AuditSum {
	b := append(c.buf[:0], prev[:]...)
	b = appendAuditText(b, c.name)
	b = binary.AppendUvarint(b, uint64(seq))
	b = binary.AppendUvarint(b, uint64(run))
	c.buf = append(b, packed...)
	c.mac.Reset()
	c.mac.Write(c.buf)
	c.mac.Sum(c.sum[:0]) // in its place: a variable would be allocated each time
	return c.sum
}

// PackedAudit is what an audit record says, as the bytes that are hashed and
// kept: all but Chain, Seq, Run, Prev and Hash, which the store fills in.
type PackedAudit []byte

// Pack encodes a record: numbers as varints, each text as its length and its
// bytes, arguments by name. Records are kept for good, so what is here never
// changes; what later records say besides goes to the end when there is any.
func (r *AuditRecord) Pack() PackedAudit {
	texts := r.texts()
	size := 32
	for _, s := range texts {
		size += 2 + len(*s)
	}
	for name, v := range r.Args {
		size += 8 + len(name) + len(v.Text) + 16*len(v.List)
	}
	b := binary.AppendVarint(make([]byte, 0, size), auditMicros(r.At))
	if r.Allowed {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, s := range texts {
		b = appendAuditText(b, *s)
	}
	return appendAuditArgs(b, r.Args)
}

// texts are in the order in which they are packed.
func (r *AuditRecord) texts() [9]*string {
	return [...]*string{&r.Action, &r.Principal, &r.Identity, &r.Source, &r.Channel, &r.Service, &r.Job, &r.Rule, &r.Detail}
}

func appendAuditArgs(b []byte, args Args) []byte {
	b = binary.AppendUvarint(b, uint64(len(args)))
	if len(args) == 1 { // as most have; sorting takes longer than all the rest
		for name, v := range args {
			b = appendAuditArg(b, name, v)
		}
		return b
	}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		b = appendAuditArg(b, name, args[name])
	}
	return b
}

func appendAuditArg(b []byte, name string, v Value) []byte {
	b = appendAuditText(b, name)
	if !v.IsList() {
		return appendAuditText(append(b, 0), v.Text)
	}
	b = binary.AppendUvarint(append(b, 1), uint64(len(v.List)))
	for _, word := range v.List {
		b = appendAuditText(b, word)
	}
	return b
}

func appendAuditText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // as encoding/json has it
	}
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// auditMicros has the zero time as 0, as the stores do.
func auditMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Unpack reads what Pack gave into the record, and tells whether it is that.
func (r *AuditRecord) Unpack(p PackedAudit) bool {
	at, n := binary.Varint(p)
	if n <= 0 || n == len(p) || p[n] > 1 {
		return false
	}
	r.At, r.Allowed = time.Time{}, p[n] == 1
	if at != 0 {
		r.At = time.UnixMicro(at).UTC()
	}
	u := unpacking{rest: p[n+1:]}
	for _, s := range r.texts() {
		*s = u.text()
	}
	r.Args = u.args()
	return !u.bad && len(u.rest) == 0
}

// unpacking reads packed bytes until they are found to be bad; from then on it
// gives zeros.
type unpacking struct {
	rest []byte
	bad  bool
}

// count returns a number of things that take a byte each at least.
func (u *unpacking) count() int {
	n, size := binary.Uvarint(u.rest)
	if u.bad || size <= 0 || n > uint64(len(u.rest)) {
		u.bad = true
		return 0
	}
	u.rest = u.rest[size:]
	return int(n)
}

func (u *unpacking) args() (args Args) {
	for range u.count() {
		if args == nil {
			args = Args{}
		}
		name := u.text()
		if u.count() == 0 {
			args[name] = Text(u.text())
			continue
		}
		words := List()
		for range u.count() {
			words.List = append(words.List, u.text())
		}
		args[name] = words
	}
	return args
}

func (u *unpacking) text() string {
	n := u.count()
	if u.bad || n > len(u.rest) {
		u.bad = true
		return ""
	}
	s := string(u.rest[:n])
	u.rest = u.rest[n:]
	return s
}

// CheckAuditChain returns what is wrong with what Audit.Begin is given, as an
// Invalid error: a name is 1 to 200 printable ASCII characters, no space and
// no slash, so that AuditStart can list it.
func CheckAuditChain(name string, key []byte) error {
	odd := strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' })
	if name == "" || len(name) > 200 || odd {
		return Errorf(Invalid, "%.40q can't be the name of an audit chain; it is 1 to 200 printable ASCII characters without space and slash", name)
	}
	if len(key) != AuditKeySize {
		return Errorf(Invalid, "the key of audit chain %s has %d bytes; it has %d", name, len(key), AuditKeySize)
	}
	return nil
}

// maxNotedHeads is how many other chains a chain's first record lists.
const maxNotedHeads = 5

// AuditStartRecord is the first record of a chain, beside others whose ends
// are given, oldest chain first, as Audit.Heads does.
func AuditStartRecord(now time.Time, others []AuditHead) AuditRecord {
	var noted []string
	for _, h := range others[max(0, len(others)-maxNotedHeads):] {
		noted = append(noted, h.String())
	}
	slices.Reverse(noted)
	return AuditRecord{At: now, Action: AuditStart, Allowed: true, Detail: strings.Join(noted, " ")}
}
