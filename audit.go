package bellhop

import (
	"context"
	"time"
)

// AuditRecord is one decision, kept for good: who, what, allowed or not, by
// which rule. Records of one server are a chain: each one's Hash covers it and
// the Hash before it under a key that is not in the store.
type AuditRecord struct {
	// Chain names the life of a server that wrote it; Seq counts from 1 in it.
	// The store fills in both, Prev and Hash.
	Chain string    `json:"chain"`
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"`
	// Action is what was to be done: an Action, or one of the Audit words.
	Action    string `json:"action"`
	Principal string `json:"principal,omitempty"`
	Identity  string `json:"identity,omitempty"`
	Source    string `json:"source,omitempty"`
	Channel   string `json:"channel,omitempty"`
	Service   string `json:"service,omitempty"`
	Job       string `json:"job,omitempty"`
	Run       RunID  `json:"run,omitempty"` // of a submission, the store fills it in
	Args      Args   `json:"args,omitempty"`
	Allowed   bool   `json:"allowed"`
	Rule      string `json:"rule,omitempty"`   // Decision.Rule, with its place
	Detail    string `json:"detail,omitempty"` // for people, one line
	Prev      string `json:"prev"`             // Hash of the record before; of the first, see Audit.Begin
	Hash      string `json:"hash"`             // 64 hex digits
}

// What is recorded besides the actions of people.
const (
	AuditStart   = "start"   // a server began: Detail has the heads of the other chains
	AuditConfig  = "config"  // a configuration became the active one
	AuditSecret  = "secret"  // a secret was set or removed, or the key changed
	AuditReveal  = "reveal"  // a run was given secrets
	AuditLogin   = "login"   // a person proved an identity, or failed to
	AuditLogout  = "logout"  // a session of the web page was ended
	AuditExpired = "expired" // an approval did not come in time
)

// AuditDamaged is the Detail of a record that the store can't read any more.
const AuditDamaged = "the store can't read this record: it is damaged"

// AuditFilter narrows a list of records. Zero fields don't narrow.
type AuditFilter struct {
	Since, Until time.Time // at or after; before
	Principal    string
	Service, Job string
	Run          RunID
	Refused      bool   // only what was not allowed
	Chain        string // only this one, in the order of Seq, after After
	After        int64  // with Chain: Seq above this; without: as told with the last page (Audit.Records)
	Limit        int    // 0 = AuditPage
}

// AuditPage is how many records a list has unless it says otherwise.
const AuditPage = 100

// Means reports whether a filter is about a record, whatever its place in the
// list (Chain, After, Limit).
func (f *AuditFilter) Means(r *AuditRecord) bool {
	return !r.At.Before(f.Since) && (f.Until.IsZero() || r.At.Before(f.Until)) && (f.Principal == "" || f.Principal == r.Principal) &&
		(f.Service == "" || f.Service == r.Service) && (f.Job == "" || f.Job == r.Job) && (f.Run == 0 || f.Run == r.Run) && !(f.Refused && r.Allowed)
}

// AuditHead is the end of a chain.
type AuditHead struct {
	Chain string    `json:"chain"`
	Seq   int64     `json:"seq"`
	Hash  string    `json:"hash"`
	At    time.Time `json:"at"`
}

// Audit keeps the trail. Nothing in it is changed or removed, ever.
type Audit interface {
	// Begin starts this process's chain under a key (32 bytes) with a record
	// of action AuditStart, whose Detail lists the heads of the five newest
	// other chains as CHAIN/SEQ/HASH, so that a chain that was removed whole is
	// missed; its Prev is 64 zeros. Until then Append and what carries records
	// is Internal. What can't be a name or a key (CheckAuditChain) is Invalid; a
	// chain that is there is a Conflict, unless the same call made it and
	// nothing came after.
	Begin(ctx context.Context, chain string, key []byte, now time.Time) error
	// Append writes records in order, all or none. Those of many callers share
	// a commit.
	Append(ctx context.Context, recs []AuditRecord) error
	// Records lists records: of one chain in order, else newest first, at most
	// Limit. (Newest is by when they were written, roughly among several
	// servers.) next is the After of the next page; 0 = there is none.
	Records(ctx context.Context, f AuditFilter) (recs []AuditRecord, next int64, err error)
	// Heads returns the end of each chain, oldest chain first.
	Heads(ctx context.Context) ([]AuditHead, error)
}
