package sshchat

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// maxKeyFile bounds authorized_keys and trusted_user_ca.
const maxKeyFile = 16 << 20

// keyFile is a file of keys that is read again when it has changed. A file
// that is missing, can't be read or may be written by anybody admits nobody.
type keyFile struct {
	path string
	what string // its name in the configuration
	log  *slog.Logger

	mu     sync.Mutex
	stat   os.FileInfo
	keys   map[string]*Key
	logged string // the last fault that was logged; each is logged once
}

// find returns the key's line as it stands in the file now, nil when there is
// none. id is the key in its wire form.
func (f *keyFile) find(id []byte) *Key {
	if f.path == "" {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	return f.keys[string(id)]
}

// any reports whether a line as it stands in the file now is such a one.
func (f *keyFile) any(such func(*Key) bool) bool {
	if f.path == "" {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	for _, k := range f.keys {
		if such(k) {
			return true
		}
	}
	return false
}

func (f *keyFile) refresh() {
	stat, err := os.Stat(f.path)
	if err == nil && f.stat != nil && os.SameFile(stat, f.stat) && stat.Size() == f.stat.Size() && stat.ModTime().Equal(f.stat.ModTime()) && stat.Mode() == f.stat.Mode() {
		return
	}
	f.keys, f.stat = nil, nil
	if err != nil {
		f.fault(err)
		return
	}
	if stat.Mode().Perm()&0o002 != 0 {
		f.fault(errors.New("everybody may write to it; take that away with: chmod o-w " + f.path))
		return
	}
	if folder, err := os.Stat(filepath.Dir(f.path)); err == nil && folder.Mode().Perm()&0o002 != 0 && folder.Mode()&os.ModeSticky == 0 {
		f.fault(errors.New("everybody may write to its folder, and so replace it; take that away with: chmod o-w " + filepath.Dir(f.path)))
		return
	}
	data, err := readBounded(f.path)
	if err != nil {
		f.fault(err)
		return
	}
	f.logged = ""
	f.stat = stat
	f.keys = f.parse(data)
	f.log.Info("read "+f.what, "file", f.path, "keys", len(f.keys))
}

func (f *keyFile) parse(data []byte) map[string]*Key {
	if f.what == trustedCA {
		return parseAuthorities(data, f.path, f.log)
	}
	return parseKeys(data, f.path, f.log)
}

func (f *keyFile) fault(err error) {
	reason := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		reason = "it does not exist; make it with a public key a line"
	}
	if reason != f.logged {
		f.logged = reason
		f.log.Warn(f.what+" admits nobody", "file", f.path, "reason", reason)
	}
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = errors.New("it is larger than 16 MiB")
	}
	return data, err
}
