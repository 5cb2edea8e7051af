package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/payload"
)

// Unwanted says why an event is not for a webhook; "" = it is.
func Unwanted(b *bellhop.Webhook, h http.Header, p payload.Payload) string {
	event, repo := kindOf(b, h, p)
	switch {
	case b.Proof.Kind == bellhop.ProofGitHub && event == "ping":
		return "ping"
	case len(b.Events) > 0 && event == "":
		return "it does not say which event it is"
	case len(b.Events) > 0 && !slices.Contains(b.Events, event):
		return "event " + payload.Cut(event) + " is not wanted"
	case b.Repo != "" && repo == "":
		return "it does not say which repository it is of"
	case b.Repo != "" && b.Repo != repo:
		return "repository " + payload.Cut(repo) + " is not wanted"
	}
	return p.Meets(b.When)
}

// kindOf returns the kind of an event and its repository, where its sender has
// such things.
func kindOf(b *bellhop.Webhook, h http.Header, p payload.Payload) (event, repo string) {
	word := func(dotted string) string {
		v, _ := p.At(dotted)
		return payload.Word(v)
	}
	switch b.Proof.Kind {
	case bellhop.ProofGitHub:
		return h.Get(EventHeader(b.Proof.Kind)), word("repository.full_name")
	case bellhop.ProofGitLab:
		return h.Get(EventHeader(b.Proof.Kind)), word("project.path_with_namespace")
	case bellhop.ProofStripe:
		return word("type"), ""
	}
	return "", ""
}

// EventHeader is the header in which senders of a kind name the event; "" =
// there is none.
func EventHeader(k bellhop.ProofKind) string {
	switch k {
	case bellhop.ProofGitHub:
		return "X-Github-Event"
	case bellhop.ProofGitLab:
		return "X-Gitlab-Event"
	}
	return ""
}

// idHeader is the header of what is the same for the same event; "" = the body
// is.
func idHeader(p *bellhop.Proof) string {
	switch p.Kind {
	case bellhop.ProofGitHub:
		return "X-Github-Delivery"
	case bellhop.ProofGitLab:
		return "X-Gitlab-Event-Uuid"
	}
	return http.CanonicalHeaderKey(p.ID)
}

// keyOf is the same for the same event, however often it is posted: the id of
// the delivery where the sender has one, else the body.
func keyOf(b *bellhop.Webhook, r *Request) string {
	id := ""
	if header := idHeader(&b.Proof); header != "" {
		id = r.Header.Get(header)
	}
	if id == "" || len(id) > maxID {
		sum := sha256.Sum256(append([]byte(id), r.Body...))
		id = hex.EncodeToString(sum[:])
	}
	return b.Principal() + "/" + id
}

// delivery is what is kept of what was posted: of its headers those alone that
// say what it is, whatever else is in them.
func delivery(b *bellhop.Webhook, r *Request, p payload.Payload) bellhop.Delivery {
	d := bellhop.Delivery{Service: b.Service, Name: b.Name, At: r.Now, From: r.From.String(), Header: map[string]string{}, Body: r.Body, Size: len(r.Body)}
	d.Event, _ = kindOf(b, r.Header, p)
	for _, k := range []string{"Content-Type", EventHeader(b.Proof.Kind), idHeader(&b.Proof)} {
		if v := r.Header.Get(k); v != "" && !proves(&b.Proof, k) {
			d.Header[k] = v
		}
	}
	d.ID = d.Header[idHeader(&b.Proof)]
	return d
}

// proves reports whether a header may have in it what proves who sends it.
func proves(p *bellhop.Proof, header string) bool {
	switch header {
	case "Authorization", "Proxy-Authorization", "Cookie", "X-Gitlab-Token", "Stripe-Signature", "X-Hub-Signature", "X-Hub-Signature-256",
		http.CanonicalHeaderKey(p.Header):
		return true
	}
	return false
}
