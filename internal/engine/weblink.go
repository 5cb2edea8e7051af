package engine

import (
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// A login link is a value for a minute. Each principal has linkPlaces places
// for them, which the code names, so that there are never more.
const (
	linkSpace  = "login"
	linkFor    = time.Minute
	linkPlaces = 5
	// keepLinkAsk is how long an event is known for which a link was made.
	keepLinkAsk = 24 * time.Hour
)

// keptLink is a link as the store has it.
type keptLink struct {
	Person bellhop.Person `json:"person"`
	Made   time.Time      `json:"made"`
	Hash   string         `json:"hash"` // of the code's secret part; "" = it was used
}

// LoginLink makes the code with which a person, once and within a minute, can
// open a session of the web page. from is where they ask, and key the event's;
// "" = it has none. NotAllowed: not for this person, or not from there. Conflict:
// they have as many links as there may be at a time, or this event had one: it
// is told once, and kept nowhere.
func (e *Engine) LoginLink(ctx context.Context, p bellhop.Person, from bellhop.Origin, key string) (code string, expires time.Time, err error) {
	p.Channel = "" // the page is in none
	who := e.Identify(p)
	if err := e.mayLogin(ctx, who, from); err != nil {
		return "", expires, err
	}
	if key != "" {
		sum := sha256.Sum256([]byte(key))
		asked := "asked/" + hex.EncodeToString(sum[:])
		version, err := e.store.Values.Put(ctx, linkSpace, asked, []byte("{}"), 0, keepLinkAsk, e.clock.Now())
		if bellhop.CodeOf(err) == bellhop.Conflict {
			return "", expires, bellhop.Errorf(bellhop.Conflict, "a login link was made for this already, and is told once; ask for another one")
		}
		if err != nil {
			return "", expires, notAccepted(err)
		}
		defer func() {
			if code == "" { // it may be asked for again
				if err := e.store.Values.Delete(ctx, linkSpace, asked, version, e.clock.Now()); err != nil {
					e.log.Debug("that a login link was asked for could not be taken back", "error", err)
				}
			}
		}()
	}
	return e.makeLink(ctx, p, who)
}

func (e *Engine) makeLink(ctx context.Context, p bellhop.Person, who bellhop.Principal) (code string, expires time.Time, err error) {
	rec := e.loginRecord(who)
	rec.Detail = "a login link"
	if err := e.Record(ctx, rec); err != nil {
		return "", expires, err
	}
	now, part := e.clock.Now(), crand.Text()
	value, err := json.Marshal(keptLink{p, now, hashToken(part)})
	if err != nil {
		return "", expires, err
	}
	for place := range linkPlaces {
		key := linkOwner(who.Principal()) + strconv.Itoa(place)
		switch _, err := e.store.Values.Put(ctx, linkSpace, key, value, 0, linkFor, now); {
		case err == nil:
			return key + "." + part, now.Add(linkFor), nil
		case bellhop.CodeOf(err) != bellhop.Conflict:
			return "", expires, notAccepted(err)
		}
	}
	return "", expires, bellhop.Errorf(bellhop.Conflict, "%s has %d login links already that were not used; use one of them, or wait a minute", who.Principal(), linkPlaces)
}

// linkOwner is what stands for a principal in the keys of their links: 16
// letters and digits.
func linkOwner(principal string) string {
	sum := sha256.Sum256([]byte(principal))
	return base32.StdEncoding.EncodeToString(sum[:10])
}

// errLink is told to whoever shows a code that is none, whatever is wrong with
// it. Nothing is recorded of it: whoever listens to everybody bounds that.
var errLink = bellhop.Errorf(bellhop.NotAllowed, "this login link is not valid: it was used already, or is older than a minute; get another one with: bellhop login")

// link reads a link that is good now, or errLink.
func (e *Engine) link(ctx context.Context, code string) (key string, version int64, l keptLink, err error) {
	key, part, ok := strings.Cut(code, ".")
	if !ok || len(key) != 17 || len(part) > 64 {
		return "", 0, l, errLink
	}
	now := e.clock.Now()
	v, err := e.store.Values.Get(ctx, linkSpace, key, now)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return "", 0, l, errLink
	}
	if err != nil {
		return "", 0, l, bellhop.Errorf(bellhop.Unavailable, "the login link can't be looked up: %w", err)
	}
	if err := json.Unmarshal(v.Value, &l); err != nil {
		return "", 0, l, bellhop.Errorf(bellhop.Internal, "a login link can't be read: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(l.Hash), []byte(hashToken(part))) != 1 {
		return "", 0, l, errLink
	}
	if now.Before(l.Made.Add(-linkFor)) { // the clock was set back: who knows how old it is
		return "", 0, l, errLink
	}
	return key, v.Version, l, nil
}

// LookLink says for whom a login link is, without using it up: what shows links
// in advance opens them, too. NotAllowed: it is none.
func (e *Engine) LookLink(ctx context.Context, code string) (bellhop.Principal, error) {
	_, _, l, err := e.link(ctx, code)
	if err != nil {
		return bellhop.Principal{}, err
	}
	return e.Identify(l.Person), nil
}

// takeLink uses a link up: of those who do it at the same time, one has it.
func (e *Engine) takeLink(ctx context.Context, code string) (bellhop.Person, error) {
	key, version, l, err := e.link(ctx, code)
	if err != nil {
		return bellhop.Person{}, err
	}
	p := l.Person
	l.Hash = ""
	used, err := json.Marshal(l)
	if err != nil {
		return p, err
	}
	now := e.clock.Now()
	version, err = e.store.Values.Put(ctx, linkSpace, key, used, version, linkFor, now)
	if bellhop.CodeOf(err) == bellhop.Conflict {
		return p, errLink
	}
	if err != nil {
		return p, notAccepted(err)
	}
	if err := e.store.Values.Delete(ctx, linkSpace, key, version, now); err != nil { // its place is free in a minute at the latest
		e.log.Debug("a login link that was used could not be removed", "error", err)
	}
	return p, nil
}

// mayLogin is nil when a person may have a session of the web page; a refusal
// is recorded. A session begets no other, which would outlast its end.
func (e *Engine) mayLogin(ctx context.Context, who bellhop.Principal, from bellhop.Origin) error {
	d := e.judgeLogin(ctx, who)
	if d.Allowed && from.Source == bellhop.SourceWeb {
		d = bellhop.Decision{Rule: "a session makes no other", Reason: "you have logged in to the web page already; to log in elsewhere, ask in a chat, or with: bellhop login"}
	}
	if d.Allowed {
		return nil
	}
	a := &ask{Invocation: &bellhop.Invocation{Action: bellhop.AuditLogin, Person: who.Person}, who: who}
	return e.refused(ctx, a, d, refusal(d))
}

func (e *Engine) judgeLogin(ctx context.Context, who bellhop.Principal) bellhop.Decision {
	no := func(rule, reason string) bellhop.Decision { return bellhop.Decision{Rule: rule, Reason: reason} }
	cat := e.active.Load()
	switch who.Source() {
	case bellhop.SourceSchedule, bellhop.SourceWebhook, bellhop.SourceBroker, bellhop.SourceOutside:
		return no("the web page is for people", "the web page is for people, not for "+who.Principal())
	case bellhop.SourceAPI:
		if who.As == "" || who.Scope != "" {
			return no("the web page is for people", "the web page is for people: the token "+who.Identity+" may log in to it only when it stands for somebody (--as) and is not confined (--allow)")
		}
	}
	switch {
	case cat.Outside(who.Source()): // whose token is for events and reports, and would be good for sessions of all its people
		return no("no login by way of an outside source", "nobody logs in to the web page by way of "+who.Source()+"; ask in another chat, or with: bellhop login")
	case who.Outside:
		return no("the web page is not for people from outside", "the web page is not for "+who.Principal()+", who is known to be from outside")
	case cat.Access.Peopled && !who.Internal && !e.admin(ctx, who).Allowed:
		return no("the web page is for people of people:", "the web page is for those listed in people:, not for "+who.Principal()+"; an admin adds them there with the identity "+who.Identity)
	}
	return bellhop.Decision{Allowed: true}
}

// loginRecord is what the trail says of a login, but for its Detail.
func (e *Engine) loginRecord(who bellhop.Principal) *bellhop.AuditRecord {
	return &bellhop.AuditRecord{
		At: e.clock.Now(), Action: bellhop.AuditLogin, Principal: who.Principal(), Identity: who.Identity, Source: who.Source(), Allowed: true,
	}
}
