package engine

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bellhop-io/bellhop"
)

// Sessions of the web page are values, by their id.
const (
	sessionSpace = "session"
	// A session ends that was not used for sessionIdle, and at sessionMost
	// however much it is used.
	sessionIdle = 24 * time.Hour
	sessionMost = 30 * 24 * time.Hour
	// sessionSeen is how often it is noted at most that one is used, and who its
	// person is by then.
	sessionSeen = time.Minute
	// sessionStale is how old a text is when it is to be replaced; the one
	// before is good for sessionAfter from the first use of the new one on.
	sessionStale = time.Hour
	sessionAfter = 30 * time.Second
	// sessionKnown is how long somebody counts as who they were when their chat
	// can't say any more who they are.
	sessionKnown = time.Hour
	// maxSessions is how many one principal has at the most; the one that was
	// used longest ago makes room.
	maxSessions     = 20
	maxSessionAbout = 200 // bytes
)

// keptSession is a session as the store has it.
type keptSession struct {
	Person bellhop.Person `json:"person"`
	Agent  string         `json:"agent,omitempty"`
	From   string         `json:"from,omitempty"`
	Made   time.Time      `json:"made"`
	Seen   time.Time      `json:"seen"`
	Known  time.Time      `json:"known"` // when it was asked last who Person is
	Turned time.Time      `json:"turned"`
	Token  string         `json:"token"`
	Hash   string         `json:"hash"`             // of its text's secret part
	Before string         `json:"before,omitempty"` // that of the text before
	// Used is when the new text was used first; zero = not yet.
	Used time.Time `json:"used,omitzero"`

	id      string
	version int64
}

// errSession is told to whoever shows a session that is none, whatever is wrong
// with it.
var errSession = bellhop.Errorf(bellhop.NotAllowed, "this session has ended; log in again with: bellhop login")

// OpenSession opens a session with the code of a login link, and returns the
// text that proves it. NotAllowed: the code is none, or its person may not any
// more.
func (e *Engine) OpenSession(ctx context.Context, code string, about bellhop.SessionAbout) (text string, s bellhop.Session, err error) {
	p, err := e.takeLink(ctx, code)
	if err != nil {
		return "", s, err
	}
	who := e.Identify(p)
	if err := e.mayLogin(ctx, who, bellhop.Origin{}); err != nil {
		return "", s, err
	}
	if err := e.makeRoom(ctx, who); err != nil {
		return "", s, err
	}
	now, part := e.clock.Now(), crand.Text()
	k := keptSession{
		Person: p, Agent: oneLine(about.Agent), From: oneLine(about.From), Made: now, Seen: now, Known: now, Turned: now, Token: crand.Text(), Hash: hashToken(part),
		id: strings.ToLower(crand.Text()[:16]),
	}
	rec := e.loginRecord(who)
	rec.Detail = fmt.Sprintf("session %s from %s, %s", k.id, k.From, k.Agent)
	if err := e.Record(ctx, rec); err != nil {
		return "", s, err
	}
	if err := e.putSession(ctx, &k, now); err != nil {
		return "", s, notAccepted(err)
	}
	return k.id + "." + part, e.session(&k), nil
}

// makeRoom ends a principal's sessions that were used longest ago, until there
// is room for one more.
func (e *Engine) makeRoom(ctx context.Context, who bellhop.Principal) error {
	all, err := e.sessions(ctx)
	if err != nil {
		return notAccepted(err)
	}
	own := slices.DeleteFunc(all, func(k keptSession) bool { return e.Identify(k.Person).Principal() != who.Principal() })
	slices.SortFunc(own, func(a, b keptSession) int { return b.Seen.Compare(a.Seen) })
	for i := maxSessions - 1; i < len(own); i++ {
		if err := e.endSession(ctx, who, &own[i], "to make room"); err != nil {
			return err
		}
	}
	return nil
}

// end is when a session ends unless it is used before.
func (k *keptSession) end() time.Time {
	if idle, most := k.Seen.Add(sessionIdle), k.Made.Add(sessionMost); idle.Before(most) {
		return idle
	}
	return k.Made.Add(sessionMost)
}

// putSession writes a session, unless somebody else has since it was read.
func (e *Engine) putSession(ctx context.Context, k *keptSession, now time.Time) error {
	value, err := json.Marshal(k)
	if err != nil {
		return err
	}
	ttl := k.end().Sub(now)
	if ttl <= 0 {
		return errSession
	}
	k.version, err = e.store.Values.Put(ctx, sessionSpace, k.id, value, k.version, ttl, now)
	return err
}

