package script_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// hostile are values that have undone other quoting.
var hostile = map[string]string{
	"command":          "Bob; touch pwned",
	"substitution":     "$(touch pwned)",
	"backquotes":       "`touch pwned`",
	"markup":           "<poem>",
	"quotes":           `a'b"c\d`,
	"placeholder":      "{name}",
	"other parameter":  "{y}$BELLHOP_ARG_y",
	"format":           "%s%n%d%(%s)T",
	"newline":          "a\nb",
	"ends in newlines": "a\n\n",
	"newline alone":    "\n",
	"emoji":            "🦊 ü",
	"not UTF-8":        "a\xff\xfe\x80b",
	"star":             "*",
	"class":            "[a-z]?",
	"tilde":            "~",
	"tilde path":       "~root/x",
	"empty":            "",
	"dash":             "-n",
	"dashes":           "--",
	"subscript":        "x[$(touch pwned)]",
	"subscript 2":      "a[`touch pwned`]=1",
	"braces":           "{a,b}{1..3}",
	"spaces":           "  a  b\t",
	"operator":         "! ( -a -o =",
	"not":              "!",
	"paren":            "(",
	"equals":           "=",
	"heredoc end":      "EOF\ntouch pwned\nEOF",
	"quote end":        `"; touch pwned; "`,
	"single end":       `'; touch pwned; '`,
	"history":          "!!",
	"backslash":        `\`,
	"backslashes":      `\\\$x\"`,
	"parameter":        "${PWD}$1$@",
	"prompt":           `\u\h$(touch pwned)`,
	"control":          "\x01\x02\x03\x1b[31m\x7f",
	"carriage return":  "a\r\nb",
	"function":         "() { :; }; touch pwned",
	"assignment":       "PATH=/nowhere",
	"ampersand":        "&\\0",
	"100 KB":           strings.Repeat("0123456789", 10_240),
}

// place is a context that takes a value. Its script prints texts that end in
// NUL, by the helper show or by itself; each must be prefix + value + suffix.
type place struct {
	name, text string
	prefix     string
	suffix     string
	bashOnly   bool
	file       bool // the value must also be good for a file's name
}

var places = []place{
	{name: "argument", text: `show {x}`},
	{name: "mid-word", text: `show --x={x}.z`, prefix: "--x=", suffix: ".z"},
	{name: "double quotes", text: `show "a {x}'b"`, prefix: "a ", suffix: "'b"},
	{name: "double quotes before a letter", text: `show "{x}abc"`, suffix: "abc"},
	{name: "after single quotes", text: `show 'a$'{x}'"'`, prefix: "a$", suffix: `"`},
	{name: "between brackets", text: `show [{x}]`, prefix: "[", suffix: "]"},
	{name: "after a tilde", text: `show a~{x}`, prefix: "a~"},
	{name: "assignment", text: `a={x}; show "$a"`},
	{name: "assignment in quotes", text: `a="b{x}c"; show "${a}"`, prefix: "b", suffix: "c"},
	{name: "assignment before a command", text: `A={x} show "$BELLHOP_ARG_x"`},
	{name: "assignment of assignment", text: `a={x}; b=$a; show "$b"`},
	{name: "appending", text: `a=b; a+={x}; show "$a"`, prefix: "b", bashOnly: true},
	{name: "array", text: `a=(p {x}); show "${a[1]}"`, bashOnly: true},
	{name: "here-document", text: "{ cat; printf '\\0'; } <<EOF\n<'{x}\">\nEOF\n", prefix: "<'", suffix: "\">\n"},
	{name: "tabbed here-document", text: "{ cat; printf '\\0'; } <<-EOF\n\t<{x}>\n\tEOF\n", prefix: "<", suffix: ">\n"},
	{name: "here-string", text: `{ cat; printf '\0'; } <<< {x}`, suffix: "\n", bashOnly: true},
	{name: "printf", text: `printf '%s\0' {x}`},
	{name: "printf among others", text: `printf -- '<%s|%s>\0' b "{x}"`, prefix: "<b|", suffix: ">"},
	{name: "echo", text: `echo a{x}; printf '\0'`, prefix: "a", suffix: "\n", bashOnly: true},
	{name: "brackets", text: `[ {x} = "$BELLHOP_ARG_x" ] && [ ! {x} != {x} ] && { [ -n {x} ] || [ -z {x} ]; } && [ ! -d {x}/nowhere ] && show {x}`},
	{name: "test", text: `test "a{x}" = "a$BELLHOP_ARG_x" && show {x}`},
	{name: "substitution", text: `show "$(show {x} | tr -d '\0'; printf .)"`, suffix: "."},
	{name: "nested substitutions", text: `show "$(printf '%s.' "$(printf '%s.' "{x}")")"`, suffix: ".."},
	{name: "function body", text: `f() { show {x}; }; f`},
	{name: "function argument", text: `f() { show "$1"; }; f {x}`},
	{name: "pipe", text: `printf '%s\0' {x} | cat | cat`},
	{name: "subshell", text: `( show {x} )`},
	{name: "branches", text: `if :; then for i in 1; do case a in a) show {x};; esac; done; fi`},
	{name: "while read", text: `printf '%s\n' a | while read -r l; do show "$l"{x}; done`, prefix: "a"},
	{name: "for over it", text: `a={x}; for i in "$a"; do show "$i"; done`},
	{name: "case of it", text: `a={x}; case $a in *) show {x};; esac`},
	{name: "default", text: `show "${none:-$BELLHOP_ARG_x}"`},
	{name: "trap", text: `trap 'show "$BELLHOP_ARG_x"' EXIT`},
	{name: "process substitution", text: `cat <(printf '%s\0' {x})`, bashOnly: true},
	{name: "comment before", text: "# it's {x} \"\nshow {x} # {x|"},
	{name: "redirection", text: `mkdir -p d; cd d; printf '%s\0' {x} > ./{x}; cat < ./{x}; cat "./{x}" > all; cd ..`, file: true},
	{name: "both redirected", text: `mkdir -p d; printf 'a\0' &> d/{x}; cat d/{x} > /dev/null; show {x}`, file: true, bashOnly: true},
	{name: "cd", text: `mkdir -p ./{x}; cd -- ./{x} && show {x}`, file: true},
}

