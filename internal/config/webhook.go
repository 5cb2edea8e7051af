package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/bellhop-io/bellhop"
)

type webhookRaw struct {
	at
	Name     text          `yaml:"name" doc:"A name of its own: it has the path /webhooks/SERVICE/NAME besides /webhooks/SERVICE."`
	GitHub   proofRaw      `yaml:"github" doc:"What GitHub posts."`
	GitLab   proofRaw      `yaml:"gitlab" doc:"What GitLab posts."`
	Stripe   proofRaw      `yaml:"stripe" doc:"What Stripe posts, or what signs as it does."`
	HMAC     proofRaw      `yaml:"hmac" doc:"What signs its body in a header."`
	Bearer   proofRaw      `yaml:"bearer" doc:"What shows a token: Authorization: Bearer TOKEN."`
	Basic    proofRaw      `yaml:"basic" doc:"What shows a user and a password."`
	From     several[text] `yaml:"from" item:"network" doc:"Networks that it may come from, such as 192.30.252.0/22. Default: any."`
	Job      text          `yaml:"job" doc:"The job of the same service that is asked for."`
	Args     dict[literal] `yaml:"args" item:"argument" doc:"Its arguments, in which {event.PATH} stands for a part of what was posted."`
	Delay    span          `yaml:"delay" def:"0s" doc:"How long a run waits before it starts."`
	OnRepeat text          `yaml:"on_repeat" enum:"merge,queue,reject" def:"merge" doc:"When the same is asked for already: merge joins what waits, queue makes another run, reject refuses."`
	ReportTo text          `yaml:"report_to" doc:"Who is told of its runs: a person's name, or a place of a chat such as slack:#ops. Default: the service's."`
}

type proofRaw struct {
	at
	Secret   text               `yaml:"secret" mode:"secret" doc:"The secret that both sides have: secret:NAME, or ${VAR}."`
	Repo     text               `yaml:"repo" doc:"github, gitlab: only of this repository, such as acme/site."`
	Event    several[text]      `yaml:"event" item:"event" doc:"github, gitlab, stripe: only these kinds of event."`
	When     dict[conditionRaw] `yaml:"when" item:"condition" doc:"Only events that meet all of this: by dotted path, a value, a list of which one must be it, {not: ...}, {glob: ...} or {exists: true}."`
	SHA1     flag               `yaml:"sha1" def:"false" doc:"github: the old signature, X-Hub-Signature, is enough."`
	Header   text               `yaml:"header" doc:"hmac: the header of the signature."`
	Prefix   text               `yaml:"prefix" doc:"hmac: what stands before the signature there, such as sha256=."`
	Encoding text               `yaml:"encoding" enum:"hex,base64" def:"hex" doc:"hmac: how the signature is written."`
	Hash     text               `yaml:"hash" enum:"sha256,sha1,sha512" def:"sha256" doc:"hmac: how it is made."`
	Time     text               `yaml:"time" doc:"hmac: the header of when it was signed, in Unix seconds; TIME.BODY is signed then."`
	Window   span               `yaml:"window" def:"5m" doc:"hmac: how old that may be."`
	ID       text               `yaml:"id" doc:"hmac, bearer, basic: the header of what is the same for the same event. Default: its body is."`
	User     text               `yaml:"user" doc:"basic: the user."`
}

// webhooks are those of a service.
func (b *builder) webhooks(s *bellhop.Service, raw serviceRaw, good map[string]bool) {
	names := map[string]at{}
	for _, r := range raw.Webhooks.items {
		w := b.webhook(s, r, good)
		if w.ReportTo == "" {
			w.ReportTo = raw.ReportTo.val
		}
		if first, twice := names[w.Name]; twice && !r.bad {
			b.fault(r.at, "this webhook has the name or says the same as the one in %s; give it a name of its own", first.line())
		}
		names[w.Name] = r.at
		s.Webhooks = append(s.Webhooks, w)
	}
}