func readSession(v bellhop.Stored) (k keptSession, err error) {
	if err := json.Unmarshal(v.Value, &k); err != nil {
		return k, bellhop.Errorf(bellhop.Internal, "session %s can't be read: %w", v.Key, err)
	}
	k.id, k.version = v.Key, v.Version
	return k, nil
}

// openedBy reads the session that a text proves now, and says whether it is the
// text of before. What is none is recorded nowhere: whoever listens to
// everybody bounds that.
func (e *Engine) openedBy(ctx context.Context, text string, now time.Time) (k keptSession, before bool, err error) {
	id, part, ok := strings.Cut(text, ".")
	if !ok || len(id) != 16 || len(part) > 64 {
		return k, false, errSession
	}
	v, err := e.store.Values.Get(ctx, sessionSpace, id, now)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return k, false, errSession
	}
	if err != nil {
		return k, false, bellhop.Errorf(bellhop.Unavailable, "the session can't be looked up: %w", err)
	}
	if k, err = readSession(v); err != nil {
		return k, false, err
	}
	hash := []byte(hashToken(part))
	switch {
	case !now.Before(k.end()):
		return k, false, errSession
	case subtle.ConstantTimeCompare([]byte(k.Hash), hash) == 1:
		return k, false, nil
	case subtle.ConstantTimeCompare([]byte(k.Before), hash) == 1 && (k.Used.IsZero() || apart(now, k.Used) < sessionAfter):
		return k, true, nil
	}
	return k, false, errSession
}

// writes is how often something is tried again that others write at the same
// time.
const writes = 20

// SessionPerson is who shows the text of a session, as they are known by now.
// NotAllowed: it has ended, or is not for them any more; Unavailable: that can't
// be known now.
func (e *Engine) SessionPerson(ctx context.Context, text string) (bellhop.Person, bellhop.Session, error) {
	for range writes {
		now := e.clock.Now()
		k, before, err := e.openedBy(ctx, text, now)
		if err != nil {
			return bellhop.Person{}, bellhop.Session{}, err
		}
		first := !before && k.Before != "" && k.Used.IsZero()
		if first {
			k.Used = now
		}
		noted := apart(now, k.Seen) >= sessionSeen
		if noted {
			k.Seen = now
			if err := e.knowAgain(ctx, &k, now); err != nil {
				return bellhop.Person{}, bellhop.Session{}, err
			}
		}
		if d := e.judgeLogin(ctx, e.Identify(k.Person)); !d.Allowed {
			return bellhop.Person{}, bellhop.Session{}, refusal(d)
		}
		if first || noted {
			switch err := e.putSession(ctx, &k, now); {
			case bellhop.CodeOf(err) == bellhop.Conflict:
				continue // it was used elsewhere, or ended
			case err != nil: // a full disk is no reason to show nothing
				e.log.Warn("that a session is used could not be noted", "session", k.id, "error", err)
			}
		}
		s := e.session(&k)
		s.Stale = s.Stale || before && k.lost(now)
		return k.Person, s, nil
	}
	return bellhop.Person{}, bellhop.Session{}, bellhop.Errorf(bellhop.Unavailable, "the session is written by too many at once; try again")
}

// apart is how far two times are from each other, whichever comes first: a
// clock may have been set back.
func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// knowAgain asks where a person spoke from who they are now.
func (e *Engine) knowAgain(ctx context.Context, k *keptSession, now time.Time) error {
	p, err := k.Person, error(nil)
	switch {
	case p.Source() == bellhop.SourceAPI:
		p, err = e.TokenNow(ctx, p.Identity, k.Made)
	case e.whoNow != nil:
		p, err = e.whoNow(ctx, p, k.Made)
	}
	switch {
	case err == nil:
		p.Channel = ""
		k.Person, k.Known = p, now
		return nil
	case bellhop.CodeOf(err) == bellhop.NotAllowed || bellhop.CodeOf(err) == bellhop.NotFound:
		return bellhop.Errorf(bellhop.NotAllowed, "%s is not known any more: %w", k.Person.Identity, err)
	case apart(now, k.Known) < sessionKnown:
		e.log.Debug("who has a session can't be asked for now", "identity", k.Person.Identity, "error", err)
		return nil
	}
	return bellhop.Errorf(bellhop.Unavailable, "who %s is can't be known now: %w", k.Person.Identity, err)
}

