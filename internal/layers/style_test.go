package layers_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// checkStyle returns what is wrong with how files are written.
func checkStyle(files []file) []string {
	wrong := checkPackages(files)
	for _, f := range files {
		say := func(n ast.Node, format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("%s:%d: ", f.path, f.line(n))+fmt.Sprintf(format, args...))
		}
		if f.lines > maxLines && !ast.IsGenerated(f.syntax) {
			wrong = append(wrong, fmt.Sprintf("%s: has %d lines: a file above %d is more than one thing. Divide it by the words of DESIGN, not by size", f.path, f.lines, maxLines))
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !ast.IsGenerated(f.syntax) {
				checkFunc(f, fn, say)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				// An embedded interface counts as one: a sum of small roles is what is wanted.
				if m := i.Methods.NumFields(); m > maxMethods {
					say(i, "an interface with %d methods: whoever fakes or implements it needs all of them; at most %d. Divide it by role", m, maxMethods)
				}
			}
			return true
		})
	}
	return wrong
}

func checkFunc(f file, fn *ast.FuncDecl, say func(ast.Node, string, ...any)) {
	if fn.Recv == nil && fn.Name.Name == "init" {
		say(fn, "func init: it runs in every program and test that imports the package, in an order that nobody sees. Build it in a constructor, or list it in internal/server")
	}
	lines := f.fset.Position(fn.End()).Line - f.line(fn) + 1
	if lines > maxFunc && !f.test && !strings.HasSuffix(f.pkg, "test") { // a test's table may be long, a suite's too
		say(fn, "func %s has %d lines, more than %d: nobody holds it in mind. Give its parts names", fn.Name.Name, lines, maxFunc)
	}
}

// checkPackages returns what is wrong with packages as a whole.
func checkPackages(files []file) []string {
	comments := map[string]int{}
	var order, wrong []string
	for _, f := range files {
		if f.test {
			continue
		}
		if _, ok := comments[f.pkg]; !ok {
			comments[f.pkg] = 0
			order = append(order, f.pkg)
			if name := f.syntax.Name.Name; vague[name] || vague[path.Base(f.pkg)] {
				wrong = append(wrong, fmt.Sprintf("%s: package %s: a name that says nothing gathers everything. Name it after what it does or wraps", f.path, name))
			}
		}
		text := f.syntax.Doc.Text()
		if strings.HasPrefix(text, "Package "+f.syntax.Name.Name+" ") || strings.HasPrefix(text, "Command ") {
			comments[f.pkg]++
		}
	}
	slices.Sort(order)
	for _, pkg := range order {
		if comments[pkg] != 1 {
			wrong = append(wrong, fmt.Sprintf("package %q has %d package comments: a reader needs one, to know what it is for and what it is not. Begin one file with `// Package ...`", path.Join(module, pkg), comments[pkg]))
		}
	}
	return wrong
}
