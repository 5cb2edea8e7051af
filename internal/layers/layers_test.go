package layers_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// root is the module's root, from the folder of this package.
const root = "../.."

// loaded are the module's files.
func loaded(t *testing.T) []file {
	t.Helper()
	files, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files below %s; is it the module's root?", len(files), root)
	}
	return files
}

func TestImports(t *testing.T) {
	for _, fault := range checkImports(loaded(t)) {
		t.Error(fault)
	}
}

func TestStyle(t *testing.T) {
	for _, fault := range checkStyle(loaded(t)) {
		t.Error(fault)
	}
}

// TestPlanNamesWhatIsThere keeps the tables from growing stale.
func TestPlanNamesWhatIsThere(t *testing.T) {
	there := map[string]bool{}
	for _, f := range loaded(t) {
		there[f.pkg], there[f.path] = true, true
	}
	for _, e := range slices.Concat(edges, never) {
		for _, pkg := range append([]string{e.from}, e.to...) {
			if pkg != anyInternal && !there[pkg] {
				t.Errorf("the plan has an edge from %s to %s, and there is no package %s. Take the line out", e.from, strings.Join(e.to, ", "), pkg)
			}
		}
	}
	for _, s := range stdlibOnly {
		if !there[s.pkg] {
			t.Errorf("stdlibOnly names %s, and there is no such package. Take the line out", s.pkg)
		}
	}
}

func TestLinked(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal("the go command is not on PATH; add Go's bin folder to it")
		}
		t.Skip("the go command is not on PATH, so what the binary links is not known; add Go's bin folder to it")
	}
	cmd := exec.Command("go", "list", "-e", "-deps", "./cmd/bellhop")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps ./cmd/bellhop: %v", err)
	}
	for _, fault := range checkLinked(strings.Fields(string(out))) {
		t.Error(fault)
	}
}

// checkLinked judges what a program is built from.
func checkLinked(deps []string) []string {
	if !slices.Contains(deps, module) {
		return []string{"the binary does not link the root package; is this the list of its dependencies?"}
	}
	var wrong []string
	for _, n := range notLinked {
		if slices.ContainsFunc(deps, func(d string) bool { return within(d, n.path) }) {
			wrong = append(wrong, "cmd/bellhop links "+n.path+": "+n.why+". See who imports it: go mod why -m, or go list -deps -json ./cmd/bellhop")
		}
	}
	for _, d := range deps {
		if pkg, ok := own(d); ok && strings.HasSuffix(pkg, "test") {
			wrong = append(wrong, "cmd/bellhop links "+pkg+", a suite for tests. Import it from _test.go files only")
		}
	}
	return wrong
}