func (b *builder) webhook(s *bellhop.Service, r webhookRaw, good map[string]bool) bellhop.Webhook {
	w := bellhop.Webhook{
		Service: s.Name, Name: r.Name.val, Named: r.Name.isSet(), Job: r.Job.val, Delay: r.Delay.val,
		OnRepeat: bellhop.OnRepeat(r.OnRepeat.or("merge")), ReportTo: r.ReportTo.val, Pos: r.at.pos(),
	}
	kinds := 0
	for _, k := range []struct {
		kind bellhop.ProofKind
		raw  proofRaw
	}{
		{bellhop.ProofGitHub, r.GitHub}, {bellhop.ProofGitLab, r.GitLab}, {bellhop.ProofStripe, r.Stripe},
		{bellhop.ProofHMAC, r.HMAC}, {bellhop.ProofBearer, r.Bearer}, {bellhop.ProofBasic, r.Basic},
	} {
		if !k.raw.at.isSet() {
			continue
		}
		if kinds++; kinds > 1 {
			b.fault(k.raw.at, "a webhook has one proof; this one has %s besides: make it two webhooks", k.kind)
			continue
		}
		b.proof(&w, k.kind, k.raw)
	}
	if kinds == 0 && !r.bad {
		b.fault(r.at, "this webhook does not say how a request proves who sends it; add github:, gitlab:, stripe:, hmac:, bearer: or basic: with a secret")
	}
	for _, n := range r.From.items {
		prefix, err := netip.ParsePrefix(n.val)
		if addr, other := netip.ParseAddr(n.val); other == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if n.good() && err != nil {
			b.fault(n.at, "from: %s is no network; write one such as 192.30.252.0/22", shorten(n.val))
			continue
		}
		w.Proof.From = append(w.Proof.From, prefix.Masked().String())
	}
	if r.ReportTo.good() && !b.place("report_to", r.ReportTo) {
		w.ReportTo = ""
	}
	w.Args = b.eventArgs("webhook", r.at, s, r.Job, r.Args, good)
	if r.Name.isSet() {
		b.checkName("webhook", w.Name, r.Name.at)
	} else {
		w.Name = webhookDigest(&w)
	}
	return w
}

// proof checks the keys of one kind of proof.
func (b *builder) proof(w *bellhop.Webhook, kind bellhop.ProofKind, r proofRaw) {
	w.Proof = bellhop.Proof{
		Kind: kind, Secret: r.Secret.val, SHA1: r.SHA1.val, User: r.User.val, Header: r.Header.val, Prefix: r.Prefix.val,
		Encoding: r.Encoding.or("hex"), Hash: r.Hash.or("sha256"), Time: r.Time.val, Window: 5 * time.Minute, ID: r.ID.val,
	}
	if r.Window.good() {
		w.Proof.Window = r.Window.val
	}
	switch {
	case !r.Secret.isSet() && !r.bad:
		b.fault(r.at, "%s: secret is missing; without one anybody could post. Make one (bellhop secret set NAME) and write secret: \"secret:NAME\"", kind)
	case r.Secret.good() && len(r.Secret.val) < 8:
		b.fault(r.Secret.at, "%s: a secret of less than 8 characters can be guessed; make a longer one", kind)
	}
	only := func(key string, a at, kinds ...bellhop.ProofKind) {
		for _, k := range kinds {
			if k == kind {
				return
			}
		}
		if a.isSet() {
			b.fault(a, "%s does not go with %s; remove it", key, kind)
		}
	}
	only("repo", r.Repo.at, bellhop.ProofGitHub, bellhop.ProofGitLab)
	only("event", r.Event.at, bellhop.ProofGitHub, bellhop.ProofGitLab, bellhop.ProofStripe)
	only("sha1", r.SHA1.at, bellhop.ProofGitHub)
	for key, a := range map[string]at{"header": r.Header.at, "prefix": r.Prefix.at, "encoding": r.Encoding.at, "hash": r.Hash.at, "time": r.Time.at, "window": r.Window.at} {
		only(key, a, bellhop.ProofHMAC)
	}
	only("id", r.ID.at, bellhop.ProofHMAC, bellhop.ProofBearer, bellhop.ProofBasic)
	only("user", r.User.at, bellhop.ProofBasic)
	if kind == bellhop.ProofHMAC && !r.Header.isSet() && !r.bad {
		b.fault(r.at, "hmac: header is missing: the one in which the signature comes, such as X-Signature")
	}
	if kind == bellhop.ProofBasic && !r.User.isSet() && !r.bad {
		b.fault(r.at, "basic: user is missing")
	}
	w.Repo = r.Repo.val
	for _, e := range r.Event.items {
		w.Events = append(w.Events, e.val)
	}
	w.When = conditions(r.When)
}

// webhookDigest knows a webhook by its text: 12 hex digits.
func webhookDigest(w *bellhop.Webhook) string {
	b, err := json.Marshal([]any{w.Proof.Kind, w.Repo, w.Events, w.When, w.Job, w.Args})
	if err != nil { // plain data
		panic("config: a webhook that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return "w" + hex.EncodeToString(sum[:6])
}
