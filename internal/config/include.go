package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// loader reads the files of one configuration into one fileRaw.
type loader struct {
	opts    Options
	faults  *faultList
	raw     fileRaw
	names   []string // of files, as people know them, in the order of reading
	paths   []string // the same, absolute
	open    []string // absolute paths of the files that are being read
	seen    map[string]bool
	secrets []SecretUse
	texts   []fileText         // of the files, in the order of reading
	stored  map[string]*source // of the store, by name
}

func newLoader(opts Options) *loader {
	if opts.Getenv == nil {
		opts.Getenv = os.LookupEnv
	}
	return &loader{opts: opts, faults: &faultList{}, seen: map[string]bool{}, stored: map[string]*source{}}
}

// maxIncludes bounds how many files one configuration may have.
const maxIncludes = 1000

// readFile parses one file, merges it and goes on with what it includes.
func (l *loader) readFile(name, abs string, data []byte) {
	l.seen[real(abs)] = true
	raw := l.readText(name, abs, data)
	if raw == nil {
		return
	}
	l.open = append(l.open, real(abs))
	for _, glob := range raw.Include.items {
		l.include(glob, name, filepath.Dir(abs))
	}
	l.open = l.open[:len(l.open)-1]
}

// readText parses the text of one file and merges it; nil = there is no sense in
// it.
func (l *loader) readText(name, abs string, data []byte) *fileRaw {
	l.names, l.paths, l.texts = append(l.names, name), append(l.paths, abs), append(l.texts, fileText{name, abs, data})
	src := parse(name, data, l.faults)
	if src == nil {
		return nil
	}
	return l.take(src)
}

// take decodes a source and merges it.
func (l *loader) take(src *source) *fileRaw {
	d := newDecoder(src, l.faults, l.opts.Getenv)
	var raw fileRaw
	d.value(src.root, reflect.ValueOf(&raw).Elem(), field{}, nil)
	l.secrets = append(l.secrets, d.secrets...)
	l.merge(reflect.ValueOf(&l.raw).Elem(), reflect.ValueOf(&raw).Elem())
	return &raw
}

// include reads the files that a glob names. home is the folder of the file
// that says it.
func (l *loader) include(glob text, from, home string) {
	if !glob.good() {
		return
	}
	pattern := glob.val
	if pattern == "" {
		l.fault(glob.at, "include is empty; write a file or a glob such as conf.d/*.yaml")
		return
	}
	full := pattern
	if !filepath.IsAbs(full) {
		// The folder itself may hold glob signs; only the pattern's count.
		full = filepath.Join(escapeGlob(home), pattern)
	}
	matches, err := filepath.Glob(full)
	if err != nil {
		l.fault(glob.at, "include: %s is not a glob: a [ is not closed or a \\ ends it", shorten(pattern))
		return
	}
	wild := strings.ContainsAny(pattern, "*?[")
	if len(matches) == 0 && !wild {
		l.fault(glob.at, "include: there is no file %s; it is looked for in the folder of %s", shorten(pattern), from)
	}
	for _, abs := range matches {
		l.includeFile(glob, wild, shownAs(abs, from, home), abs)
	}
}

func (l *loader) includeFile(glob text, wild bool, name, abs string) {
	switch info, err := os.Stat(abs); {
	case err == nil && info.IsDir() && wild:
		return
	case err == nil && info.IsDir():
		l.fault(glob.at, "include: %s is a folder; write %s", name, quoted(filepath.Join(glob.val, "*.yaml")))
		return
	case err == nil && !info.Mode().IsRegular():
		l.fault(glob.at, "include: %s is not a regular file", name)
		return
	case slices.Contains(l.open, real(abs)):
		l.fault(glob.at, "include: %s takes in %s, which is just being read: files include each other in a circle; put the included files in a folder of their own, such as conf.d/*.yaml", shorten(glob.val), name)
		return
	case l.seen[real(abs)]:
		return
	case len(l.names) >= maxIncludes:
		l.fault(glob.at, "include: there are more than %d files", maxIncludes)
		return
	}
	data, err := readFile(abs)
	if err != nil {
		reason := plain(err)
		if errors.Is(err, fs.ErrPermission) {
			reason = errors.New("permission denied")
		}
		l.fault(glob.at, "include: %s can't be read: %v", name, reason)
		return
	}
	l.readFile(name, abs, data)
}

// real tells files apart whatever links lead to them.
func real(abs string) string {
	if p, err := filepath.EvalSymlinks(abs); err == nil {
		return p
	}
	return abs
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// shownAs names an included file the way its includer was named.
func shownAs(abs, from, home string) string {
	rel, err := filepath.Rel(home, abs)
	if err != nil || strings.HasPrefix(rel, "..") {
		return abs
	}
	return filepath.Join(filepath.Dir(from), rel)
}

func (l *loader) fault(a at, format string, args ...any) {
	l.faults.add(a.pos(), fmt.Sprintf(format, args...))
}

// merge moves what src sets into dst. What both set is a fault.
func (l *loader) merge(dst, src reflect.Value) {
	for _, f := range fieldsOf(dst.Type()) {
		to, from := dst.Field(f.index), src.Field(f.index)
		given := from.Addr().Interface().(interface{ place() at }).place()
		if !given.isSet() || f.key == "include" {
			continue
		}
		switch m := to.Addr().Interface().(type) {
		case interface{ join(*loader, any) }:
			m.join(l, from.Addr().Interface())
		case leaf:
			if first := to.Addr().Interface().(interface{ place() at }).place(); first.isSet() {
				l.fault(given, "%s is given twice; it stands in %s already", f.key, first.line())
				continue
			}
			to.Set(from)
		case interface {
			place() at
			setAt(at)
		}:
			if !m.place().isSet() {
				m.setAt(given)
			}
			l.merge(to, from)
		}
	}
}

// join appends another file's names. One that is there already is a fault.
func (m *dict[T]) join(l *loader, other any) {
	from := other.(*dict[T])
	if !m.isSet() {
		m.at = from.at
	}
	first := make(map[string]at, len(m.items))
	for _, e := range m.items {
		first[e.name] = e.key
	}
	for _, e := range from.items {
		if f, ok := first[e.name]; ok && e.key.src.stored {
			l.fault(e.key, "service %s is defined in %s, and what a file defines the store may not shadow: change it there, or remove it there or from the store (bellhop yaml rm %[1]s)", e.name, f.line())
			continue
		} else if ok {
			l.fault(e.key, "%s is defined twice; it stands in %s already", shorten(e.name), f.line())
			continue
		}
		m.items = append(m.items, e)
	}
}