// RotateSession gives a session another text. The present one is good for 30 s
// from the first use of the new one on, for requests that are under way. "":
// another request has just been given one.
func (e *Engine) RotateSession(ctx context.Context, text string) (string, error) {
	now := e.clock.Now()
	k, before, err := e.openedBy(ctx, text, now)
	if err != nil {
		return "", err
	}
	if before {
		if !k.lost(now) {
			return "", nil
		}
	} else {
		k.Before = k.Hash
	}
	part := crand.Text()
	k.Hash, k.Used, k.Turned = hashToken(part), time.Time{}, now
	switch err := e.putSession(ctx, &k, now); {
	case bellhop.CodeOf(err) == bellhop.Conflict:
		return "", nil
	case err != nil:
		return "", err
	}
	return k.id + "." + part, nil
}

// lost reports whether a new text seems never to have arrived.
func (k *keptSession) lost(now time.Time) bool {
	return k.Used.IsZero() && apart(now, k.Turned) >= sessionAfter
}

// Sessions lists the sessions of a person, those of everybody for admins, the
// one that was used last first.
func (e *Engine) Sessions(ctx context.Context, p bellhop.Person) ([]bellhop.Session, error) {
	all, err := e.sessions(ctx)
	if err != nil {
		return nil, err
	}
	out := []bellhop.Session{}
	who := e.Identify(p)
	admin := e.admin(ctx, who).Allowed
	for i := range all {
		if admin || e.isOwn(who, &all[i]) {
			out = append(out, e.session(&all[i]))
		}
	}
	slices.SortFunc(out, func(a, b bellhop.Session) int { return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// isOwn reports whether a session is that of a principal. What is confined has
// none.
func (e *Engine) isOwn(who bellhop.Principal, k *keptSession) bool {
	return who.Scope == "" && e.Identify(k.Person).Principal() == who.Principal()
}

// EndSession ends a session of one's own at once; admins end anybody's.
// NotFound: there is none of that id, or it is somebody else's.
func (e *Engine) EndSession(ctx context.Context, p bellhop.Person, id string) error {
	none := bellhop.Errorf(bellhop.NotFound, "there is no session %.40q; it may have ended already", id)
	who := e.Identify(p)
	if len(id) != 16 {
		return none
	}
	v, err := e.store.Values.Get(ctx, sessionSpace, id, e.clock.Now())
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return none
	}
	if err != nil {
		return err
	}
	k, err := readSession(v)
	if err != nil {
		return err
	}
	if !e.isOwn(who, &k) && !e.admin(ctx, who).Allowed {
		return none
	}
	return e.endSession(ctx, who, &k, "")
}

func (e *Engine) endSession(ctx context.Context, who bellhop.Principal, k *keptSession, why string) error {
	rec := e.loginRecord(who)
	rec.Action, rec.Detail = bellhop.AuditLogout, "session "+k.id
	if of := e.Identify(k.Person).Principal(); of != who.Principal() {
		rec.Detail += " of " + of
	}
	if why != "" {
		rec.Detail += " " + why
	}
	if err := e.Record(ctx, rec); err != nil {
		return err
	}
	if err := e.store.Values.Delete(ctx, sessionSpace, k.id, -1, e.clock.Now()); err != nil {
		return notAccepted(err)
	}
	return nil
}

// sessions reads those that have not ended.
func (e *Engine) sessions(ctx context.Context) (all []keptSession, err error) {
	now := e.clock.Now()
	for after := ""; ; {
		list, err := e.store.Values.List(ctx, sessionSpace, "", after, 100, now)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			after = v.Key
			k, bad := readSession(v)
			if bad != nil {
				return nil, bad
			}
			if now.Before(k.end()) {
				all = append(all, k)
			}
		}
		if len(list) < 100 {
			return all, nil
		}
	}
}

// session is what is told of one.
func (e *Engine) session(k *keptSession) bellhop.Session {
	return bellhop.Session{
		ID: k.id, Identity: k.Person.Identity, Principal: e.Identify(k.Person).Principal(), Agent: k.Agent, From: k.From,
		Made: k.Made, Seen: k.Seen, Expires: k.end(), Token: k.Token, Stale: apart(e.clock.Now(), k.Turned) >= sessionStale,
	}
}

// oneLine makes of what somebody sent what may stand in a line of a record.
func oneLine(s string) string {
	return strings.ToValidUTF8(cutBytes(plainLine(s), maxSessionAbout), "")
}

// plainLine puts a space for what can't be printed.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
