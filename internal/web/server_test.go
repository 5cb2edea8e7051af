package web_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server whose /echo tells the body and /from the client.
func serve(t *testing.T, o web.Options) *web.Server {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s := web.New(o)
	s.Handle("POST /echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b)
	}))
	s.Handle("/from", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, web.Client(r.Context()).String())
	}))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Stop(ctx)
		s.Stop(ctx) // twice is fine
	})
	return s
}

func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func do(t *testing.T, c *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestReady(t *testing.T) {
	var ill error
	s := serve(t, web.Options{Checks: func(r *http.Request) ([]web.Check, error) {
		if r.Header.Get("Authorization") != "" {
			return nil, &web.Problem{Status: http.StatusUnauthorized, Code: bellhop.NotAllowed}
		}
		return []web.Check{{Name: "store", Err: ill}, {Name: "slack"}}, nil
	}})
	c, base := client(t), "http://"+s.Addr().String()
	if status, body := do(t, c, "GET", base+"/healthz", ""); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, body := do(t, c, "GET", base+"/readyz", ""); status != 200 || body != "store: ready\nslack: ready\n" {
		t.Errorf("%d %q", status, body)
	}
	ill = errors.New("the disk is full")
	if status, body := do(t, c, "GET", base+"/readyz", ""); status != 503 || body != "store: the disk is full\nslack: ready\n" {
		t.Errorf("%d %q", status, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Error(resp.Status)
	}
}

func TestABodyIsBounded(t *testing.T) {
	s := serve(t, web.Options{Limits: web.Limits{Body: 1 << 20}})
	c, url := client(t), "http://"+s.Addr().String()+"/echo"
	whole := strings.Repeat("x", 1<<20)
	if status, body := do(t, c, "POST", url, whole); status != 200 || body != whole {
		t.Errorf("a body of the largest size: %d, %d bytes", status, len(body))
	}
	status, body := do(t, c, "POST", url, whole+"x")
	var p web.Problem
	if err := json.Unmarshal([]byte(body), &p); status != 413 || err != nil || p.Code != bellhop.Invalid || !strings.Contains(p.Detail, "1 MiB") || p.Title == "" || p.Type == "" {
		t.Errorf("%d %+v, %v", status, p, err)
	}
}

// TestASlowClientIsCutOff: a body that drips, and headers that do.
func TestASlowClientIsCutOff(t *testing.T) {
	s := serve(t, web.Options{Limits: web.Limits{Read: 200 * time.Millisecond}})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprint(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nfive ")
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 408 {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// TestOneAddressDoesNotTakeAll: beyond its share it is cut off, and what it
// lets go is there again.
func TestOneAddressDoesNotTakeAll(t *testing.T) {
	s := serve(t, web.Options{Limits: web.Limits{PerAddress: 2}})
	var held []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	c := client(t)
	if status, body := do(t, c, "GET", "http://"+s.Addr().String()+"/healthz", ""); status != 0 {
		t.Errorf("a third connection: %d %q", status, body)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		if status, _ := do(t, c, "GET", "http://"+s.Addr().String()+"/healthz", ""); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("closed connections still count")
		}
	}
}

func TestOnlyATrustedProxyIsBelieved(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, tt := range []struct {
		trust     []netip.Prefix
		forwarded []string
		want      string
	}{
		{nil, []string{"1.2.3.4"}, "127.0.0.1"},
		{loopback, nil, "127.0.0.1"},
		{loopback, []string{"1.2.3.4"}, "1.2.3.4"},
		{loopback, []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"}, // what a client made up
		{loopback, []string{"6.6.6.6", "1.2.3.4, 127.0.0.9"}, "1.2.3.4"},
		{loopback, []string{"1.2.3.4, nonsense"}, "127.0.0.1"},
		{loopback, []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
	} {
		s := serve(t, web.Options{Proxies: tt.trust})
		var header []string
		for _, f := range tt.forwarded {
			header = append(header, "X-Forwarded-For", f)
		}
		if _, got := do(t, client(t), "GET", "http://"+s.Addr().String()+"/from", "", header...); got != tt.want {
			t.Errorf("%q, trusting %v: %s, want %s", tt.forwarded, tt.trust, got, tt.want)
		}
	}
}

// TestStopEndsStreams: what would go on for ever ends with the server.
func TestStopEndsStreams(t *testing.T) {
	s := web.New(web.Options{Listen: "127.0.0.1:0"})
	s.Handle("GET /stream", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := client(t)
	resp, err := c.Get("http://" + s.Addr().String() + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("it waited for the stream")
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = web.New(web.Options{Listen: ln.Addr().String()}).Start(t.Context())
	if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "web.listen") {
		t.Error(err)
	}
}

// certify writes a certificate with its key, and returns a pool that trusts it.
func certify(t *testing.T, dir string, serial int64, at time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "bellhop"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: raw}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool
}

// TestARenewedCertificateIsShown, and one that can't be read leaves the old one.
func TestARenewedCertificateIsShown(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	pool := certify(t, dir, 1, now.Add(-time.Hour))
	clock := &handClock{now: now}
	s := serve(t, web.Options{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Clock: clock})
	get := func(pool *x509.CertPool) int64 {
		t.Helper()
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("https://" + s.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := get(pool); n != 1 {
		t.Errorf("serial %d", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.set(now.Add(time.Minute))
	if n := get(pool); n != 1 {
		t.Errorf("serial %d", n)
	}
	pool = certify(t, dir, 2, now)
	clock.set(now.Add(2 * time.Minute))
	if n := get(pool); n != 2 {
		t.Errorf("serial %d", n)
	}
	err := web.New(web.Options{Listen: "127.0.0.1:0", Cert: filepath.Join(dir, "none.pem"), Key: filepath.Join(dir, "key.pem")}).Start(t.Context())
	if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "none.pem") {
		t.Error(err)
	}
}

type handClock struct {
	bellhop.SystemClock
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}
