// Package web is the HTTP server that is reached over a network: it listens,
// bounds what a client may cost, tells whether Bellhop is well, and hands all
// else to the handlers that it was given.
package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Options are what a Server is made of. Listen is needed.
type Options struct {
	Listen string // host:port
	// Cert and Key are files in PEM form, read again when they change; "" = no TLS.
	Cert, Key string
	// Proxies are the addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Checks say what must be well for requests to be served, as far as who asks
	// may know it; an error says that they may not ask. nil = nothing.
	Checks func(*http.Request) ([]Check, error)
	Log    *slog.Logger  // nil = discarded
	Clock  bellhop.Clock // nil = the machine's
	Limits Limits
}

// Check is one thing that is looked at for /readyz; a nil Err says it is well.
type Check struct {
	Name string
	Err  error
}

// Limits bound what clients may cost. Zero fields are filled in.
type Limits struct {
	Header      int           // bytes; 32 KiB
	Body        int64         // bytes; 2 MiB
	Read        time.Duration // for a request with its body; 20 s
	Idle        time.Duration // between requests; 2 min
	Stall       time.Duration // for each piece of an answer to be read; 30 s
	Connections int           // at a time; 2,000
	PerAddress  int           // of them from one address; 200
}

func (l *Limits) fill() {
	set(&l.Header, 32<<10)
	set(&l.Body, 2<<20)
	set(&l.Read, 20*time.Second)
	set(&l.Idle, 2*time.Minute)
	set(&l.Stall, stall)
	set(&l.Connections, 2000)
	set(&l.PerAddress, 200)
}

func set[T comparable](field *T, to T) {
	var zero T
	if *field == zero {
		*field = to
	}
}

// Server serves HTTP until it is stopped.
type Server struct {
	opt   Options
	mux   *http.ServeMux
	http  *http.Server
	ln    net.Listener
	end   context.CancelFunc
	serve sync.WaitGroup
	large *limited // larger bodies that are being read
}

// New returns a server that is not started.
func New(o Options) *Server {
	o.Limits.fill()
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: o, mux: http.NewServeMux()}
	s.large = limit(nil, large, largeEach, 0, func(netip.Addr) bool { return false })
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	s.mux.HandleFunc("GET /readyz", s.ready)
	return s
}

// Handle has requests of a pattern of http.ServeMux served. It is called
// before Start. The whole body of a request was read when h gets it.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, s.whole(h))
}

// Addr is where it listens, once started.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Start listens and serves.
func (s *Server) Start(context.Context) error {
	l := s.opt.Limits
	ln, err := net.Listen("tcp", s.opt.Listen)
	if err != nil {
		return bellhop.Errorf(bellhop.Unavailable, "web: %s can't be listened on: %w; free the port, or give web.listen another one", s.opt.Listen, err)
	}
	s.ln = limit(ln, l.Connections, l.PerAddress, l.Stall, s.trusted)
	if s.opt.Cert != "" {
		keys := &keyPair{cert: s.opt.Cert, key: s.opt.Key, log: s.opt.Log, now: s.opt.Clock.Now}
		if err := keys.load(); err != nil {
			ln.Close()
			return err
		}
		s.ln = tls.NewListener(s.ln, &tls.Config{GetCertificate: keys.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	s.http = &http.Server{
		Handler: s.headers(s.mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: l.Idle, MaxHeaderBytes: l.Header,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelDebug),
	}
	s.serve.Go(func() { _ = s.http.Serve(s.ln) })
	return nil
}

// stopFor is how long requests that wait for nothing may take to end: only a
// client that reads nothing takes longer.
const stopFor = 2 * time.Second

// Stop ends what streams, and waits for other requests until ctx ends. It may
// be called twice.
func (s *Server) Stop(ctx context.Context) {
	if s.http == nil {
		return
	}
	s.end()
	ctx, cancel := context.WithTimeout(ctx, stopFor)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.serve.Wait()
}

// headers are those that every answer has.
func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.tell(r)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r.WithContext(WithClient(r.Context(), s.client(r))))
	})
}

// whole reads the body of a request within its time and size, so that no
// handler waits for a slow client, and what streams its answer may take as
// long as it likes.
func (s *Server) whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Now().Add(s.opt.Limits.Read))
		body, err := s.read(w, r)
		if p, ok := errors.AsType[*Problem](err); ok {
			Fail(w, p)
			return
		}
		if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
			Fail(w, &Problem{Status: http.StatusRequestEntityTooLarge, Code: bellhop.Invalid, Detail: "the body is larger than the " + size(long.Limit) + " that are taken"})
			return
		}
		if err != nil { // too slow, or gone
			Fail(w, &Problem{Status: http.StatusRequestTimeout, Code: bellhop.Invalid, Detail: "the body did not come in time"})
			return
		}
		_ = c.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// Bodies of up to small bytes are read from whoever sends them. Of larger ones,
// so many at a time, which nobody has had to prove anything for yet.
const (
	small     = 64 << 10
	large     = 32
	largeEach = 8 // from one address
)

func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	most := s.opt.Limits.Body
	if r.ContentLength > most { // before any of it is sent, if the client asks (Expect: 100-continue)
		w.Header().Set("Connection", "close")
		return nil, &http.MaxBytesError{Limit: most}
	}
	from := http.MaxBytesReader(w, r.Body, most)
	body, err := io.ReadAll(io.LimitReader(from, small))
	if err != nil || len(body) < small {
		return body, err
	}
	at := Client(r.Context())
	if !s.large.take(at) {
		w.Header().Set("Connection", "close")
		return nil, &Problem{Status: http.StatusServiceUnavailable, Code: bellhop.Unavailable, Detail: "not accepted: too many large bodies are being sent just now; send it again"}
	}
	defer s.large.give(at)
	rest, err := io.ReadAll(from)
	return append(body, rest...), err
}

// tell logs that a handler failed, and cuts the connection.
func (s *Server) tell(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
		s.opt.Log.Error("a request was cut off by a fault of Bellhop's", "method", r.Method, "path", firstOf(r.URL.Path), "fault", v, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// firstOf is the first word of a path: what follows may be a link that proves
// something.
func firstOf(path string) string {
	first, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if more && rest != "" {
		return "/" + first + "/..."
	}
	return "/" + first
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	var checks []Check
	if s.opt.Checks != nil {
		var err error
		if checks, err = s.opt.Checks(r.WithContext(ctx)); err != nil {
			Fail(w, err)
			return
		}
	}
	status, text := http.StatusOK, ""
	for _, c := range checks {
		if c.Err != nil {
			status, text = http.StatusServiceUnavailable, text+c.Name+": "+c.Err.Error()+"\n"
			continue
		}
		text += c.Name + ": ready\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

type clientKey struct{}

// WithClient is a context of a request that comes from an address.
func WithClient(ctx context.Context, from netip.Addr) context.Context {
	return context.WithValue(ctx, clientKey{}, from)
}

// Client is the address that a request comes from: the nearest one in
// X-Forwarded-For that no trusted proxy has, or the connection's.
func Client(ctx context.Context) netip.Addr {
	a, _ := ctx.Value(clientKey{}).(netip.Addr)
	return a
}
