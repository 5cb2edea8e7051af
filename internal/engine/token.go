package engine

import (
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// tokenSpace is where tokens are kept, by name; tokenMark is how each begins.
const (
	tokenSpace = "token"
	tokenMark  = "bellhop."
)

// kept is a token as the store has it.
type kept struct {
	bellhop.Token
	Hash string `json:"hash"` // SHA-256 of its secret part, which has 130 random bits
}

// CreateToken makes a token, for admins, and returns the text that proves it,
// which nobody can be told again. A name that is taken is a Conflict.
func (e *Engine) CreateToken(ctx context.Context, p bellhop.Person, t bellhop.Token) (text string, err error) {
	if err := e.MayManage(ctx, p, "token"); err != nil {
		return "", err
	}
	if err := e.checkToken(&t); err != nil {
		return "", err
	}
	who, now := e.Identify(p), e.clock.Now()
	t.Made, t.By = now, who.Principal()
	part := crand.Text()
	value, err := json.Marshal(kept{t, hashToken(part)})
	if err != nil {
		return "", err
	}
	detail := "token " + t.Name + " made"
	if t.Source != "" {
		detail += " for source " + t.Source
	}
	if t.As != "" {
		detail += " as " + t.As
	}
	if len(t.Allow) > 0 {
		detail += ", for " + strings.Join(t.Allow, " ")
	}
	if err := e.noteToken(ctx, who, detail); err != nil {
		return "", err
	}
	var ttl time.Duration
	if !t.Expires.IsZero() {
		ttl = t.Expires.Sub(now)
	}
	switch _, err := e.store.Values.Put(ctx, tokenSpace, t.Name, value, 0, ttl, now); {
	case bellhop.CodeOf(err) == bellhop.Conflict:
		return "", bellhop.Errorf(bellhop.Conflict, "there is a token %s already; take another name, or remove it first (bellhop token rm %[1]s)", t.Name)
	case err != nil:
		return "", notAccepted(err)
	}
	return tokenMark + t.Name + "." + part, nil
}

func (e *Engine) checkToken(t *bellhop.Token) error {
	if err := bellhop.CheckName("token", t.Name); err != nil {
		return err
	}
	cat := e.active.Load()
	switch {
	case t.Source != "" && (t.As != "" || len(t.Allow) > 0):
		return bellhop.Errorf(bellhop.Invalid, "--source makes a token that is a source and nothing else, so it does not go with --as or --allow; leave these out")
	case t.Source != "" && !cat.Outside(t.Source):
		return bellhop.Errorf(bellhop.NotFound, "--source %.60q: there is no such source in the configuration; name it there first (sources:)", t.Source)
	}
	if t.As != "" && cat.Access.Peopled && cat.member(t.As) == nil {
		return bellhop.Errorf(bellhop.NotFound, "nobody in people: is called %.40q; a token stands for one of those", t.As)
	}
	if err := bellhop.CheckName("person", t.As); t.As != "" && err != nil {
		return err
	}
	for _, a := range t.Allow {
		service, job, one := strings.Cut(a, "/")
		s := cat.services[service]
		switch {
		case s == nil:
			return bellhop.Errorf(bellhop.NotFound, "--allow %.60q: there is no service of that name; write SERVICE, or SERVICE/JOB", a)
		case one && cat.jobs[jobName{service, job}] == nil:
			return bellhop.Errorf(bellhop.NotFound, "--allow %.60q: service %s has no job of that name", a, service)
		}
	}
	if !t.Expires.IsZero() && !t.Expires.After(e.clock.Now()) {
		return bellhop.Errorf(bellhop.Invalid, "a token that expires at %s is past already; name a time to come", e.say(t.Expires))
	}
	return nil
}

func (e *Engine) noteToken(ctx context.Context, who bellhop.Principal, detail string) error {
	return e.Record(ctx, &bellhop.AuditRecord{
		At: e.clock.Now(), Action: "token", Principal: who.Principal(), Identity: who.Identity, Source: who.Source(), Allowed: true, Rule: "admin", Detail: detail,
	})
}

// Tokens lists tokens by name, for admins.
func (e *Engine) Tokens(ctx context.Context, p bellhop.Person) ([]bellhop.Token, error) {
	if err := e.MayManage(ctx, p, "token"); err != nil {
		return nil, err
	}
	var all []bellhop.Token
	for after := ""; ; {
		list, err := e.store.Values.List(ctx, tokenSpace, "", after, 100, e.clock.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			var k kept
			if err := json.Unmarshal(v.Value, &k); err != nil {
				return nil, bellhop.Errorf(bellhop.Internal, "token %s can't be read: %w", v.Key, err)
			}
			all, after = append(all, k.Token), v.Key
		}
		if len(list) < 100 {
			return all, nil
		}
	}
}

// RemoveToken ends a token at once, for admins.
func (e *Engine) RemoveToken(ctx context.Context, p bellhop.Person, name string) error {
	if err := e.MayManage(ctx, p, "token"); err != nil {
		return err
	}
	now := e.clock.Now()
	if _, err := e.store.Values.Get(ctx, tokenSpace, name, now); bellhop.CodeOf(err) == bellhop.NotFound {
		return bellhop.Errorf(bellhop.NotFound, "there is no token %.60q; bellhop token list shows those that there are", name)
	} else if err != nil {
		return err
	}
	if err := e.noteToken(ctx, e.Identify(p), "token "+name+" removed"); err != nil {
		return err
	}
	return e.store.Values.Delete(ctx, tokenSpace, name, -1, now)
}

// errToken is told to whoever shows a token that is none, whatever is wrong
// with it.
var errToken = bellhop.Errorf(bellhop.NotAllowed, "this token is not valid: it was removed, has expired or was never made; an admin makes one with: bellhop token create NAME")

// ErrOtherToken is within the error for a token that is good, and not for what
// it is shown for.
var ErrOtherToken = errors.New("the token is for something else")

// TokenPerson is who shows a token. NotAllowed: it is none, or that of a source.
func (e *Engine) TokenPerson(ctx context.Context, text string) (bellhop.Person, error) {
	k, err := e.proven(ctx, text)
	switch {
	case err != nil:
		return bellhop.Person{}, err
	case k.Source != "":
		return bellhop.Person{}, &bellhop.Error{Code: bellhop.NotAllowed, Err: ErrOtherToken, Message: "this token is source " + k.Source +
			", which may register itself, send its events and take its reports, and nothing else; for other requests an admin makes a token without --source"}
	}
	return k.person(), nil
}

// TokenSource is the source whose token is shown, as it is configured now.
// NotAllowed: it is none, or that of a person.
func (e *Engine) TokenSource(ctx context.Context, text string) (string, error) {
	k, err := e.proven(ctx, text)
	switch {
	case err != nil:
		return "", err
	case k.Source == "":
		return "", &bellhop.Error{Code: bellhop.NotAllowed, Err: ErrOtherToken, Message: "this token is of no source; an admin makes one with: bellhop token create NAME --source SOURCE"}
	case !e.active.Load().Outside(k.Source):
		return "", &bellhop.Error{Code: bellhop.NotAllowed, Err: ErrOtherToken, Message: "source " + k.Source + " is not in the configuration any more (sources:)"}
	}
	return k.Source, nil
}

// proven is the token that a text proves, or errToken.
func (e *Engine) proven(ctx context.Context, text string) (k kept, err error) {
	rest, ok := strings.CutPrefix(text, tokenMark)
	name, part, both := strings.Cut(rest, ".")
	if !ok || !both || len(name) > 63 || len(part) > 64 {
		return k, errToken
	}
	if k, err = e.token(ctx, name); err != nil {
		return k, err
	}
	if subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hashToken(part))) != 1 {
		return kept{}, errToken
	}
	return k, nil
}

