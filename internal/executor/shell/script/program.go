// Package script turns a job's `run:` text into a program in which no argument
// is code. A script's text is fixed, the same for every value: a placeholder
// becomes a reference to an environment variable, quoted as its place needs,
// and places where a shell evaluates a value are refused. An argv list never
// meets a shell at all.
//
// The package starts no process and reads no file. What it can't see, it does
// not promise: a program or script file that evaluates its own arguments or
// its input, and a value that comes back from a file, a service or a program
// other than by the ways that package code follows (variables, command
// substitutions, pipes, here-documents and redirections of the same script).
package script

import (
	"maps"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Program is the checked form of `run:`. It is plain data, kept in a job's
// Spec; its JSON form holds all of it.
type Program struct {
	// Shell is bash or sh for a script, and "" for an argv list.
	Shell string `json:"shell,omitempty"`
	// Script is the text for the shell. It holds no placeholder.
	Script string `json:"script,omitempty"`
	// List is the one list parameter of a script, whose words are the script's
	// positional parameters; "" = none.
	List string `json:"list,omitempty"`
	// Argv is the program and its arguments, when there is no script.
	Argv []Template `json:"argv,omitempty"`
	// Names are the parameters that the text names, in order, each once.
	Names []string `json:"names,omitempty"`
}

// Template is one element of an argv list: its parts joined.
type Template []Part

// Part is fixed text, or the value of a parameter.
type Part struct {
	Text  string `json:"text,omitempty"`
	Param string `json:"param,omitempty"` // "" = Text
}

// Command is what to start.
type Command struct {
	// Argv is the program and its arguments. A script is run as
	// `bash -c SCRIPT bash [words...]`, without -e: as in any shell script, a
	// failing line does not end it unless it says `set -e`.
	Argv []string
	// Env holds BELLHOP_ARG_name=value for every argument but those of `as:
	// stdin`, sorted. A list is there as a JSON array.
	Env []string
	// Stdin is the argument of the parameter that says `as: stdin`; nil = none.
	Stdin *string
}

const (
	envPrefix    = "BELLHOP_ARG_"
	principalVar = "BELLHOP_PRINCIPAL" // begins the names of those that tell who asks
)

// EnvName returns the variable that holds the argument name. A dot becomes
// _DOT_ and a dash _DASH_; names are in lower case, so no two share a variable.
func EnvName(name string) string {
	return envPrefix + strings.NewReplacer(".", "_DOT_", "-", "_DASH_").Replace(name)
}

// Command puts arguments into the program. params are the job's; files gives
// for each parameter that says `as: file` the path of the file that the caller
// wrote its value to. The error is Invalid: a value that no process can be
// given, or an argument that is missing.
func (p Program) Command(params []bellhop.Param, args bellhop.Args, files map[string]string) (Command, error) {
	values := make(map[string]bellhop.Value, len(args))
	var c Command
	for _, name := range slices.Sorted(maps.Keys(args)) {
		v := args[name]
		if nameLen(name) != len(name) || name == "" {
			return Command{}, bellhop.Errorf(bellhop.Invalid, "%.40q can't be the name of an argument; use a-z, 0-9, _, - and dots between names", name)
		}
		switch as(params, name) {
		case bellhop.AsStdin:
			text := v.String()
			c.Stdin = &text
			continue
		case bellhop.AsFile:
			path, ok := files[name]
			if !ok {
				return Command{}, bellhop.Errorf(bellhop.Internal, "%s has no file for its value", name)
			}
			v = bellhop.Text(path)
		}
		if err := passable(name, v); err != nil {
			return Command{}, err
		}
		values[name] = v
		c.Env = append(c.Env, EnvName(name)+"="+v.String())
	}
	for _, name := range p.Names {
		if _, ok := values[name]; !ok {
			return Command{}, bellhop.Errorf(bellhop.Invalid, "%s is missing", name)
		}
	}
	var err error
	c.Argv, err = p.argv(values)
	return c, err
}

func (p Program) argv(values map[string]bellhop.Value) ([]string, error) {
	if p.Shell != "" {
		argv := []string{p.Shell, "-c", p.Script, p.Shell}
		if p.List == "" {
			return argv, nil
		}
		v := values[p.List]
		if !v.IsList() {
			return nil, bellhop.Errorf(bellhop.Invalid, "%s expects a list", p.List)
		}
		return append(argv, v.List...), nil
	}
	var argv []string
	for _, t := range p.Argv {
		if len(t) == 1 && t[0].Param != "" && values[t[0].Param].IsList() {
			argv = append(argv, values[t[0].Param].List...)
			continue
		}
		var b strings.Builder
		for _, part := range t {
			if part.Param == "" {
				b.WriteString(part.Text)
			} else {
				b.WriteString(values[part.Param].String())
			}
		}
		argv = append(argv, b.String())
	}
	return argv, nil
}

func as(params []bellhop.Param, name string) bellhop.PassAs {
	for _, p := range params {
		if p.Name == name {
			return p.As
		}
	}
	return bellhop.AsEnv
}

// passable says whether a process can be given v through its environment.
func passable(name string, v bellhop.Value) error {
	s := v.String()
	for _, w := range append([]string{s}, v.List...) {
		if strings.IndexByte(w, 0) >= 0 {
			return bellhop.Errorf(bellhop.Invalid, "%s holds a NUL character, which no program can be given", name)
		}
	}
	if len(s) > bellhop.MaxEnvValue {
		return bellhop.Errorf(bellhop.Invalid, "%s is %d bytes long; the limit is %d unless its parameter says `as: stdin` or `as: file`", name, len(s), bellhop.MaxEnvValue)
	}
	return nil
}