// TestRulesCanFail breaks each rule once.
func TestRulesCanFail(t *testing.T) {
	const ok = "// Package x is.\npackage x\n"
	imp := func(p string) string { return ok + "import _ " + strconv.Quote(p) + "\n" }
	for _, tc := range []struct{ name, path, text, want string }{
		{"nothing wrong", "internal/engine/x.go", ok, ""},
		{"root imports a dependency", "x.go", imp("golang.org/x/sys/unix"), "system calls stay with"},
		{"root imports its own", "x.go", imp(module + "/internal/bus"), "the root package imports the standard library only"},
		{"root imports net/http", "x.go", imp("net/http"), "HTTP is an adapter"},
		{"engine imports SQL", "internal/engine/x.go", imp("database/sql/driver"), "SQL lives in the store drivers"},
		{"engine imports HTTP", "internal/engine/x.go", imp("net/http/httputil"), "HTTP is an adapter"},
		{"a sibling", "internal/engine/x.go", imp(module + "/internal/store/sqlite"), "siblings don't know each other"},
		{"a sibling that is not on the list", "internal/web/api/x.go", imp(module + "/internal/engine"), "imports only internal/chat"},
		{"a parent", "internal/executor/shell/script/x.go", imp(module + "/internal/executor/shell"), "siblings don't know each other"},
		{"the command line's cli", "cmd/bellhop/x.go", imp(module + "/internal/server"), "imports only internal/cli"},
		{"server imports cli", "internal/server/x.go", imp(module + "/internal/cli"), "not the other way round"},
		{"server imports an adapter", "internal/server/x.go", imp(module + "/internal/chat/ssh"), ""},
		{"a listed pair", "internal/chat/ssh/x.go", imp(module + "/internal/chat"), ""},
		{"a new package", "internal/new/x.go", imp(module), ""},
		{"a suite in the binary", "internal/server/x.go", imp(module + "/internal/chat/chattest"), "suites are for tests"},
		{"YAML elsewhere", "internal/cli/x.go", imp("go.yaml.in/yaml/v4"), "only internal/config may"},
		{"goose elsewhere", "internal/server/x.go", imp("github.com/pressly/goose/v3"), "schemas belong to their driver"},
		{"SQLite elsewhere", "internal/server/x.go", imp("modernc.org/sqlite"), "only the SQLite driver"},
		{"SSH in the demo", "internal/cli/demo.go", imp("golang.org/x/crypto/ssh"), ""},
		{"SSH elsewhere in cli", "internal/cli/x.go", imp("golang.org/x/crypto/ssh"), "SSH is one chat among others"},
		{"a shell parser elsewhere", "internal/executor/shell/x.go", imp("mvdan.cc/sh/v3/syntax"), "judged in one place"},
		{"flags elsewhere", "internal/server/x.go", imp("github.com/spf13/cobra"), "flags and verbs"},
		{"processes elsewhere", "internal/cli/x.go", imp("os/exec"), "only executors start"},
		{"text/template", "internal/cli/x.go", imp("text/template"), "keep every exported method"},
		{"html/template", "internal/web/api/x.go", imp("html/template"), "keep every exported method"},
		{"the old log", "internal/cli/x.go", imp("log"), "*slog.Logger"},
		{"slog", "internal/cli/x.go", imp("log/slog"), ""},
		{"cgo", "internal/proc/x.go", imp("C"), "the binary is static"},
		{"testing outside of tests", "internal/cli/x.go", imp("testing"), "only suites are made of tests"},
		{"a test may import it", "internal/cli/x_test.go", imp("testing"), ""},
		{"an unknown dependency", "internal/cli/x.go", imp("example.com/y"), "a dependency is a decision"},
		{"a dependency in the engine", "internal/engine/x.go", imp("example.com/y"), "a dependency is a decision"},
		{"init", "internal/bus/x.go", ok + "func init() {}\n", "func init"},
		{"a method named init", "internal/bus/x.go", ok + "type t int\nfunc (t) init() {}\n", ""},
		{"init in a test", "internal/bus/x_test.go", ok + "func init() {}\n", "func init"},
		{"a long file", "internal/bus/x.go", ok + strings.Repeat("\n", maxLines), "more than one thing"},
		{"a file as long as may be", "internal/bus/x.go", ok + strings.Repeat("\n", maxLines-2), ""},
		{"a long function", "internal/bus/x.go", ok + "func f() {" + strings.Repeat("\n", maxFunc) + "}\n", "nobody holds it in mind"},
		{"a long table in a suite", "internal/store/storetest/x.go", ok + "func f() {" + strings.Repeat("\n", maxFunc) + "}\n", ""},
		{"no package comment", "internal/bus/x.go", "package x\n", "has 0 package comments"},
		{"another comment", "internal/bus/x.go", "// Some words.\npackage x\n", "has 0 package comments"},
		{"a vague name", "internal/util/x.go", "// Package util is.\npackage util\n", "says nothing"},
		{"nine methods", "internal/bus/x.go", ok + "type i interface { a(); b(); c(); d(); e(); f(); g(); h(); i() }\n", "9 methods"},
		{"nine methods in a parameter", "internal/bus/x.go", ok + "func f(interface { a(); b(); c(); d(); e(); f(); g(); h(); i() }) {}\n", "9 methods"},
		{"eight methods", "internal/bus/x.go", ok + "type i interface { a(); b(); c(); d(); e(); f(); g(); h() }\n", ""},
		{"another module", "tools/x.go", "package x\n", ""},
		{"testdata", "internal/testdata/x.go", "package x\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree := fstest.MapFS{"tools/go.mod": {}, tc.path: {Data: []byte(tc.text)}}
			files, err := load(tree)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(append(checkImports(files), checkStyle(files)...), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestStdlibOnlyCanFail: the owners may let a package import something that
// its place forbids.
func TestStdlibOnlyCanFail(t *testing.T) {
	for _, s := range stdlibOnly {
		if got := plain(s.pkg, "golang.org/x/sys/unix"); !strings.Contains(got, s.why) {
			t.Errorf("%q importing golang.org/x/sys/unix: got %q", s.pkg, got)
		}
		if got := plain(s.pkg, "context") + plain(s.pkg, module); got != "" {
			t.Errorf("%q importing context and the root: got %q", s.pkg, got)
		}
	}
}

func TestTwoPackageComments(t *testing.T) {
	text := &fstest.MapFile{Data: []byte("// Package x is.\npackage x\n")}
	files, err := load(fstest.MapFS{"internal/x/a.go": text, "internal/x/b.go": text})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(checkStyle(files), "\n"); !strings.Contains(got, "has 2 package comments") {
		t.Errorf("got %q", got)
	}
}

func TestLinkedCanFail(t *testing.T) {
	for _, tc := range []struct{ name, dep, want string }{
		{"nothing wrong", "fmt", ""},
		{"testing", "testing", "flags and size"},
		{"part of it", "testing/fstest", "flags and size"},
		{"net/rpc", "net/rpc/jsonrpc", "net/rpc"},
		{"kong", "github.com/alecthomas/kong", "kong"},
		{"a suite", module + "/internal/store/storetest", "a suite for tests"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.Join(checkLinked([]string{module, tc.dep}), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got := checkLinked(nil); len(got) != 1 {
		t.Errorf("an empty list: got %q", got)
	}
}
