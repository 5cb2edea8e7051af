package config

import (
	"embed"
	"io/fs"
	"strings"
)

// The starter's files are kept as files, so that they are read, tested and
// run as what they are.
//
//go:embed starter
var starter embed.FS

// Starter returns what `bellhop init` writes: contents by path, relative to
// the new folder and with slashes.
func Starter() map[string][]byte {
	files := map[string][]byte{}
	err := fs.WalkDir(starter, "starter", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := starter.ReadFile(path)
		files[strings.TrimPrefix(path, "starter/")] = data
		return err
	})
	if err != nil { // the files are part of the program
		panic("config: the starter can't be read: " + err.Error())
	}
	return files
}