func TestRoundTrip(t *testing.T) {
	for _, shell := range []string{"bash", "dash"} {
		needs(t, shell)
		for _, p := range places {
			if p.bashOnly && shell == "dash" {
				continue
			}
			t.Run(shell+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				prog := mustCompile(t, shell, p.text)
				for name, value := range hostile {
					if p.file && (len(value) > 200 || value == "" || strings.ContainsAny(value, "/")) {
						continue
					}
					out := run(t, prog, shell, bellhop.Args{"x": bellhop.Text(value), "y": bellhop.Text("Y")})
					if got := values(out); len(got) == 0 || !p.all(got, value) {
						t.Errorf("%s: got %.300q, want %.100q", name, out, value)
					}
				}
			})
		}
	}
}

// all says whether every text is what the place makes of the value.
func (p place) all(got []string, value string) bool {
	for _, g := range got {
		if g != p.prefix+value+p.suffix {
			return false
		}
	}
	return true
}

// TestListRoundTrip is the same for the words of a list.
func TestListRoundTrip(t *testing.T) {
	needs(t, "bash")
	words := []string{}
	for _, v := range hostile {
		if len(v) < 1000 {
			words = append(words, v)
		}
	}
	for name, src := range map[string]bellhop.JobSource{
		"script":      {Script: `show {words}`},
		"quoted":      {Script: `show "{words}"`},
		"array":       {Script: `a=({words}); show "${a[@]}"`},
		"to function": {Script: `f() { show "$@"; }; f {words}`},
		"loop":        {Script: `a=({words}); for i in "${a[@]}"; do show "$i"; done`},
		"argv":        {Argv: []string{filepath.Join(helpers, "show"), "{words}"}},
	} {
		t.Run(name, func(t *testing.T) {
			src.Params = params
			prog, faults := script.Compile(src)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			for _, list := range [][]string{words, {}, {""}, {"-c", "touch pwned"}} {
				shell := prog.Shell
				out := run(t, prog, shell, bellhop.Args{"words": bellhop.List(list...)})
				if got := values(out); strings.Join(got, "\x00") != strings.Join(list, "\x00") || len(got) != len(list) {
					t.Errorf("got %q, want %q", got, list)
				}
			}
		})
	}
}

func TestArgvRoundTrip(t *testing.T) {
	prog, faults := script.Compile(bellhop.JobSource{Argv: []string{filepath.Join(helpers, "show"), "{x}", "a{x}${b}{y}"}})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for name, value := range hostile {
		got := values(run(t, prog, "", bellhop.Args{"x": bellhop.Text(value), "y": bellhop.Text("Y")}))
		if len(got) != 2 || got[0] != value || got[1] != "a"+value+"${b}Y" {
			t.Errorf("%s: got %.200q", name, got)
		}
	}
}

