package script_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

func TestAccepted(t *testing.T) {
	const x = "$BELLHOP_ARG_x"
	for _, c := range []struct{ name, in, want string }{
		{"the example", "echo Hello {name}", `echo Hello "$BELLHOP_ARG_name"`},
		{"a python script", "python3 do_job.py --some-arg {some_arg}", `python3 do_job.py --some-arg "$BELLHOP_ARG_some_arg"`},
		{"python with a flag", "python3 -u do_job.py {x}", `python3 -u do_job.py "` + x + `"`},
		{"a bash script file", "bash ./job.sh {x} -c", `bash ./job.sh "` + x + `" -c`},
		{"a script in a folder", `python3 "$DIR/job.py" {x}`, `python3 "$DIR/job.py" "` + x + `"`},
		{"mid-word", "./p --x={x}.txt", `./p --x="` + x + `".txt`},
		{"next to a variable", "./p $HOME{x}", `./p $HOME"` + x + `"`},
		{"twice", "./p {x}{x}", `./p "` + x + `""` + x + `"`},
		{"double quotes", `./p "a {x} b$HOME{x}"`, `./p "a ${BELLHOP_ARG_x} b$HOME${BELLHOP_ARG_x}"`},
		{"here-document", "cat <<EOF\n\"{x}\" '{x}'\nEOF", "cat <<EOF\n\"${BELLHOP_ARG_x}\" '${BELLHOP_ARG_x}'\nEOF"},
		{"tabbed here-document", "cat <<-EOF\n\t{x}\n\tEOF", "cat <<-EOF\n\t${BELLHOP_ARG_x}\n\tEOF"},
		{"here-string", "cat <<< {x}", `cat <<< "` + x + `"`},
		{"assignment", "a={x}; b=\"p{x}\"; ./p \"$a\" \"$b\"", `a="` + x + `"; b="p${BELLHOP_ARG_x}"; ./p "$a" "$b"`},
		{"assignment before a command", "NAME={x} ./p", `NAME="` + x + `" ./p`},
		{"array", `a=(--x {x}); ./p "${a[@]}"`, `a=(--x "` + x + `"); ./p "${a[@]}"`},
		{"redirections", "./p > {x} 2>> {y} < {x} &> {x}", `./p > "` + x + `" 2>> "$BELLHOP_ARG_y" < "` + x + `" &> "` + x + `"`},
		{"redirection at its word", "echo {x}>out", `echo "` + x + `">out`},
		{"brackets", `[ {x} = a ] && [ ! -f {x} ] && test -n {x} && [ "{x}" != "$b" ]`, `[ "` + x + `" = a ] && [ ! -f "` + x + `" ] && test -n "` + x + `" && [ "${BELLHOP_ARG_x}" != "$b" ]`},
		{"printf", `printf -- '%s %-5s %%\n' {x} b`, `printf -- '%s %-5s %%\n' "` + x + `" b`},
		{"cd", "cd -- {x} && pwd", `cd -- "` + x + `" && pwd`},
		{"substitution", `./p "$(./q {x})"`, `./p "$(./q "` + x + `")"`},
		{"function", "f() { ./p {x} \"$1\"; }; f {y}", `f() { ./p "` + x + `" "$1"; }; f "$BELLHOP_ARG_y"`},
		{"pipe", "echo {x} | tee log | wc -l", `echo "` + x + `" | tee log | wc -l`},
		{"while read", `./p {x} | while read -r l; do echo "$l"; done`, `./p "` + x + `" | while read -r l; do echo "$l"; done`},
		{"counting", `n=$(wc -l < {x}); echo $((n + 1)) $n`, `n=$(wc -l < "` + x + `"); echo $((n + 1)) $n`},
		{"a loop with a number", `for ((i = 0; i < 3; i++)); do echo {x} $i $((i * 2)); done`, `for ((i = 0; i < 3; i++)); do echo "` + x + `" $i $((i * 2)); done`},
		{"case of a variable", `e={x}; case "$e" in a) ./p;; *) exit 1;; esac`, `e="` + x + `"; case "$e" in a) ./p;; *) exit 1;; esac`},
		{"list", "./p a {words} b", `./p a "$@" b`},
		{"quoted list", `./p "{words}"`, `./p "$@"`},
		{"file", "./p {f}", `./p "$BELLHOP_ARG_f"`},
		{"dotted and dashed names", "./p {issue.title} {a-b}", `./p "$BELLHOP_ARG_issue_DOT_title" "$BELLHOP_ARG_a_DASH_b"`},
		{"literal braces", "echo {{x}} '{{name}}'", "echo {x} '{name}'"},
		{"the shell's braces", "cp {a,b} d; { ls; }; echo ${HOME} {1..3} {A} {}; ls | awk '{ print $1 }'", "cp {a,b} d; { ls; }; echo ${HOME} {1..3} {A} {}; ls | awk '{ print $1 }'"},
		{"comment", "./p # it's {x} or {x|y}\n./q {x}", "./p # it's {x} or {x|y}\n./q \"" + x + `"`},
		{"anything without a value", `eval "$(cat f)"; sh -c "$x"; echo $((x)); [[ $a -eq 1 ]]; xargs rm`, `eval "$(cat f)"; sh -c "$x"; echo $((x)); [[ $a -eq 1 ]]; xargs rm`},
		{"jq with --arg", `jq --arg n {x} '.a == $n' f.json`, `jq --arg n "` + x + `" '.a == $n' f.json`},
		{"git", "git checkout {x}", `git checkout "` + x + `"`},
		{"trap in single quotes", `t=$(mktemp); trap 'rm -f "$t"' EXIT; ./p {x} > "$t"`, `t=$(mktemp); trap 'rm -f "$t"' EXIT; ./p "` + x + `" > "$t"`},
		{"a fixed -c with data as input", `python3 -c 'import sys; print(len(sys.stdin.read()))' <<< {x}`, `python3 -c 'import sys; print(len(sys.stdin.read()))' <<< "` + x + `"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, faults := compile(c.in)
			if len(faults) > 0 {
				t.Fatalf("refused: %v", faults)
			}
			if got.Script != c.want {
				t.Errorf("got  %s\nwant %s", got.Script, c.want)
			}
		})
	}
}

// TestRefused holds each place of the shell's grammar in which a value could
// become code, or not be what was asked. at is line:column.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ at, in string }{
		// places
		{"1:7", "echo '{x}'"}, {"1:7", `echo \{x}`}, {"1:8", `echo "\{x}"`}, {"2:2", "cat <<'EOF'\n {x}\nEOF"}, {"2:1", "cat <<\\EOF\n{x}\nEOF"},
		{"1:1", "{x}"}, {"1:1", "{x} a"}, {"1:3", "./{x} a"}, {"1:9", "A=1 B=2 {x}"}, {"1:2", `"{x}"`}, {"1:3", "! {x}"},
		{"1:9", "echo $(({x} + 1))"}, {"1:3", "(({x} > 1))"}, {"1:8", "echo $[{x}]"}, {"1:4", "[[ {x} -eq 1 ]]"}, {"1:4", "[[ {x} == a ]]"}, {"1:10", "[[ a =~ ^{x} ]]"},
		{"1:12", "echo ${a:1:{x}}"}, {"1:11", "echo ${a:-{x}}"}, {"1:11", "echo ${a#b{x}}"}, {"1:10", "echo ${a[{x}]}"}, {"1:3", "a[{x}]=1"}, {"1:5", "a=([{x}]=1)"},
		{"1:5", "let {x}"}, {"1:9", "for ((i={x};;)); do :; done"}, {"1:6", "case {x} in a) ;; esac"}, {"1:11", "case a in {x}) ;; esac"}, {"1:10", "for a in {x}; do :; done"}, {"1:5", "for {x} in a; do :; done"},
		{"1:7", "cat <<{x}\na\n{x}"}, {"1:10", "echo @(a|{x})"}, {"1:12", "echo `echo {x}`"}, {"1:9", `echo $"a{x}"`}, {"1:8", "echo >&{x}"}, {"1:7", "cat <&{x}"},
		{"1:10", "echo hi; {x}() { :; }"}, {"1:8", "export {x}"}, {"1:10", "export A={x}"}, {"1:11", "declare A={x}"}, {"1:15", "f() { local a={x}; }"}, {"1:12", "readonly A={x}"}, {"1:15", "declare -a a=({x})"},
		// builtins and code
		{"1:6", "eval {x}"}, {"1:12", `eval "echo {x}"`}, {"1:8", "source {x}"}, {"1:3", ". {x}"}, {"1:6", "exec {x}"}, {"1:6", "trap {x} EXIT"}, {"1:9", "alias a={x}"}, {"1:6", "read {x}"}, {"1:7", "unset {x}"}, {"1:9", "mapfile {x}"},
		{"1:11", "printf -v {x} a"}, {"1:13", "printf -v a {x}"}, {"1:8", "printf {x}"}, {"1:13", "printf '%d' {x}"}, {"1:14", "printf '%*s' {x} a"}, {"1:6", "test -v {x}"}, {"1:3", "[ -v {x} ]"}, {"1:3", "[ -R {x} ]"}, {"1:3", "[ {x} -eq 1 ]"}, {"1:3", "[ {x} a ]"}, {"1:3", "[ {x} = a -a b = c ]"},
		{"1:3", "[ {x} = $b ]"}, {"1:6", "kill {x}"}, {"1:8", "set -- {x}"}, {"1:6", "exit {x}"}, {"1:9", "command {x}"}, {"1:14", "command eval {x}"}, {"1:14", "builtin eval {x}"}, {"1:6", `wait {x}`}, {"1:14", "enable -f a b{x}"},
		// programs that take code
		{"1:7", "sh -c {x}"}, {"1:15", `bash -c "echo {x}"`}, {"1:12", "bash -euxc {x}"}, {"1:6", "bash {x}"}, {"1:18", "/usr/bin/bash -c {x}"}, {"1:12", "python3 -c {x}"}, {"1:9", "python3 {x}"}, {"1:19", "python3.11 -m mod {x}"}, {"1:9", "perl -e {x}"}, {"1:9", "ruby -e {x}"}, {"1:9", "node -e {x}"}, {"1:8", "php -r {x}"},
		{"1:10", "ssh host {x}"}, {"1:7", "xargs {x}"}, {"1:5", "awk {x} f"}, {"1:10", `awk -v a={x} '{ print a }'`}, {"1:10", `sed "s/a/{x}/"`}, {"1:5", "env {x}"}, {"1:9", "env A=b {x}"}, {"1:6", "sudo {x}"}, {"1:11", "timeout 5 {x}"}, {"1:17", "timeout 5 sh -c {x}"}, {"1:6", "nice {x}"}, {"1:7", "nohup {x}"}, {"1:9", "time -p {x}"},
		{"1:24", "find . -exec echo {{}} {x}"}, {"1:27", "find . -exec sh -c 'ls' _ {x} ;"}, {"1:5", "git {x}"}, {"1:8", "git -c {x} log"}, {"1:7", "watch {x}"}, {"1:9", "psql -c {x}"}, {"1:11", "sqlite3 d {x}"}, {"1:4", "jq {x}"}, {"1:6", "make {x}"}, {"1:19", "chroot /srv sh -c {x}"}, {"1:15", "flock f sh -c {x}"},
		{"1:21", "docker exec c sh -c {x}"}, {"1:7", `e\val {x}`}, {"1:8", `"ev"al {x}`}, {"1:6", `$CMD {x}`}, {"1:10", `{eval,a} {x}`},
		{"1:25", "./tool host -- bash -lc {x}"}, {"1:12", `busybox sh {x}`},
		{"1:8", "tar -I {x} -xf a.tar"}, {"1:18", "tar --to-command={x} -xf a.tar"}, {"1:6", "[ n- {x} ]"}, {"1:4", "[ {{x},{y}} ]"}, {"1:9", "[ {{x}} {x} ]"}, {"1:17", "command -p bash {x}"},
		// flows
		{"1:12", "command -p bash <<< {x}"}, {"1:13", "exec -a foo bash <<< {x}"}, {"1:14", "command exec < {x}; bash"}, {"1:9", `bash -c 'echo $((BELLHOP_ARG_x))'`}, {"1:24", `a={x}; timeout 5 sh -c 'eval "$a"'`}, {"1:1", `PS4='$((BELLHOP_ARG_x))'; set -x; :`}, {"1:21", `f() { command eval "$1"; }; f {x}`},
		{"1:16", "a={x}; echo $((a))"}, {"1:22", "a={x}; b=$a; echo $((b))"}, {"1:13", "a={x}; echo $a"}, {"1:9", `a={x}; "$a"`}, {"1:14", `a={x}; eval "$a"`}, {"1:11", `a={x}; [[ $a -eq 1 ]]`}, {"1:18", `a={x}; echo "${b:$a}"`}, {"1:18", `a={x}; echo "${b[a]}"`}, {"1:14", `a={x}; echo "${!a}"`}, {"1:14", `a={x}; echo "${a@P}"`},
		{"1:21", `a=b; b={x}; echo $((a))`}, {"1:24", `a=$(echo {x}); echo $((a))`}, {"1:24", "a={x}; declare -i b; b=$a"}, {"1:9", `declare -n r=a; r={x}`}, {"1:30", `echo {x} | { read a; echo $((a)); }`}, {"1:25", `read a <<< {x}; echo $((a))`}, {"1:15", `f() { echo $(($1)); }; f {x}`}, {"1:13", `f() { eval "$1"; }; f {x}`}, {"1:36", `f() { echo {x}; }; a=$(f); echo $((a))`},
		{"1:39", `for a in "$BELLHOP_ARG_x"; do echo $((a)); done`}, {"1:6", `echo $BELLHOP_ARG_x`}, {"1:9", `echo $((BELLHOP_ARG_x))`}, {"1:1", `eval echo \$BELLHOP_ARG_x`}, {"1:23", `n=BELLHOP_ARG_x; eval "a=\$$n"`}, {"1:1", `trap 'echo $BELLHOP_ARG_x' EXIT`}, {"1:17", `cd {x}; echo $((PWD))`}, {"1:16", `: {x}; echo $((_))`},
		{"1:12", "echo {x} | sh"}, {"1:1", "bash <<< {x}"}, {"1:1", "bash <<EOF\n{x}\nEOF"}, {"1:1", "ssh host <<EOF\n{x}\nEOF"}, {"1:1", "python3 - <<EOF\n{x}\nEOF"}, {"1:8", "{ cat; bash; } <<< {x}"}, {"1:1", "bash < {x}"}, {"1:6", "bash <(echo {x})"}, {"1:8", "source <(echo {x})"}, {"1:7", "f() { bash; }; f <<< {x}"}, {"1:12", "echo {x} | xargs rm"}, {"1:12", "echo {x} | sudo sh"}, {"1:14", "echo {x} > >(bash)"}, {"1:6", "exec < {x}; bash"}, {"1:1", "psql <<EOF\n{x}\nEOF"}, {"1:12", "echo {x} | docker exec -i c sh"},
		{"1:9", "mapfile -C eval a < {x}"}, {"1:6", "read 'a[$b]' <<< {x}"},
		{"1:39", "a=$(printenv BELLHOP_ARG_x); bash -c \"$a\""}, {"1:28", "declare -p BELLHOP_ARG_x | bash"}, {"1:7", "env | sh -s {x}"},
		// variables
		{"1:5", "PS4={x}; set -x; :"}, {"1:6", "PATH={x} ls"}, {"1:8", "RANDOM={x}"}, {"1:8", "OPTIND={x}"}, {"1:12", "LD_PRELOAD={x} ls"}, {"1:10", "BASH_ENV={x} ls"}, {"1:5", "for PATH in \"$BELLHOP_ARG_x\"; do ls; done"},
		// lists
		{"1:6", "./p a{words}"}, {"1:3", "a={words}"}, {"1:7", "./p > {words}"}, {"1:13", "./p {words} {more}"}, {"1:11", "f() { ./p {words}; }; f"}, {"1:14", "./p {words}; shift"}, {"1:3", "[ {words} = a ]"}, {"1:9", "python3 {words}"},
		// reserved, names, grammar
		{"1:6", "echo {x|upper}"}, {"1:6", "echo {x:1}"}, {"1:6", "echo {x...}"}, {"1:6", "echo {" + strings.Repeat("a", 64) + "}"}, {"1:6", `echo "a {x}`}, {"2:1", "echo {x}\n)"}, {"1:4", "a=1\rb"}, {"1:2", "a\x00"}, {"1:2", "a\xff"},
	} {
		t.Run(c.in, func(t *testing.T) {
			_, faults := compile(c.in)
			if len(faults) == 0 {
				t.Fatal("accepted")
			}
			f := faults[0]
			if testing.Verbose() {
				t.Logf("%d:%d: %s", f.Line, f.Col, f.Message)
			}
			if at := fmt.Sprintf("%d:%d", f.Line, f.Col); f.Item != -1 || at != c.at {
				t.Errorf("%q: got %s, want %s: %s", c.in, at, c.at, f.Message)
			}
		})
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	_, faults := compile("echo 'a {x}'\necho $(({y}))\neval {x} # {x}\n  echo ü '{x}' {x|y}")
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d:%d", f.Line, f.Col))
	}
	if want := []string{"1:9", "2:9", "3:6", "4:11", "4:16"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: %v", got, want, faults)
	}
}

