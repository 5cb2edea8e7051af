package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// files are htmx 2.0.10 and idiomorph 0.8.0 (both Zero-Clause BSD), as npm has
// them, and Bellhop's own.
//
//go:embed assets
var files embed.FS

// assetsPath is where they are served.
const assetsPath = "/assets/"

// asset is one of the files, under a name that changes with what is in it, so
// that a browser may keep it for good.
type asset struct {
	name, kind string
	data       []byte
}

// assets are all of them, by the path that each has.
type assets struct {
	at   map[string]asset
	path map[string]string // by the name of the file
}

func readAssets() (*assets, error) {
	a := &assets{at: make(map[string]asset), path: make(map[string]string)}
	list, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		data, err := files.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(f.Name())
		at := assetsPath + strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.at[at] = asset{f.Name(), mime.TypeByExtension(ext), data}
		a.path[f.Name()] = at
	}
	return a, nil
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.at[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(f.data)
}
