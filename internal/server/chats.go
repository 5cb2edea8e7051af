package server

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	slackchat "github.com/bellhop-io/bellhop/internal/chat/slack"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
	"github.com/bellhop-io/bellhop/internal/config"
)

// startChats starts the configured chats.
func (s *Server) startChats(ctx context.Context, cfg *Loaded) (lines []Line, err error) {
	for _, c := range cfg.Chats {
		if own := s.slacks[c.Name]; own != nil {
			if err := own.Start(ctx); err != nil {
				return nil, err
			}
			lines = append(lines, Line{c.Name, "Slack"})
			continue
		}
		srv := s.sshs[c.Name]
		if err := srv.Start(ctx); err != nil {
			return nil, err
		}
		s.onStop(func(ctx context.Context) {
			if err := srv.Stop(ctx); err != nil {
				s.log.Warn("stopping "+c.Name, "error", err)
			}
		})
		lines = append(lines, Line{c.Name, srv.Addr().String()})
	}
	return lines, nil
}

// makeSSHs builds the chats over SSH, which know whose keys are admitted. None
// listens yet.
func (s *Server) makeSSHs(ctx context.Context, cfg *Loaded) error {
	s.sshs = make(map[string]*sshchat.Server)
	if r := s.opt.rehearsal; s.opt.Solo || r != nil && !r.opt.Listen {
		return nil // nobody is listened to
	}
	for _, c := range cfg.Chats {
		if c.SSH == nil {
			continue
		}
		srv, err := sshchat.New(sshchat.Options{
			Name: c.Name, Listen: c.SSH.Listen, HostKey: c.SSH.HostKey,
			AuthorizedKeys: c.SSH.AuthorizedKeys, TrustedUserCA: c.SSH.TrustedUserCA,
			OpenDesk: func(p bellhop.Person, session string) (chat.Desk, func()) {
				return s.desk(p, c.Name, session), func() {}
			},
			Login: func(p bellhop.Person, from string, refused error) error {
				return s.login(ctx, c.Name, p, from, refused)
			},
			Clock: zoned{s.clock, cfg.Location}, Log: s.log,
		})
		if err != nil {
			return err
		}
		s.sshs[c.Name] = srv
	}
	return nil
}

// login records that somebody proved who they are, or failed to.
func (s *Server) login(ctx context.Context, source string, p bellhop.Person, from string, refused error) error {
	rec := &bellhop.AuditRecord{
		At: s.clock.Now(), Action: bellhop.AuditLogin, Identity: p.Identity, Source: source, Allowed: refused == nil, Detail: "from " + from,
	}
	if refused != nil {
		rec.Detail += ": " + refused.Error()
	} else {
		rec.Principal = s.engine.Identify(p).Principal()
	}
	return s.engine.Record(context.WithoutCancel(ctx), rec)
}

// makeSlacks builds the chats that are in Slack: they are destinations of
// reports and directories of groups, too. Nothing is asked of Slack yet.
func (s *Server) makeSlacks(ctx context.Context, cfg *Loaded) error {
	s.slacks = make(map[string]*slackchat.Chat)
	if r := s.opt.rehearsal; r != nil && !r.opt.Listen {
		return nil // nothing outside is asked, not even who belongs to a group
	}
	for _, c := range cfg.Chats {
		if c.Slack == nil {
			continue
		}
		k, err := s.tokens(ctx, *c.Slack)
		if err != nil {
			return err
		}
		own, err := slackchat.New(slackOptions(c.Name, k, cfg, slackchat.Options{
			House: house{s}, Values: s.store.Values, Clock: zoned{s.clock, cfg.Location}, Log: s.log,
		}))
		if err != nil {
			return err
		}
		s.slacks[c.Name] = own
		s.onStop(func(ctx context.Context) {
			if err := own.Stop(ctx); err != nil {
				s.log.Warn("stopping "+c.Name, "error", err)
			}
		})
	}
	return nil
}

func slackOptions(name string, k config.Slack, cfg *Loaded, o slackchat.Options) slackchat.Options {
	o.Name, o.Bot, o.APIURL, o.Channels = name, cfg.Catalog.Bot, k.APIURL, k.Channels
	o.AppToken, o.BotToken, o.SigningSecret, o.Events = k.AppToken, k.BotToken, k.SigningSecret, k.Events != ""
	o.Reactions = slackchat.Reactions(k.Reactions)
	o.CatchUp, o.ThreadAlways, o.Silent, o.HearName, o.AutoJoin = k.CatchUp, k.ThreadAlways, k.Silent, k.HearName, k.AutoJoin
	for _, l := range k.Listen {
		o.Listen = append(o.Listen, slackchat.Listen{Match: regexp.MustCompile("(?i)" + l.Match), Reply: l.Reply, React: l.React, Forward: l.Forward})
	}
	return o
}

// Member tells who belongs to the groups that chats keep (bellhop.Directory):
// the group's name begins with the chat's.
func (s *Server) Member(ctx context.Context, group, identity string, fresh bool) (bool, error) {
	for name, c := range s.slacks {
		if strings.HasPrefix(group, name+"-usergroup:") || strings.HasPrefix(group, name+"-channel-members:") {
			return c.Member(ctx, group, identity, fresh)
		}
	}
	return false, bellhop.Errorf(bellhop.NotFound, "no chat keeps a group %s", group)
}

// reach names the chats that reach a person who is not connected, outside
// sources too.
func reach(cfg *Loaded) []string {
	var names []string
	for _, c := range cfg.Chats {
		if c.Slack != nil {
			names = append(names, c.Name)
		}
	}
	return append(names, cfg.Catalog.Sources...)
}

// zoned tells the time in the configured zone, for what people read.
type zoned struct {
	bellhop.Clock
	zone *time.Location
}

func (z zoned) Now() time.Time { return z.Clock.Now().In(z.zone) }
