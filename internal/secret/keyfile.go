package secret

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bellhop-io/bellhop"
)

// nextSuffix ends the name of the key file that a rotation begins with.
const nextSuffix = ".next"

// readKeyFile reads a key file; ok is false when there is none. One that
// somebody else may read, or put there, is refused.
func readKeyFile(path string) (k key, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, false, nil
	}
	if err != nil {
		return k, false, bellhop.Errorf(bellhop.Unavailable, "the key file %s can't be read; it belongs to the user that runs the server: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k, false, bellhop.Errorf(bellhop.Unavailable, "the key file %s can't be read: %w", path, err)
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return k, false, bellhop.Errorf(bellhop.Invalid, "%s is not a file, and the key file should be there", path)
	case mode.Perm()&0o077 != 0:
		return k, false, bellhop.Errorf(bellhop.NotAllowed, "others may read the key file %s (mode %04o); chmod 600 it, and when somebody may have read it: bellhop secret rotate", path, mode.Perm())
	case !trusted(info):
		return k, false, bellhop.Errorf(bellhop.NotAllowed, "the key file %s belongs to another user of this machine; chown it to the one that runs the server", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 1000))
	if err != nil {
		return k, false, bellhop.Errorf(bellhop.Unavailable, "the key file %s can't be read: %w", path, err)
	}
	if k, ok = parseKey(string(b)); !ok {
		return k, false, bellhop.Errorf(bellhop.Invalid, "the key file %s does not hold a key (32 bytes in base64, or 64 hex digits); put back the one that was there", path)
	}
	return k, true, nil
}

// makeKeyFile writes a key into a new file, for this user alone. When it
// returns, the file outlives a loss of power. Conflict: it is there already.
func makeKeyFile(path string, k key) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return bellhop.Errorf(bellhop.Unavailable, "the folder of the key file can't be made: %w", err)
	}
	fail := func(err error) error {
		return bellhop.Errorf(bellhop.Unavailable, "the key file %s can't be written; look at the rights of its folder: %w", path, err)
	}
	f, err := os.CreateTemp(folder, ".key-") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(k.text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fail(err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return bellhop.Errorf(bellhop.Conflict, "the key file %s is there already", path)
	case err != nil:
		return fail(err)
	}
	if err := syncFolder(folder); err != nil {
		return fail(err)
	}
	return nil
}

// adoptKeyFile puts the key file of a rotation in the place of the old one.
func adoptKeyFile(path string) error {
	err := os.Rename(path+nextSuffix, path)
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return bellhop.Errorf(bellhop.Unavailable, "the key file %s can't be put in the place of %s; both are needed until then: %w", path+nextSuffix, path, err)
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
