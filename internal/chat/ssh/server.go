// Package sshchat is the front end for OpenSSH clients: commands, a prompt, or
// lines, over public keys. The key decides who somebody is; the login name
// means nothing. There are no passwords, no forwarding, no agent and no
// subsystems.
//
// A key that is taken out of authorized_keys (or expires) ends nothing that
// goes on: output and outcomes of what was asked before are still told, but
// the next line, cancellation or session of that connection is refused.
package sshchat

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Options says what a server is.
type Options struct {
	Name   string // of the source: identities are NAME:alice
	Listen string // host:port; port 0 takes a free one
	// HostKey is the file of the server's private key. One is made, with its
	// folder, where there is none.
	HostKey string
	// AuthorizedKeys and TrustedUserCA are files of public keys, each read
	// again when it changes; "" = there is none.
	AuthorizedKeys string
	TrustedUserCA  string
	// OpenDesk opens the desk of a new session of a person; closeDesk is
	// called once, when the session has ended.
	OpenDesk func(p bellhop.Person, session string) (d chat.Desk, closeDesk func())
	// Login, unless nil, is told of each connection whose key was accepted
	// before it may ask anything; with an error it is closed. Of refused keys
	// (refused is why) it is told of the first one in a second from an address;
	// the person is the key then.
	Login  func(p bellhop.Person, from string, refused error) error
	Log    *slog.Logger  // nil = silent
	Clock  bellhop.Clock // nil = the machine's
	Limits Limits
}

// Limits bounds what clients can take. Zero fields have the defaults named.
type Limits struct {
	Connections int           // at once; 512
	PerAddress  int           // of those from one address; 256
	Handshake   time.Duration // until a key was accepted, and until a session says what it is for; 10 s
	AuthTries   int           // failed keys per connection; 6
	Channels    int           // sessions at once per connection; 10
	Idle        time.Duration // of a session without a command, without a key typed or a byte shown, and of a connection without a session; 30 min
	Command     int           // bytes of a command; 1 MiB (the protocol's packets end at 256 KiB)
	Ahead       int           // bytes that a session takes in before it has use for them; 4 MiB
	KeepAlive   time.Duration // between questions whether the client is there, and for its answer; 30 s
}

func (l Limits) withDefaults() Limits {
	l.Connections = or(l.Connections, 512)
	l.PerAddress = or(l.PerAddress, 256)
	l.Handshake = or(l.Handshake, 10*time.Second)
	l.AuthTries = or(l.AuthTries, 6)
	l.Channels = or(l.Channels, 10)
	l.Idle = or(l.Idle, 30*time.Minute)
	l.Command = or(l.Command, chat.MaxLine)
	l.Ahead = or(l.Ahead, 4*chat.MaxLine)
	l.KeepAlive = or(l.KeepAlive, 30*time.Second)
	return l
}

func or[T int | time.Duration](v, ifZero T) T {
	if v <= 0 {
		return ifZero
	}
	return v
}

// Server is an SSH server. Its methods may be called from any goroutine.
type Server struct {
	opt         Options
	authorized  *keyFile
	authorities *keyFile
	config      *ssh.ServerConfig
	refused     refusals

	// ctx ends when the server stops; sessions live under it.
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
	stopped  bool
	conns    map[net.Conn]string // to their address
	perAddr  map[string]int

	accepting sync.WaitGroup
	serving   sync.WaitGroup
}

// New checks the options and makes a server that does not listen yet. The
// error is Invalid.
func New(opt Options) (*Server, error) {
	if err := bellhop.CheckName("source", opt.Name); err != nil {
		return nil, err
	}
	switch {
	case opt.Listen == "":
		return nil, bellhop.Errorf(bellhop.Invalid, `chat %s needs an address: listen: "127.0.0.1:2222"`, opt.Name)
	case opt.HostKey == "":
		return nil, bellhop.Errorf(bellhop.Invalid, "chat %s needs a file for its host key", opt.Name)
	case opt.AuthorizedKeys == "" && opt.TrustedUserCA == "":
		return nil, bellhop.Errorf(bellhop.Invalid, "chat %s admits nobody: set authorized_keys or trusted_user_ca", opt.Name)
	case opt.OpenDesk == nil:
		return nil, bellhop.Errorf(bellhop.Internal, "chat %s has no desk", opt.Name)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = bellhop.SystemClock{}
	}
	opt.Log = opt.Log.With("chat", opt.Name)
	opt.Limits = opt.Limits.withDefaults()
	s := &Server{
		opt:         opt,
		authorized:  &keyFile{path: opt.AuthorizedKeys, what: authorizedKeys, log: opt.Log},
		authorities: &keyFile{path: opt.TrustedUserCA, what: trustedCA, log: opt.Log},
		conns:       map[net.Conn]string{},
		perAddr:     map[string]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.config = &ssh.ServerConfig{
		MaxAuthTries:      opt.Limits.AuthTries,
		PublicKeyCallback: s.publicKey,
		ServerVersion:     "SSH-2.0-Bellhop",
	}
	return s, nil
}

// Start reads or makes the host key and listens; it returns once connections
// are accepted. A host key that others may read is Invalid, an address that is
// taken Unavailable.
func (s *Server) Start(ctx context.Context) error {
	key, err := hostKey(s.opt.HostKey)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.listener != nil {
		return bellhop.Errorf(bellhop.Internal, "chat %s was started before", s.opt.Name)
	}
	s.config.AddHostKey(key)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.opt.Listen)
	if err != nil {
		return bellhop.Errorf(bellhop.Unavailable, "chat %s can't listen on %s: %w; end the program that does, or set another listen:", s.opt.Name, s.opt.Listen, err)
	}
	s.listener = l
	for _, f := range []*keyFile{s.authorized, s.authorities} {
		f.find(nil) // so that faults of the files are logged now
	}
	s.accepting.Go(func() { s.accept(l) })
	return nil
}

// Addr returns where the server listens, nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Stop stops listening, tells sessions that their runs go on, and waits for
// them until ctx ends, after which their connections are cut. It may be called
// twice, and without Start. The error is ctx's when connections were cut.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.mu.Unlock()
	s.cancel()
	s.accepting.Wait()
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		<-done
	}
	s.refused.end(s.opt.Log)
	return err
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors, perhaps
			s.opt.Log.Warn("a connection could not be accepted", "error", err.Error())
			timer, stop := s.opt.Clock.NewTimer(100 * time.Millisecond)
			select {
			case <-timer:
			case <-s.ctx.Done():
			}
			stop()
		case s.admit(c):
			s.serving.Go(func() {
				defer s.release(c)
				s.serve(c)
			})
		default:
			_ = c.Close()
		}
	}
}

// admit counts a connection in, unless there are too many.
func (s *Server) admit(c net.Conn) bool {
	addr, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.conns) >= s.opt.Limits.Connections || s.perAddr[addr] >= s.opt.Limits.PerAddress {
		s.opt.Log.Warn("a connection was turned away: there are too many", "from", addr, "connections", len(s.conns), "from_there", s.perAddr[addr])
		return false
	}
	s.conns[c] = addr
	s.perAddr[addr]++
	return true
}

func (s *Server) release(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	addr := s.conns[c]
	delete(s.conns, c)
	if s.perAddr[addr]--; s.perAddr[addr] <= 0 {
		delete(s.perAddr, addr)
	}
}

// newSession names a session.
func newSession() string { return rand.Text() }
