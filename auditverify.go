package bellhop

import (
	"crypto/hmac"
	"fmt"
	"strconv"
	"strings"
)

// String is CHAIN/SEQ/HASH, as an AuditStart record lists it.
func (h AuditHead) String() string { return fmt.Sprintf("%s/%d/%s", h.Chain, h.Seq, h.Hash) }

// ParseAuditHead reads what AuditHead.String wrote; ok tells whether it is
// that. At is zero.
func ParseAuditHead(s string) (h AuditHead, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] == "" {
		return h, false
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	if _, isSum := ParseAuditSum(parts[2]); err != nil || seq < 1 || !isSum {
		return h, false
	}
	return AuditHead{Chain: parts[0], Seq: seq, Hash: parts[2]}, true
}

// AuditFault is the first thing that is wrong with a chain of audit records.
type AuditFault struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"` // of the record with which it shows
	What  string `json:"what"`
}

// AuditVerifier looks whether audit records are as they were written. It is
// given all records: chains in any order or at once, those of one chain in
// order. One goroutine uses it at a time.
type AuditVerifier struct {
	key    []byte
	chains map[string]*verified
	noted  []noted
}

// verified is what was seen of a chain.
type verified struct {
	sums   *AuditChain
	head   AuditHead // of the last record
	last   AuditSum
	faulty bool
}

// noted is the end of a chain as a later one began.
type noted struct {
	AuditHead
	by string
	// seen is the hash of the record with that number; "" when it has not come.
	seen string
}

// NewAuditVerifier returns one for chains under a key.
func NewAuditVerifier(key []byte) *AuditVerifier {
	return &AuditVerifier{key: key, chains: map[string]*verified{}}
}

// Check looks at a chain's next record. It returns the first fault of each
// chain, and nil for what comes after that.
func (v *AuditVerifier) Check(r *AuditRecord) *AuditFault {
	c := v.chains[r.Chain]
	if c == nil {
		c = &verified{sums: NewAuditChain(r.Chain, v.key)}
		v.chains[r.Chain] = c
	}
	what := ""
	if !c.faulty {
		what = c.fault(r)
	}
	c.head = AuditHead{Chain: r.Chain, Seq: r.Seq, Hash: r.Hash, At: r.At}
	for i := range v.noted {
		if n := &v.noted[i]; n.Chain == r.Chain && n.Seq == r.Seq {
			n.seen = r.Hash
		}
	}
	if what != "" {
		c.faulty = true
		return &AuditFault{Chain: r.Chain, Seq: r.Seq, What: what}
	}
	if !c.faulty && r.Seq == 1 { // what it says is proven
		v.note(r)
	}
	return nil
}

// fault returns what is wrong with the chain's next record.
func (c *verified) fault(r *AuditRecord) string {
	switch want := c.head.Seq + 1; {
	case r.Seq > want:
		return fmt.Sprintf("%s removed before it", records(want, r.Seq-1))
	case r.Seq < want:
		return fmt.Sprintf("it comes out of order, behind record %d", c.head.Seq)
	case r.Prev != c.last.String():
		return "it does not follow the record before it: one of the two was altered"
	}
	sum := c.sums.Sum(c.last, r.Seq, r.Run, r.Pack())
	if stored, ok := ParseAuditSum(r.Hash); !ok || !hmac.Equal(stored[:], sum[:]) {
		return "it was altered, or written under another key"
	}
	if r.Seq == 1 && r.Action != AuditStart {
		return "the chain does not begin with a start"
	}
	c.last = sum
	return ""
}

func records(first, last int64) string {
	if first == last {
		return fmt.Sprintf("record %d was", first)
	}
	return fmt.Sprintf("records %d to %d were", first, last)
}

// note keeps the ends of other chains that a chain's first record lists.
func (v *AuditVerifier) note(r *AuditRecord) {
	for _, text := range strings.Fields(r.Detail) {
		if h, ok := ParseAuditHead(text); ok {
			n := noted{AuditHead: h, by: r.Chain}
			if c := v.chains[h.Chain]; c != nil && c.head.Seq == h.Seq {
				n.seen = c.head.Hash
			}
			v.noted = append(v.noted, n)
		}
	}
}

// Missing returns, once all records were given, the chains that others noted
// as they began and that are not there, end earlier, or have another record in
// that place. Each chain has one fault at the most.
func (v *AuditVerifier) Missing() []AuditFault {
	var faults []AuditFault
	told := map[string]bool{}
	for _, n := range v.noted {
		what := ""
		switch c := v.chains[n.Chain]; {
		case c == nil:
			what = fmt.Sprintf("the chain is not there; %s began when it had %d records", n.by, n.Seq)
		case c.head.Seq < n.Seq:
			what = fmt.Sprintf("%s removed from its end, which %s noted", records(c.head.Seq+1, n.Seq), n.by)
		case n.seen != "" && n.seen != n.Hash:
			what = fmt.Sprintf("it is not the record that %s noted", n.by)
		}
		if what != "" && !told[n.Chain] {
			told[n.Chain] = true
			faults = append(faults, AuditFault{Chain: n.Chain, Seq: n.Seq, What: what})
		}
	}
	return faults
}
