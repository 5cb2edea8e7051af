package script_test

import (
	"reflect"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// FuzzValue gives one value to all places at once, in one shell.
func FuzzValue(f *testing.F) {
	needs(f, "bash")
	for _, v := range hostile {
		if len(v) < 1000 {
			f.Add(v)
		}
	}
	type compiled struct {
		shell string
		in    []place
		prog  script.Program
	}
	var all []compiled
	for _, shell := range []string{"bash", "dash"} {
		c := compiled{shell: shell}
		var text strings.Builder
		for _, p := range places {
			if p.file || p.bashOnly && shell == "dash" {
				continue
			}
			c.in = append(c.in, p)
			if strings.HasPrefix(p.name, "trap") || strings.Contains(p.text, "<<") {
				text.WriteString(p.text) // a here-document must end a line
			} else {
				text.WriteString("( " + p.text + "\n)")
			}
			text.WriteString("\nprintf '=====\\0'\n")
		}
		c.prog = mustCompile(f, shell, strings.ReplaceAll(text.String(), "trap ", "( : ); : # "))
		all = append(all, c)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsRune(value, 0) || len(value) > 10_000 {
			t.Skip("no process can be given it")
		}
		for _, c := range all {
			needs(t, c.shell)
			out := run(t, c.prog, c.shell, bellhop.Args{"x": bellhop.Text(value)})
			parts := strings.Split(strings.TrimSuffix(out, "=====\x00"), "=====\x00")
			if value != "" && strings.Contains(value, "=====") {
				continue
			}
			if len(parts) != len(c.in) {
				t.Fatalf("%s: %d answers for %d places: %.300q", c.shell, len(parts), len(c.in), out)
			}
			for i, p := range c.in {
				if strings.HasPrefix(p.name, "trap") {
					continue
				}
				if got := values(parts[i]); len(got) == 0 || !p.all(got, value) {
					t.Errorf("%s, %s: got %.200q, want %.200q", c.shell, p.name, got, value)
				}
			}
		}
	})
}

// FuzzCompile feeds texts that nobody would write: compiling never panics,
// gives the same twice, and what it accepts is a script without placeholders.
func FuzzCompile(f *testing.F) {
	for _, p := range places {
		f.Add(p.text, false)
		f.Add(p.text, true)
	}
	for _, s := range []string{"echo '{x}", "cat <<EOF\n{x}", "a=({x} [{y}]=1)", "$(({x}))", "`{x}`", "{{x}}{{{x}}}", "${{x}}", "\\{x}", "#{x}\n{x|", "case {x} in {y}) ;; esac", "((i={x}))", "eval 'eval {x}'", "trap 'eval \"$BELLHOP_ARG_x\"' EXIT", "f(){ f {x}; }; f", "coproc A { cat; }", "declare -n a=b; a={x}", "[ {{x},{y}} ]", "a={x}; ((a))", "!({x})", "{x}>f", "{x}<<<{y}", "$'{x}'", "$\"{x}\""} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, sh bool) {
		src := bellhop.JobSource{Script: text, Params: params}
		lang := syntax.LangBash
		if sh {
			src.Shell, lang = "sh", syntax.LangPOSIX
		}
		prog, faults := script.Compile(src)
		again, faultsAgain := script.Compile(src)
		if !reflect.DeepEqual(prog, again) || !reflect.DeepEqual(faults, faultsAgain) {
			t.Fatal("compiled twice, it differs")
		}
		lines := strings.Split(text, "\n")
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > len(lines) || fault.Col < 1 || fault.Col > len([]rune(lines[fault.Line-1]))+1 || fault.Message == "" {
				if fault.Item != -2 {
					t.Errorf("fault is nowhere in %q: %+v", text, fault)
				}
			}
		}
		if len(faults) > 0 {
			return
		}
		file, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(prog.Script), "")
		if err != nil {
			t.Fatalf("%q became %q: %v", text, prog.Script, err)
		}
		// a reference to a value is quoted, or in a here-document
		var above []syntax.Node
		syntax.Walk(file, func(n syntax.Node) bool {
			if n == nil {
				above = above[:len(above)-1]
				return true
			}
			if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil && strings.HasPrefix(p.Param.Value, "BELLHOP_ARG_") && !strings.Contains(text, "BELLHOP_ARG_") {
				_, quoted := above[len(above)-1].(*syntax.DblQuoted)
				redir, here := above[len(above)-2].(*syntax.Redirect)
				if !quoted && !(here && redir.Hdoc == above[len(above)-1]) {
					t.Errorf("%q became %q, with a bare reference", text, prog.Script)
				}
			}
			above = append(above, n)
			return true
		})
		for _, name := range prog.Names {
			if !strings.Contains(text, "{"+name+"}") {
				t.Errorf("%q is said to name %q", text, name)
			}
		}
	})
}

// FuzzArgv does the same for an element of an argv list.
func FuzzArgv(f *testing.F) {
	for _, s := range []string{"{x}", "a{x}b{{y}}", "{words}", "{x|", "${x}", "{{{x}}}", "a\nb{x:"} {
		f.Add("./p", s)
	}
	f.Fuzz(func(t *testing.T, program, text string) {
		prog, faults := script.Compile(bellhop.JobSource{Argv: []string{program, text}, Params: params})
		if len(faults) > 0 {
			return
		}
		args := bellhop.Args{"words": bellhop.List("1", "2"), "more": bellhop.List()}
		for _, name := range prog.Names {
			if _, ok := args[name]; !ok {
				args[name] = bellhop.Text("V")
			}
		}
		cmd, err := prog.Command(nil, args, nil)
		if err != nil || len(cmd.Argv) == 0 || len(prog.Names) == 0 && (len(cmd.Argv) != 2 || !strings.Contains(text, "{{") && cmd.Argv[1] != text) {
			t.Errorf("%q gives %q, %v", text, cmd.Argv, err)
		}
	})
}