// TokenNow is who a token that spoke at a time stands for now. NotAllowed: it is
// none any more; one that was made since is another, whatever it is called.
func (e *Engine) TokenNow(ctx context.Context, identity string, spoke time.Time) (bellhop.Person, error) {
	k, err := e.token(ctx, strings.TrimPrefix(identity, bellhop.SourceAPI+":"))
	if bellhop.CodeOf(err) == bellhop.NotAllowed || err == nil && (k.Made.After(spoke) || k.Source != "") {
		return bellhop.Person{}, bellhop.Errorf(bellhop.NotAllowed, "the token of %s was removed, or has expired, since", identity)
	}
	return k.person(), err
}

// token reads a token that is valid now, or errToken.
func (e *Engine) token(ctx context.Context, name string) (k kept, err error) {
	if bellhop.CheckName("token", name) != nil { // no store is asked for what can't be there
		return k, errToken
	}
	now := e.clock.Now()
	v, err := e.store.Values.Get(ctx, tokenSpace, name, now)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return k, errToken
	}
	if err != nil {
		return k, bellhop.Errorf(bellhop.Unavailable, "the token can't be looked up: %w", err)
	}
	if err := json.Unmarshal(v.Value, &k); err != nil {
		return k, bellhop.Errorf(bellhop.Internal, "token %s can't be read: %w", name, err)
	}
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return k, errToken
	}
	return k, nil
}

// person is who shows the token.
func (k *kept) person() bellhop.Person {
	return bellhop.Person{Identity: bellhop.SourceAPI + ":" + k.Name, As: k.As, Scope: strings.Join(k.Allow, " ")}
}

func hashToken(part string) string {
	sum := sha256.Sum256([]byte(part))
	return hex.EncodeToString(sum[:])
}

// member finds one of people: by name.
func (c *catalog) member(name string) *bellhop.Member {
	i := slices.IndexFunc(c.Access.People, func(m bellhop.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Access.People[i]
}

// asPerson is a principal whose token stands for somebody.
func (c *catalog) asPerson(p bellhop.Person) bellhop.Principal {
	if !c.Access.Peopled {
		p.Name = p.As
		return bellhop.Principal{Person: p, Internal: true}
	}
	m := c.member(p.As)
	if m == nil { // who is not there any more
		return bellhop.Principal{Person: p}
	}
	p.Name = m.Name
	return bellhop.Principal{Person: p, Internal: true, Groups: m.Groups}
}

// outOfScope refuses what a token is not made for.
func outOfScope(who bellhop.Principal, r request) (d bellhop.Decision, out bool) {
	if who.Within(r.service, r.job) {
		return d, false
	}
	return bellhop.Decision{
		Rule:   "--allow of token " + who.Identity,
		Reason: fmt.Sprintf("this is not for %s: the token is for %s alone", who.Identity, who.Scope),
	}, true
}

// Bind checks a job's arguments and fills in defaults, for somebody who may have
// it done: what is wrong with them tells of the job.
func (e *Engine) Bind(ctx context.Context, p bellhop.Person, service, job string, args bellhop.Args) (bellhop.Args, error) {
	a := &ask{Invocation: &bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: job, Args: args}, who: e.Identify(p)}
	o, err := e.active.Load().offer(service, job)
	if err != nil { // to those alone who could use the service
		if e.active.Load().services[service] != nil {
			if _, refused := e.allow(ctx, a, request{service: service, maybe: true}); refused != nil {
				return nil, refused
			}
		}
		return nil, err
	}
	bound, err := o.job.Bind(args)
	if err == nil {
		return bound, nil
	}
	if _, refused := e.allow(ctx, a, request{service: service, job: job, maybe: true}); refused != nil {
		return nil, refused
	}
	return nil, err
}
