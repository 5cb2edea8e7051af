package bellhop

import "time"

// SourceWebhook is the source of what other programs post.
const SourceWebhook = "webhook"

// Webhook is an entry that asks for a run when another program posts an event,
// at /webhooks/SERVICE, or /webhooks/SERVICE/NAME when it has a name of its own.
type Webhook struct {
	Service string
	Name    string // of its own, else a digest of its text
	Named   bool
	Proof   Proof
	// Repo and Events narrow to some: GitHub's and GitLab's full name of a
	// repository, and kinds of event; empty = all.
	Repo   string
	Events []string
	When   []Condition
	Job    string
	// Args are templates over the payload: {event.PATH}.
	Args     Args
	Delay    time.Duration
	OnRepeat OnRepeat
	ReportTo string
	Pos      Position `json:"-"`
}

// Principal is who asks for the runs of a webhook: webhook:SERVICE/NAME.
func (w *Webhook) Principal() string { return SourceWebhook + ":" + w.Service + "/" + w.Name }

// ProofKind says how a request proves that it comes from who it should.
type ProofKind string

// The kinds.
const (
	ProofGitHub ProofKind = "github" // X-Hub-Signature-256
	ProofGitLab ProofKind = "gitlab" // X-Gitlab-Token
	ProofStripe ProofKind = "stripe" // Stripe-Signature: t=TIME,v1=HEX
	ProofHMAC   ProofKind = "hmac"   // a signature of the body in a header
	ProofBearer ProofKind = "bearer" // Authorization: Bearer SECRET
	ProofBasic  ProofKind = "basic"  // Authorization: Basic USER:SECRET
)

// Proof is what a request must show.
type Proof struct {
	Kind   ProofKind
	Secret string // as the configuration has it: itself, or secret:NAME
	SHA1   bool   // github: the old X-Hub-Signature is enough
	User   string // basic
	// Of hmac: the header of the signature, what stands before it there, how it
	// is encoded (hex, base64) and made (sha256, sha1, sha512).
	Header, Prefix, Encoding, Hash string
	// Time, unless "", is the header of when it was signed, in Unix seconds,
	// which is signed with the body: TIME.BODY. Window is how old it may be.
	Time   string
	Window time.Duration
	// ID is the header of what is the same for the same event; "" = the body is.
	ID string
	// From are the networks that it may come from; empty = any.
	From []string
}

// Condition is one thing that a payload must meet.
type Condition struct {
	Path string `json:"path"` // from the payload's root: pull_request.base.ref
	// One of these: any of some values, a pattern (* and ?), or whether it is
	// there at all.
	Any    []string `json:"any,omitempty"`
	Glob   string   `json:"glob,omitempty"`
	Exists *bool    `json:"exists,omitempty"`
	Not    bool     `json:"not,omitempty"` // it must not meet that
}
