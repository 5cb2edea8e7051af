package server

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

// startChats starts the configured chats.
func (s *Server) startChats(ctx context.Context, cfg *Loaded) (lines []Line, err error) {
	for _, c := range cfg.Chats {
		srv, err := sshchat.New(sshchat.Options{
			Name: c.Name, Listen: c.SSH.Listen, HostKey: c.SSH.HostKey,
			AuthorizedKeys: c.SSH.AuthorizedKeys, TrustedUserCA: c.SSH.TrustedUserCA,
			OpenDesk: func(p bellhop.Person, session string) (chat.Desk, func()) {
				return s.desk(p, c.Name, session), func() {}
			},
			Clock: zoned{s.clock, cfg.Location}, Log: s.log,
		})
		if err != nil {
			return nil, err
		}
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

// zoned tells the time in the configured zone, for what people read.
type zoned struct {
	bellhop.Clock
	zone *time.Location
}

func (z zoned) Now() time.Time { return z.Clock.Now().In(z.zone) }