func TestSh(t *testing.T) {
	for _, c := range []struct {
		in string
		ok bool
	}{
		{"echo {x} > out", true}, {"a={x}; echo \"$a\"", true}, {"cat <<EOF\n{x}\nEOF", true},
		{"cat <<< {x}", false}, {"a=({x})", false}, {"[[ a == b ]]", false}, {"declare a=b", false}, {"diff <(ls) <(ls)", false},
		{"source ./a", false}, {"export A={x}", false}, {"echo $((i + 1))", true}, {"local a=b{x}", false}, {"echo $[{x}]", false}, {"a[{x}]=1", false}, {"((show {x}))", false}, {"echo a | (read b; echo $((b)); echo {x})", false}, {"let {x}", false}, {"echo $[1]", true},
	} {
		t.Run(c.in, func(t *testing.T) {
			p, faults := script.Compile(bellhop.JobSource{Script: c.in, Shell: "sh"})
			if ok := len(faults) == 0; ok != c.ok {
				t.Fatalf("got %v %v", p, faults)
			}
			if c.ok && p.Shell != "sh" {
				t.Errorf("shell %q", p.Shell)
			}
		})
	}
}

func TestArgv(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want []string // for x=V, words=[a b], env=E; nil = refused
		at   string   // item:line:col
	}{
		{"the example", []string{"./deploy.sh", "{env}"}, []string{"./deploy.sh", "E"}, ""},
		{"mid-element", []string{"./p", "--a={x}/{x}", "{{x}}"}, []string{"./p", "--a=V/V", "{x}"}, ""},
		{"shell words are text", []string{"./p", "${HOME} $(id) `id`", "{a,b}"}, []string{"./p", "${HOME} $(id) `id`", "{a,b}"}, ""},
		{"list", []string{"./p", "{words}", "z"}, []string{"./p", "a", "b", "z"}, ""},
		{"a script file", []string{"python3", "job.py", "-c", "{x}"}, []string{"python3", "job.py", "-c", "V"}, ""},
		{"list in an element", []string{"./p", "a{words}"}, nil, "1:1:2"},
		{"the program", []string{"{x}"}, nil, "0:1:1"},
		{"in the program", []string{"./{x}", "a"}, nil, "0:1:3"},
		{"bash -c", []string{"bash", "-c", "echo {x}"}, nil, "2:1:6"},
		{"bash -c, later", []string{"bash", "-c", "echo $1", "_", "{x}"}, nil, "4:1:1"},
		{"ssh", []string{"ssh", "host", "{x}"}, nil, "2:1:1"},
		{"list before a script", []string{"python3", "{words}", "job.py"}, nil, "1:1:1"},
		{"env", []string{"env", "{x}", "ls"}, nil, "1:1:1"},
		{"reserved", []string{"./p", "a\nb {x|y}"}, nil, "1:2:3"},
		{"stdin", []string{"./p", "{in}"}, nil, "1:1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := bellhop.JobSource{Argv: c.in, Params: []bellhop.Param{{Name: "words", Type: bellhop.TypeList}}}
			if c.name == "stdin" {
				src.Params = append(src.Params, bellhop.Param{Name: "in", As: bellhop.AsStdin})
			}
			p, faults := script.Compile(src)
			if c.want == nil {
				if len(faults) == 0 {
					t.Fatal("accepted")
				}
				if f := faults[0]; fmt.Sprintf("%d:%d:%d", f.Item, f.Line, f.Col) != c.at {
					t.Errorf("got %+v, want %s", f, c.at)
				}
				return
			}
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			cmd, err := p.Command(nil, bellhop.Args{"x": bellhop.Text("V"), "env": bellhop.Text("E"), "words": bellhop.List("a", "b")}, nil)
			if err != nil || !reflect.DeepEqual(cmd.Argv, c.want) {
				t.Errorf("got %q %v", cmd.Argv, err)
			}
		})
	}
}

