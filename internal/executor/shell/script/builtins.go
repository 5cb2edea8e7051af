package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// isBuiltin knows the commands of bash and dash that are not programs.
func isBuiltin(name string) bool {
	switch name {
	case "alias", "bg", "bind", "break", "builtin", "caller", "command", "compgen", "complete", "compopt", "continue", "coproc", "declare", "dirs", "disown", "enable", "eval", "exec", "exit", "export",
		"fc", "fg", "getopts", "hash", "help", "history", "jobs", "kill", "let", "local", "logout", "mapfile", "popd", "pushd", "pwd", "read", "readarray", "readonly", "return", "set", "shift", "shopt",
		"source", ".", "suspend", "times", "trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait", "[[", "((":
		return true
	}
	return false
}

// bashOnly refuses, under `shell: sh`, words that only bash knows and that the
// grammar of a POSIX shell takes for names of programs.
func (c *compiler) bashOnly(out *mapped, file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		switch name := call.Args[0].Lit(); name {
		case "[[", "declare", "typeset", "let", "source", "shopt", "mapfile", "readarray", "pushd", "popd", "function", "select", "builtin", "coproc", "enable", "compgen", "complete":
			c.fault(out.source(int(call.Args[0].Pos().Offset())), "%s is known to bash only; say `shell: bash`, or write it for sh", name)
		}
		for _, w := range call.Args {
			if lit := w.Lit(); strings.HasPrefix(lit, "<(") {
				c.fault(out.source(int(w.Pos().Offset())), "%s is known to bash only; say `shell: bash`", lit)
			}
		}
		return true
	})
}
