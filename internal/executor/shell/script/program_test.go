package script_test

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

func TestCommand(t *testing.T) {
	ps := []bellhop.Param{{Name: "in", As: bellhop.AsStdin}, {Name: "doc", As: bellhop.AsFile}, {Name: "words", Type: bellhop.TypeList}}
	prog, faults := script.Compile(bellhop.JobSource{Script: "./p {x} {doc} {words}", Params: ps})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	cmd, err := prog.Command(ps, bellhop.Args{"x": bellhop.Text("V"), "doc": bellhop.Text("long"), "in": bellhop.Text("input"), "words": bellhop.List("a", "b"), "more": bellhop.Text("M")}, map[string]string{"doc": "/tmp/doc"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"bash", "-c", `./p "$BELLHOP_ARG_x" "$BELLHOP_ARG_doc" "$@"`, "bash", "a", "b"}; !reflect.DeepEqual(cmd.Argv, want) {
		t.Errorf("argv %q", cmd.Argv)
	}
	if want := []string{"BELLHOP_ARG_doc=/tmp/doc", "BELLHOP_ARG_more=M", "BELLHOP_ARG_words=[\"a\",\"b\"]", "BELLHOP_ARG_x=V"}; !reflect.DeepEqual(cmd.Env, want) {
		t.Errorf("env %q", cmd.Env)
	}
	if cmd.Stdin == nil || *cmd.Stdin != "input" {
		t.Errorf("stdin %v", cmd.Stdin)
	}
}

func TestCommandRefuses(t *testing.T) {
	prog, _ := script.Compile(bellhop.JobSource{Script: "./p {x}"})
	for name, args := range map[string]bellhop.Args{
		"missing":       {},
		"NUL":           {"x": bellhop.Text("a\x00b")},
		"too long":      {"x": bellhop.Text(strings.Repeat("a", bellhop.MaxEnvValue+1))},
		"bad name":      {"x": bellhop.Text("a"), "y=1\nz": bellhop.Text("b")},
		"NUL in a list": {"x": bellhop.List("a", "\x00")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := prog.Command(nil, args, nil); bellhop.CodeOf(err) != bellhop.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

// No two parameters may share a variable, or one could speak for the other.
func TestEnvNameIsInjective(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9_-]{0,4}(\.[a-z][a-z0-9_-]{0,3}){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if (script.EnvName(a) == script.EnvName(b)) != (a == b) {
			t.Fatalf("%q and %q share %s", a, b, script.EnvName(a))
		}
		if strings.Trim(script.EnvName(a), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Fatalf("%s is no name of a variable", script.EnvName(a))
		}
	})
}
