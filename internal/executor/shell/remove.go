package shell

import (
	"io/fs"
	"os"
	"path/filepath"
)

// removeAll removes a folder that a run may have written to. Folders in it from
// which nothing can be removed, as some tools leave them, are opened first. What
// links lead to is left alone.
func removeAll(folder string) error {
	err := os.RemoveAll(folder)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // before it is read
		}
		return nil
	})
	return os.RemoveAll(folder)
}
