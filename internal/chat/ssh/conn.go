package sshchat

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// serve holds one connection until it ends.
func (s *Server) serve(nc net.Conn) {
	// Ends with the connection, and with the server.
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	conn, channels, requests, err := s.handshake(ctx, nc)
	if err != nil {
		s.opt.Log.Debug("a connection came to nothing", "from", nc.RemoteAddr().String(), "reason", err.Error())
		return
	}
	who, ok := conn.Permissions.ExtraData[personOf{}].(person)
	key, ok2 := conn.Permissions.ExtraData[keyOf{}].(ssh.PublicKey)
	if !ok || !ok2 {
		return
	}
	if s.opt.Login != nil {
		if err := s.opt.Login(who.Person, nc.RemoteAddr().String(), nil); err != nil {
			s.opt.Log.Error("a connection was closed, since it could not be recorded", "identity", who.Identity, "error", err)
			_ = conn.Close()
			return
		}
	}
	s.opt.Log.Info("connected", "identity", who.Identity, "from", nc.RemoteAddr().String(), "key", ssh.FingerprintSHA256(key))

	var sessions, helpers sync.WaitGroup
	helpers.Go(func() { ssh.DiscardRequests(requests) }) // refuses forwarding
	helpers.Go(func() { s.keepAlive(ctx, conn) })
	slots := make(chan struct{}, s.opt.Limits.Channels)
	var opened atomic.Int64
	helpers.Go(func() {
		s.watchUnused(ctx, conn, func() (int64, bool) { return opened.Load(), len(slots) > 0 })
	})
	handle := func(c ssh.NewChannel) {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.Prohibited, "Bellhop forwards nothing; only sessions are opened")
			return
		}
		if s.ctx.Err() != nil {
			_ = c.Reject(ssh.ResourceShortage, "Bellhop is stopping")
			return
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = c.Reject(ssh.ResourceShortage, "too many sessions on this connection")
			return
		}
		channel, reqs, err := c.Accept()
		if err != nil {
			<-slots
			return
		}
		ses := &session{s: s, who: who, key: key, addr: nc.RemoteAddr(), ch: channel, in: newInput(s.opt.Limits.Ahead)}
		opened.Add(1)
		sessions.Go(func() {
			defer func() { <-slots }()
			ses.serve(ctx, reqs)
		})
	}
	stopping := s.ctx.Done() // nothing but Stop ends ctx before the loop has ended
	for open := true; open; {
		select {
		case c, more := <-channels:
			if open = more; open {
				handle(c)
			}
		case <-stopping:
			// Sessions say good-bye; then the connection is closed, and channels with it.
			stopping = nil
			helpers.Go(func() {
				sessions.Wait()
				_ = conn.Close()
			})
		}
	}
	cancel()
	sessions.Wait()
	_ = conn.Close()
	helpers.Wait()
	s.opt.Log.Info("disconnected", "identity", who.Identity, "from", nc.RemoteAddr().String())
}

// handshake proves who is there, within its time.
func (s *Server) handshake(ctx context.Context, nc net.Conn) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if err := nc.SetDeadline(time.Now().Add(s.opt.Limits.Handshake)); err != nil {
		return nil, nil, nil, err
	}
	conn, channels, requests, err := ssh.NewServerConn(nc, s.config)
	if err != nil {
		return nil, nil, nil, err
	}
	return conn, channels, requests, nc.SetDeadline(time.Time{})
}

// watchUnused cuts a connection on which there was no session for the time that
// a session may be idle. use tells how many were opened, and whether one is open.
func (s *Server) watchUnused(ctx context.Context, conn ssh.Conn, use func() (opened int64, open bool)) {
	last := int64(-1) // how many had been opened when there was none; -1: there was one
	for {
		timer, stop := s.opt.Clock.NewTimer(s.opt.Limits.Idle)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
		switch opened, open := use(); {
		case open:
			last = -1
		case opened == last:
			_ = conn.Close()
			return
		default:
			last = opened
		}
	}
}

// keepAlive asks from time to time whether the client is still there, and
// cuts the connection when no answer comes.
func (s *Server) keepAlive(ctx context.Context, conn ssh.Conn) {
	for {
		timer, stop := s.opt.Clock.NewTimer(s.opt.Limits.KeepAlive)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
		answered := make(chan error, 1)
		go func() {
			_, _, err := conn.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		timer, stop = s.opt.Clock.NewTimer(s.opt.Limits.KeepAlive)
		select {
		case err := <-answered:
			stop()
			if err != nil {
				return
			}
		case <-timer:
			_ = conn.Close()
			<-answered
			return
		case <-ctx.Done():
			stop()
			return // the request ends with the connection
		}
	}
}
