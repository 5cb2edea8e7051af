package layers_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// file is a Go file of the module, of whatever build constraints.
type file struct {
	path   string // below the module's root
	pkg    string // its folder; "" = the root
	test   bool
	lines  int
	syntax *ast.File
	fset   *token.FileSet
}

// load parses every Go file below the root of tree.
func load(tree fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(tree, name, d)
		}
		if path.Ext(name) != ".go" || !d.Type().IsRegular() {
			return nil
		}
		f, err := parse(tree, name)
		files = append(files, f)
		return err
	})
	return files, err
}

// enter leaves out folders that the go command leaves out, and other modules.
func enter(tree fs.FS, name string, d fs.DirEntry) error {
	if name == "." {
		return nil
	}
	base := d.Name()
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	switch _, err := fs.Stat(tree, path.Join(name, "go.mod")); {
	case err == nil:
		return fs.SkipDir
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

func parse(tree fs.FS, name string) (file, error) {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return file{}, err
	}
	f := file{
		path: name, pkg: strings.TrimPrefix(path.Dir(name), "."), test: strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(string(text), "\n"), fset: token.NewFileSet(),
	}
	f.syntax, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func (f file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// imported is one import of a file.
type imported struct {
	path string
	line int
}

func (f file) imports() []imported {
	var list []imported
	for _, s := range f.syntax.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil {
			list = append(list, imported{p, f.line(s)})
		}
	}
	return list
}

// own returns where in this module a path leads.
func own(importPath string) (pkg string, ok bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// within reports whether p is root or lies below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// named reports whether list names pkg, or anyInternal that holds it.
func named(list []string, pkg string) bool {
	return slices.Contains(list, pkg) || within(pkg, "internal") && slices.Contains(list, anyInternal)
}

// standard reports whether a path is of the standard library, whose first
// elements have no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
