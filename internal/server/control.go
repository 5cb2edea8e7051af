package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxSocketPath is the longest path that is used for a socket: Linux takes 107
// bytes, macOS 103.
const maxSocketPath = 100

// SocketPath returns where the control socket of a configuration's folder is:
// .bellhop/control.sock in it, or when that is too long for a socket, in a
// folder of this user's named by hash.
func SocketPath(home string) string {
	path := filepath.Join(home, ".bellhop", "control.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	folder := "bellhop-" + strconv.Itoa(os.Getuid()) + "-" + hex.EncodeToString(sum[:8])
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" || len(base)+len(folder)+len("/control.sock")+1 > maxSocketPath {
		base = os.TempDir()
	}
	if len(base)+len(folder)+len("/control.sock")+1 > maxSocketPath {
		base = "/tmp"
	}
	return filepath.Join(base, folder, "control.sock")
}

// TrustSocket returns nil unless another user of this machine may have put the
// socket there, to be asked in this user's server's place. Beside the
// configuration nobody can who may not change that; in a folder that all users
// share, whoever comes first can take its name.
func TrustSocket(path string) error {
	folder := filepath.Dir(path)
	if filepath.Base(folder) == ".bellhop" {
		return nil
	}
	info, err := os.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() || !ownedByMe(info) || info.Mode().Perm()&0o022 != 0 {
		return bellhop.Errorf(bellhop.Unavailable, "%s is not a folder that only you may write to, so whoever answers there may be somebody else; remove it, or set XDG_RUNTIME_DIR, and try again", folder)
	}
	return nil
}

// privateFolder makes a folder that only this user can enter, or makes sure
// that one is.
func privateFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return bellhop.Errorf(bellhop.Unavailable, "the folder %s can't be made: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || !ownedByMe(info) {
		return bellhop.Errorf(bellhop.Unavailable, "%s is not a folder of yours; remove it and try again", path)
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(path, 0o700)
	}
	return nil
}

// control is the control socket: the API for who runs the server.
type control struct {
	path  string
	http  *http.Server
	ln    net.Listener
	serve sync.WaitGroup
	end   context.CancelFunc
}

type peerKey struct{}

// peer is who is at the other end of a connection.
type peer struct {
	uid int
	err error
}

// listenControl serves handler on the socket. The store's lock must be held:
// it proves that a socket file which is there already is left over, unless
// something answers on it.
func listenControl(path string, handler http.Handler) (*control, error) {
	if err := privateFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, bellhop.Errorf(bellhop.Conflict, "another bellhop answers on %s, with another store; stop it first, or keep this configuration in a folder of its own", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "the control socket %s can't be made: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	c := &control{path: path, ln: ln}
	ctx, end := context.WithCancel(context.Background())
	c.end = end
	c.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			uid, err := peerUID(conn)
			return context.WithValue(ctx, peerKey{}, peer{uid: uid, err: err})
		},
	}
	c.serve.Go(func() { _ = c.http.Serve(ln) })
	return c, nil
}

// stop ends every stream, waits a little for other requests, and removes the
// socket, with its folder when that is a temporary one.
func (c *control) stop() {
	c.end()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if c.http.Shutdown(ctx) != nil {
		c.http.Close()
	}
	c.serve.Wait()
	if folder := filepath.Dir(c.path); filepath.Base(folder) != ".bellhop" {
		_ = os.Remove(folder) // made for the socket alone; goes only when it is empty
	}
}

// person tells who makes a request on the control socket. Its owner is one of
// the internal people.
func person(r *http.Request) (bellhop.Person, error) {
	p, ok := r.Context().Value(peerKey{}).(peer)
	if !ok || p.err != nil {
		return bellhop.Person{}, bellhop.Errorf(bellhop.NotAllowed, "the control socket could not tell who you are: %w", p.err)
	}
	return LocalPerson(p.uid), nil
}

// LocalPerson is the person that a user of this machine is.
func LocalPerson(uid int) bellhop.Person {
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return bellhop.Person{Identity: fmt.Sprintf("local:%s", name), Listed: uid == os.Getuid()}
}
