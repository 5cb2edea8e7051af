package e2e_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop/internal/conversation"
)

// listedKeys is authorized_keys, authority the key of who signs certificates
// for guests.
var (
	listedKeys = authorize("alice") + authorize("bob") + authorize("dora")
	authority  = string(ssh.MarshalAuthorizedKey(keyOf("authority").PublicKey()))
)

// keyOf returns a person's key, always the same.
func keyOf(name string) ssh.Signer {
	seed := sha256.Sum256([]byte(name))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	return s
}

func authorize(name string) string {
	return fmt.Sprintf("principal=%q %s", name, ssh.MarshalAuthorizedKey(keyOf(name).PublicKey()))
}

// guestKey is a key with a certificate, which makes somebody known and no more.
func guestKey(name string) (ssh.Signer, error) {
	key := keyOf(name)
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity,
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if err := cert.SignCert(zeroes{}, keyOf("authority")); err != nil {
		return nil, err
	}
	return ssh.NewCertSigner(cert, key)
}

// zeroes is randomness that nothing here depends on.
type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// openSSH is the real SSH server, with a terminal for each person.
func openSSH(t *testing.T, h *held) conversation.Stage {
	addr := h.listens(t, "ssh")
	return h.terminals(t, "ssh", func(_ context.Context, name string) (io.ReadWriteCloser, error) {
		signer, err := keyOf(name), error(nil)
		if guest, ok := strings.CutPrefix(name, "ssh:"); ok {
			signer, err = guestKey(guest)
		}
		if err != nil {
			return nil, err
		}
		return dialTerminal(addr, signer)
	})
}

// remote is a session with a terminal.
type remote struct {
	io.Reader
	io.Writer
	client *ssh.Client
}

func (r *remote) Close() error { return r.client.Close() }

func dialTerminal(addr string, signer ssh.Signer) (*remote, error) {
	client, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{
		User: "anybody", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, err
	}
	r := &remote{client: client}
	if err := r.begin(); err != nil {
		client.Close()
		return nil, err
	}
	return r, nil
}

func (r *remote) begin() error {
	s, err := r.client.NewSession()
	if err != nil {
		return err
	}
	if r.Writer, err = s.StdinPipe(); err != nil {
		return err
	}
	if r.Reader, err = s.StdoutPipe(); err != nil {
		return err
	}
	if err := s.RequestPty("xterm", 10_000, 10_000, nil); err != nil {
		return err
	}
	return s.Shell()
}
