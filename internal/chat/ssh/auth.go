package sshchat

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
)

const (
	authorizedKeys = "authorized_keys"
	trustedCA      = "trusted_user_ca"
)

// person is who a connection's key proves to be there.
type person struct {
	bellhop.Person
	noPTY bool
}

// errUnknown is told to nobody: a client learns only that the key is refused.
var errUnknown = errors.New("the key is not known")

// identify says who a key belongs to, by the files as they are now. The login
// name means nothing.
func (s *Server) identify(key ssh.PublicKey, addr net.Addr) (person, error) {
	if cert, ok := key.(*ssh.Certificate); ok {
		return s.certified(cert, addr)
	}
	k := s.authorized.find(key.Marshal())
	if k == nil {
		return person{}, errUnknown
	}
	if err := k.admits(addr, s.opt.Clock.Now()); err != nil {
		return person{}, err
	}
	return s.person(k.Name, true, k.NoPTY), nil
}

func (s *Server) person(name string, listed, noPTY bool) person {
	return person{Person: bellhop.Person{Identity: s.opt.Name + ":" + name, Name: name, Listed: listed}, noPTY: noPTY}
}

// certified says who a certificate names: its first principal. A certificate
// without principals would be everybody's, and admits nobody.
func (s *Server) certified(cert *ssh.Certificate, addr net.Addr) (person, error) {
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{sourceAddress},
		Clock:                    s.opt.Clock.Now,
	}
	switch {
	case cert.CertType != ssh.UserCert:
		return person{}, errors.New("the certificate is not a user's")
	case s.authorities.find(cert.SignatureKey.Marshal()) == nil:
		return person{}, errors.New("the certificate's authority is not trusted")
	case len(cert.ValidPrincipals) == 0:
		return person{}, errors.New("the certificate names no principal; sign it with ssh-keygen -n NAME")
	}
	name := cert.ValidPrincipals[0]
	if err := checker.CheckCert(name, cert); err != nil {
		return person{}, err
	}
	if err := bellhop.CheckName("person", name); err != nil {
		return person{}, err
	}
	if from, ok := cert.CriticalOptions[sourceAddress]; ok {
		k := Key{Name: name, From: strings.Split(from, ",")}
		if err := k.admits(addr, s.opt.Clock.Now()); err != nil {
			return person{}, err
		}
	}
	_, pty := cert.Extensions["permit-pty"]
	return s.person(name, false, !pty), nil
}

// sourceAddress is the one critical option that is honoured.
const sourceAddress = "source-address"

// publicKey is asked by each handshake whether a key may go on to prove that
// it is there.
func (s *Server) publicKey(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	who, err := s.identify(key, c.RemoteAddr())
	if err != nil {
		first := s.refused.add(s.opt.Log, s.opt.Clock.Now(), c.RemoteAddr(), key, err)
		if first && s.opt.Login != nil {
			nobody := bellhop.Person{Identity: s.opt.Name + ":" + ssh.FingerprintSHA256(key)}
			if told := s.opt.Login(nobody, c.RemoteAddr().String(), err); told != nil {
				s.opt.Log.Warn("that a key was refused could not be recorded", "error", told)
			}
		}
		return nil, err
	}
	perms := &ssh.Permissions{ExtraData: map[any]any{keyOf{}: key, personOf{}: who}}
	if cert, ok := key.(*ssh.Certificate); ok {
		if from, ok := cert.CriticalOptions[sourceAddress]; ok {
			perms.CriticalOptions = map[string]string{sourceAddress: from} // enforced by the ssh package, too
		}
	}
	return perms, nil
}

type (
	keyOf    struct{}
	personOf struct{}
)

// still returns nil while the key of a connection would be admitted again, as
// the same person.
func (s *Server) still(key ssh.PublicKey, addr net.Addr, who person) error {
	now, err := s.identify(key, addr)
	if err == nil && now.Person != who.Person {
		err = fmt.Errorf("the key is %s's now", now.Name)
	}
	if err != nil {
		return bellhop.Errorf(bellhop.NotAllowed, "your key is not admitted any more; nothing was done")
	}
	return nil
}

// Still returns nil while somebody who once spoke here could do so again: with
// any key in authorized_keys under their name, or by a certificate.
func (s *Server) Still(p bellhop.Person) error {
	now := s.opt.Clock.Now()
	name := strings.TrimPrefix(p.Identity, s.opt.Name+":")
	if p.Listed && s.authorized.any(func(k *Key) bool { return k.Name == name && (k.Expires.IsZero() || now.Before(k.Expires)) }) {
		return nil
	}
	if !p.Listed && s.authorities.any(func(*Key) bool { return true }) {
		return nil
	}
	return bellhop.Errorf(bellhop.NotAllowed, "%s is not admitted any more", p.Identity)
}

// parseAuthorities reads the keys of those who may sign certificates.
func parseAuthorities(data []byte, path string, log *slog.Logger) map[string]*Key {
	keys := map[string]*Key{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		public, _, options, _, err := ssh.ParseAuthorizedKey(line)
		_, isCert := public.(*ssh.Certificate)
		if err != nil || len(options) > 0 || isCert {
			log.Warn("a line of trusted_user_ca was ignored", "file", path, "line", n,
				"reason", "it is not the public key of an authority, without options; use the line of its .pub file whole")
			continue
		}
		keys[string(public.Marshal())] = &Key{Public: public}
	}
	return keys
}
