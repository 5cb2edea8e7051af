package server

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// pages is what the web page needs of a server (ui.House).
type pages struct{ front }

func (p pages) About() ui.About {
	cfg := p.s.config.Load()
	return ui.About{Bot: cfg.Catalog.Bot, Version: p.s.opt.Version, Zone: cfg.Location, Peopled: cfg.Catalog.Access.Peopled}
}

func (p pages) Manages(ctx context.Context, who bellhop.Person) bool {
	return p.s.engine.Manages(ctx, who)
}

func (p pages) Who(who bellhop.Person) bellhop.Principal { return p.s.engine.Identify(who) }

func (p pages) Search(ctx context.Context, who bellhop.Person, s bellhop.RunSearch) (bellhop.RunPage, error) {
	return p.s.engine.Search(ctx, who, s)
}

func (p pages) Tally(ctx context.Context, who bellhop.Person, since time.Time, bucket time.Duration, service, job string) ([]bellhop.TallyBucket, error) {
	return p.s.engine.Tally(ctx, who, since, bucket, service, job)
}

// History, Failed, Votable, LastLines and Health are what becomes of runs
// (ui.Tells).
func (p pages) History(ctx context.Context, who bellhop.Person, id bellhop.RunID) (*bellhop.History, error) {
	return p.s.engine.History(ctx, who, id)
}

func (p pages) Failed(ctx context.Context, who bellhop.Person, since time.Time, n int) ([]bellhop.Run, bool, error) {
	return p.s.engine.Failed(ctx, who, since, n)
}

func (p pages) Votable(ctx context.Context, who bellhop.Person) ([]bellhop.Run, error) {
	return p.s.engine.Votable(ctx, who)
}

func (p pages) LastLines(ctx context.Context, who bellhop.Person, ids []bellhop.RunID) (map[bellhop.RunID]string, error) {
	return p.s.engine.LastLines(ctx, who, ids)
}

func (p pages) Health(ctx context.Context, who bellhop.Person) []ui.Health {
	if !p.s.engine.Identify(who).Internal {
		return nil
	}
	var all []ui.Health
	sees := p.s.sees(ctx, who)
	for _, c := range p.s.checks(ctx) {
		if !sees.Adapter(c.Name) {
			continue
		}
		h := ui.Health{Name: c.Name}
		if c.Err != nil {
			h.Fault = c.Err.Error()
		}
		all = append(all, h)
	}
	slots := p.s.config.Load().Runner.Slots
	return append(all, ui.Health{Name: "runner", Note: fmt.Sprintf("%d of %d places taken", len(p.s.runner.Working()), slots)})
}

// LookLink, OpenSession, SessionPerson, RotateSession and EndSession are how
// people come in (ui.Doors).
func (p pages) LookLink(ctx context.Context, code string) (bellhop.Principal, error) {
	return p.s.engine.LookLink(ctx, code)
}

func (p pages) OpenSession(ctx context.Context, code string, about bellhop.SessionAbout) (string, bellhop.Session, error) {
	return p.s.engine.OpenSession(ctx, code, about)
}

func (p pages) SessionPerson(ctx context.Context, text string) (bellhop.Person, bellhop.Session, error) {
	return p.s.engine.SessionPerson(ctx, text)
}

func (p pages) RotateSession(ctx context.Context, text string) (string, error) {
	return p.s.engine.RotateSession(ctx, text)
}

func (p pages) EndSession(ctx context.Context, who bellhop.Person, id string) error {
	return p.s.engine.EndSession(ctx, who, id)
}

// Login makes a link with which somebody can open the web page, once and within
// a minute.
func (f front) Login(ctx context.Context, p bellhop.Person) (bellhop.Login, error) {
	return f.s.loginLink(ctx, p, bellhop.Origin{}, "")
}

func (s *Server) loginLink(ctx context.Context, p bellhop.Person, from bellhop.Origin, key string) (bellhop.Login, error) {
	at := s.pageURL()
	if at == "" {
		return bellhop.Login{}, bellhop.Errorf(bellhop.NotFound, "there is no web page to log in to; add `web: {listen: \"127.0.0.1:8080\"}` to the configuration, and restart the server")
	}
	code, expires, err := s.engine.LoginLink(ctx, p, from, key)
	if err != nil {
		return bellhop.Login{}, err
	}
	return bellhop.Login{Link: at + "/login/" + url.PathEscape(code), Expires: expires}, nil
}

// pageURL is where the web page is reached: as the configuration says, else
// where the server listens; "" = nowhere.
func (s *Server) pageURL() string {
	w := s.config.Load().Web
	if w == nil || s.webAt == "" {
		return ""
	}
	if w.URL != "" {
		return w.URL
	}
	return s.webAt
}
