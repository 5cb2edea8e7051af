package e2e_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// sshAs is what a script calls to ask over SSH: ssh-as NAME [ARGUMENT]... It
// takes NAME's key and gives a login name that must not matter. Options for
// ssh itself go into $SSH_OPTIONS.
const sshAs = `#!/bin/sh
name=$1
shift
exec ssh -F none -i "$WORK/keys/$name" -o IdentitiesOnly=yes -o IdentityAgent=none \
  -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=accept-new \
  -o "UserKnownHostsFile=$WORK/known_hosts" -p "$SSH_PORT" -l whoever $SSH_OPTIONS 127.0.0.1 "$@"
`

// newKey makes a key pair: keys/NAME and keys/NAME.pub, with NAME as comment.
func (p *place) newKey(name string) ssh.Signer {
	p.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		p.t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("keys/"+name, string(pem.EncodeToMemory(block)))
	if err := os.Chmod(p.path("keys/"+name), 0o600); err != nil {
		p.t.Fatal(err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " " + name + "\n"
	p.write("keys/"+name+".pub", line)
	return signer
}

// admit makes a key for each name and writes them to authorized_keys.
func (p *place) admit(names ...string) map[string]ssh.Signer {
	p.t.Helper()
	signers := make(map[string]ssh.Signer)
	var lines strings.Builder
	for _, name := range names {
		signers[name] = p.newKey(name)
		lines.WriteString(p.read("keys/" + name + ".pub"))
	}
	p.write("authorized_keys", lines.String())
	return signers
}

// freePort finds a port of 127.0.0.1 that nobody listens on. It may be taken
// before it is used, though hardly: the kernel hands ports out in turn.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
