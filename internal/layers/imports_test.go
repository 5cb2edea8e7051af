package layers_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// checkImports returns what is wrong with the imports of code that is built
// into something.
func checkImports(files []file) []string {
	var wrong []string
	for _, f := range files {
		if f.test {
			continue
		}
		for _, i := range f.imports() {
			fault := outside(f, i.path)
			if pkg, ok := own(i.path); ok {
				fault = inside(f.pkg, pkg)
			}
			if fault == "" {
				fault = plain(f.pkg, i.path)
			}
			if fault != "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: imports %s: %s", f.path, i.line, i.path, fault))
			}
		}
	}
	return wrong
}

// inside judges an import of one package of this module by another.
func inside(from, to string) string {
	for _, n := range never {
		if n.from == from && named(n.to, to) {
			return n.why + ". Turn the dependency round: declare what is needed as an interface where it is used"
		}
	}
	if from == "" {
		return "the root package imports the standard library only, since everything imports it. Declare a port in it instead"
	}
	if strings.HasSuffix(to, "test") {
		return "suites are for tests. Import it from a _test.go file"
	}
	if to == "" {
		return ""
	}
	why := ""
	for _, e := range edges {
		if e.from == from {
			if named(e.to, to) {
				return ""
			}
			why = fmt.Sprintf("%s imports only %s: %s. ", from, strings.Join(e.to, ", "), e.why)
		}
	}
	return cmp.Or(why, "siblings don't know each other: they meet at ports of the root package. ") +
		"Use a port, or declare an interface where it is consumed and let internal/server fit the two together"
}

// outside judges an import of something that is not of this module: the most
// exact owner decides.
func outside(f file, importPath string) string {
	var best *owner
	for i, o := range owners {
		if within(importPath, o.path) && (best == nil || len(o.path) > len(best.path)) {
			best = &owners[i]
		}
	}
	switch {
	case best == nil && standard(importPath):
		return ""
	case best == nil:
		return "a dependency is a decision. Name its owner and the reason in internal/layers/rules_test.go, and write a page in docs/adr"
	case named(best.where, f.pkg):
		return ""
	}
	for _, w := range best.where {
		if w == f.path {
			return ""
		}
	}
	usual := "nobody may import it"
	if len(best.where) > 0 {
		usual = "only " + strings.Join(best.where, ", ") + " may; go through a port of the root package"
	}
	return best.why + ". Remedy: " + cmp.Or(best.fix, usual)
}

// plain judges what packages import that keep to the standard library.
func plain(pkg, importPath string) string {
	to, isOwn := own(importPath)
	if standard(importPath) || isOwn && to == "" {
		return ""
	}
	for _, s := range stdlibOnly {
		if s.pkg == pkg && !(isOwn && slices.ContainsFunc(stdlibOnly, func(r reasoned) bool { return r.pkg == to })) {
			return s.why + ". Remedy: keep to the standard library here, and move what needs more into an adapter"
		}
	}
	return ""
}