// TestNoPlaceIsCode runs accepted scripts that come near to evaluating a
// value, and looks for the file that each value tries to make.
func TestNoPlaceIsCode(t *testing.T) {
	needs(t, "bash")
	for _, text := range []string{
		`a={x}; b=("$a" {x}); c=("${b[@]}"); [ "${c[0]}" = {x} ]; echo "${#b[@]}" "${#a}" "${a^^}" "${a@Q}" "${a//a/{}"`,
		`f() { local v; v=$1; echo "$v" "${v%a}" "${v#?}" "${v/a/b}"; }; f {x}; f "$(f {x})"`,
		`i=0; while [ "$i" -lt 2 ]; do i=$((i + 1)); echo {x} "$i"; done`,
		`n=$(wc -c < <(printf %s {x})); echo $((n * 2)); [[ $n -gt 0 ]] && echo yes`,
		`n=$(printf %s {x} | wc -l); (( n++ )); a=(1 2 3); echo "${a[n > 2 ? 0 : 1]}"`,
		`set -x; a={x}; : {x} "$a"; set +x`,
		`set -euo pipefail; a={x}; export a; env > /dev/null; show "$a"`,
		`while IFS= read -r l; do a=$l; echo "$a"; done <<< {x}; mapfile -t m < <(echo {x}); echo "${m[@]}"`,
		`read -r a b <<< {x}; echo "$a" "$b" "${REPLY-}"`,
		`e={x}; case "$e" in *touch*) echo t;; *) echo o;; esac`,
		`[ {x} = {x} ]; [ {x} != {y} ]; [ {x} \< {y} ]; [ {x} ]; test {x}; [ -f {x} ]; [ ! -e {x} ]; [ ! {x} = {y} ]`,
		`printf '%s %5s %-5s %b %q %%' {x} {y} {x} {x} {x}; printf -- '%s' {x}`,
		`echo {x} {y}; echo -e {x}; cd {x} 2>/dev/null; cd -- {y} 2>/dev/null; true {x}; : {x}`,
		`echo {x} > d_{x} 2>/dev/null; echo {x} >> d2_"{x}" 2>/dev/null; cat < {x} 2>/dev/null; echo &> {x}; true`,
		`exec 3> log; echo {x} >&3; a=3; echo {x} >&$a; exec 3>&-`,
		`trap 'echo "$BELLHOP_ARG_x"' EXIT ERR DEBUG; false; echo {x}`,
		`shopt -s extglob nullglob; for i in *; do echo "$i"; done; echo {x}`,
		`bash -u ./job.sh {x} -c {x}; bash ./job.sh {y} {x}; bash ./job.sh < /dev/null; bash ./job.sh <<< {x}`,
		`bash -c 'cat > /dev/null' <<< {x}; cat <<EOF | cat
$(echo {x}) ${BELLHOP_ARG_x} {x} $((1 + 1)) \$(touch pwned2)
EOF`,
		`PS4=a; A={x} B="{x}" show {x}; C={x} true`,
		`find . -maxdepth 1 -name {x}; ls -- {x} 2>/dev/null; grep -r -- {x} . ; touch -- z_{x} 2>/dev/null; rm -f -- z_{x}; true`,
		`coproc { cat; }; echo {x} >&"${COPROC[1]}" ; true`,
		`select v in a; do echo "$v"; break; done <<< {x}`,
		`f() { while [ $# -gt 0 ]; do echo "$1"; shift; done; }; f {x} {y} {x}`,
		`a={x}; unset a; a=({x}); unset a; export BELLHOP_OTHER=1; wait; umask 022; hash -r; type cat`,
		`declare -A m; m=([k]={x}); echo "${m[k]}" "${!m[@]}"`,
		`a={x}; a+=$a; echo "${a:=b}"`,
		`{ echo {x}; echo {x} >&2; } |& cat; time echo {x}; ! echo {x}`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			prog, faults := script.Compile(bellhop.JobSource{Script: text})
			if len(faults) > 0 {
				t.Fatalf("refused: %v", faults[0])
			}
			for name, value := range hostile {
				if len(value) > 1000 || testing.Short() && !strings.Contains(value, "pwned") {
					continue
				}
				others := []string{value}
				if strings.Contains(text, "[ ") {
					others = append(others, "-v", "-f", "=", "x[$(touch pwned)]")
				}
				for _, other := range others {
					run(t, prog, "bash", bellhop.Args{"x": bellhop.Text(value), "y": bellhop.Text(other)})
				}
				if t.Failed() {
					t.Fatalf("with %s %q", name, value)
				}
			}
		})
	}
}

func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		message := program + " is not on PATH; install it with: apt-get install " + program
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
}

func mustCompile(t testing.TB, shell, text string) script.Program {
	t.Helper()
	src := bellhop.JobSource{Script: text}
	if shell == "dash" {
		src.Shell = "sh"
	}
	prog, faults := script.Compile(src)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", text, faults)
	}
	return prog
}

// run runs the program in a new folder and fails when a value's command ran.
func run(t testing.TB, prog script.Program, shell string, args bellhop.Args) string {
	t.Helper()
	cmd, err := prog.Command(nil, args, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "job.sh"), []byte("cat > /dev/null; printf '%s\\0' \"$@\""), 0o600); err != nil {
		t.Fatal(err)
	}
	if shell != "" {
		cmd.Argv[0] = shell
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	p.Dir = dir
	p.WaitDelay = time.Second
	p.Env = append([]string{"PATH=" + helpers + ":" + os.Getenv("PATH"), "HOME=" + dir}, cmd.Env...)
	var out, stderr bytes.Buffer
	p.Stdout, p.Stderr = &out, &stderr
	_ = p.Run() // many of the scripts fail, with a hostile value, by right
	if ctx.Err() != nil {
		t.Errorf("it hung")
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), "pwned") {
			t.Errorf("a value was run as code; stderr: %.500s", stderr.String())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if out.Len() == 0 && stderr.Len() > 0 {
		return "stderr: " + stderr.String()
	}
	return out.String()
}

func values(out string) []string {
	if !strings.HasSuffix(out, "\x00") {
		if out == "" {
			return nil
		}
		return []string{out}
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
}
