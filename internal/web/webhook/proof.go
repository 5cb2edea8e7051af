// Package webhook takes what other programs post: it looks whether they are who
// they should be, and which webhooks an event is for.
package webhook

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // of a webhook that says so
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// stripeWindow is how old a signature of Stripe's may be, as its own libraries
// have it.
const stripeWindow = 5 * time.Minute

// Request is what was posted.
type Request struct {
	Header http.Header
	Body   []byte
	From   netip.Addr
	Now    time.Time
}

// unproven is an error of a request that is not from who it should be. What is
// wrong is told by the kind of proof alone, never by what would be right.
func unproven(format string, args ...any) error {
	return bellhop.Errorf(bellhop.NotAllowed, format, args...)
}

// Prove returns nil when a request shows what a webhook wants to see. secret
// is the value of p.Secret.
func Prove(p *bellhop.Proof, secret string, r *Request) error {
	if len(p.From) > 0 && !slices.ContainsFunc(p.From, func(s string) bool {
		n, err := netip.ParsePrefix(s)
		return err == nil && n.Contains(r.From)
	}) {
		return unproven("it does not come from an address that is allowed")
	}
	if secret == "" { // which the configuration does not let through
		return unproven("the webhook has no secret")
	}
	switch p.Kind {
	case bellhop.ProofGitHub:
		return proveGitHub(p, secret, r)
	case bellhop.ProofGitLab:
		return equal("X-Gitlab-Token", r.Header.Get("X-Gitlab-Token"), secret)
	case bellhop.ProofStripe:
		return proveStripe(secret, r)
	case bellhop.ProofBearer:
		text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			text = ""
		}
		return equal("Authorization", text, secret)
	case bellhop.ProofBasic:
		req := http.Request{Header: r.Header}
		user, password, _ := req.BasicAuth()
		if err := equal("Authorization", user, p.User); err != nil {
			return err
		}
		return equal("Authorization", password, secret)
	case bellhop.ProofHMAC:
		return proveHMAC(p, secret, r)
	}
	return unproven("the kind of proof %q is not known", p.Kind)
}

// equal compares in a time that does not tell how much is right.
func equal(header, got, want string) error {
	if got == "" {
		return unproven("the header %s is missing", header)
	}
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return unproven("the header %s is not right", header)
	}
	return nil
}

func proveGitHub(p *bellhop.Proof, secret string, r *Request) error {
	if sig := r.Header.Get("X-Hub-Signature-256"); sig != "" {
		return signed("X-Hub-Signature-256", sig, "sha256=", sha256.New, "hex", secret, r.Body)
	}
	if sig := r.Header.Get("X-Hub-Signature"); sig != "" && p.SHA1 {
		return signed("X-Hub-Signature", sig, "sha1=", sha1.New, "hex", secret, r.Body)
	}
	return unproven("the header X-Hub-Signature-256 is missing; give the webhook at GitHub the same secret as here")
}

func proveStripe(secret string, r *Request) error {
	var at string
	var sigs []string
	for part := range strings.SplitSeq(r.Header.Get("Stripe-Signature"), ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "t":
			at = v
		case "v1":
			sigs = append(sigs, v)
		}
	}
	if err := fresh("Stripe-Signature", at, stripeWindow, r.Now); err != nil {
		return err
	}
	err := unproven("the header Stripe-Signature has no signature")
	for i, sig := range sigs {
		if i == 5 {
			break
		}
		if err = signed("Stripe-Signature", sig, "", sha256.New, "hex", secret, []byte(at+"."), r.Body); err == nil {
			return nil
		}
	}
	return err
}

func proveHMAC(p *bellhop.Proof, secret string, r *Request) error {
	sig := r.Header.Get(p.Header)
	if sig == "" {
		return unproven("the header %s is missing", p.Header)
	}
	sum := sha256.New
	switch p.Hash {
	case "sha1":
		sum = sha1.New
	case "sha512":
		sum = sha512.New
	}
	if p.Time == "" {
		return signed(p.Header, sig, p.Prefix, sum, p.Encoding, secret, r.Body)
	}
	at := r.Header.Get(p.Time)
	if err := fresh(p.Time, at, p.Window, r.Now); err != nil {
		return err
	}
	return signed(p.Header, sig, p.Prefix, sum, p.Encoding, secret, []byte(at+"."), r.Body)
}

// signed looks whether a signature is that of some parts, one behind the other.
func signed(header, sig, prefix string, sum func() hash.Hash, encoding, secret string, parts ...[]byte) error {
	text, ok := strings.CutPrefix(sig, prefix)
	if !ok {
		return unproven("the header %s does not begin with %s", header, prefix)
	}
	var got []byte
	var err error
	if encoding == "base64" {
		got, err = base64.StdEncoding.DecodeString(text)
	} else {
		got, err = hex.DecodeString(text)
	}
	if err != nil {
		return unproven("the header %s is not %s", header, encoding)
	}
	m := hmac.New(sum, []byte(secret))
	for _, part := range parts {
		m.Write(part)
	}
	if !hmac.Equal(got, m.Sum(nil)) {
		return unproven("the header %s is not right: another secret, or the body was changed on the way", header)
	}
	return nil
}

// fresh looks whether a time, in Unix seconds, is within a window around now.
func fresh(header, at string, window time.Duration, now time.Time) error {
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return unproven("the header %s has no time in it", header)
	}
	if d := now.Sub(time.Unix(n, 0)); d > window || d < -window {
		return unproven("it was signed too long ago, or one of the clocks is wrong")
	}
	return nil
}
