package sshchat

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
)

// hostKey reads the server's key, and makes one (ed25519, mode 0600) where
// there is none yet.
func hostKey(path string) (ssh.Signer, error) {
	err := makeHostKey(path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, bellhop.Errorf(bellhop.Invalid, "the SSH host key %s can't be made: %w", path, err)
	}
	stat, err := os.Stat(path)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the SSH host key can't be read: %w", err)
	}
	if stat.Mode().Perm()&0o077 != 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the SSH host key %s may be read by others (mode %04o), who could pose as this server; if nobody has, do: chmod 600 %s; else take it away, and a new one is made", path, stat.Mode().Perm(), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the SSH host key can't be read: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the SSH host key %s is not a private key without a passphrase: %w; take it away, and a new one is made", path, err)
	}
	return signer, nil
}

// makeHostKey writes a new key, whole or not at all, unless path exists
// (fs.ErrExist).
func makeHostKey(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "bellhop")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".host_key_*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(pem.EncodeToMemory(block))
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Link(tmp.Name(), path) // never over a key that another server made meanwhile
}