func TestJobFaults(t *testing.T) {
	for name, src := range map[string]bellhop.JobSource{
		"empty":          {Script: " \n"},
		"both":           {Script: "a", Argv: []string{"a"}},
		"unknown shell":  {Script: "a", Shell: "zsh"},
		"shell and list": {Argv: []string{"a"}, Shell: "sh"},
		"two stdins":     {Script: "a", Params: []bellhop.Param{{Name: "a", As: bellhop.AsStdin}, {Name: "b", As: bellhop.AsStdin}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, faults := script.Compile(src); len(faults) != 1 || faults[0].Item != -2 {
				t.Error(faults)
			}
		})
	}
}

func TestStdinIsNeverCode(t *testing.T) {
	in := []bellhop.Param{{Name: "in", As: bellhop.AsStdin}}
	for text, ok := range map[string]bool{
		"cat": true, "./p": true, "bash job.sh": true, "wc -l": true, "while read -r l; do ./p \"$l\"; done": true,
		"bash": false, "cat | sh": false, "bash -s": false, "./p {in}": false, "read n; echo $((n))": false, "python3 -": false, "xargs ./p": false, "a=$(cat); eval \"$a\"": false, "source /dev/stdin": false,
	} {
		t.Run(text, func(t *testing.T) {
			_, faults := script.Compile(bellhop.JobSource{Script: text, Params: in})
			if (len(faults) == 0) != ok {
				t.Error(faults)
			}
		})
	}
}

func TestProgramSurvivesJSON(t *testing.T) {
	for _, src := range []bellhop.JobSource{{Script: "./p {words} {x} # <é>", Params: params}, {Argv: []string{"./p", "a{x}b", "{words}"}, Params: params}} {
		p, faults := script.Compile(src)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back script.Program
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(p, back) {
			t.Errorf("%s gives %+v, %v", b, back, err)
		}
		if want := 2; len(p.Names) != want {
			t.Errorf("names %v", p.Names)
		}
	}
}
