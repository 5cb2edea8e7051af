package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call judges a simple command: its assignments, its words, and what the
// command would make of them.
func (k *checker) call(n *syntax.CallExpr, fl flow) {
	for _, a := range n.Assigns {
		k.assign(a, inAssign)
	}
	if len(n.Args) == 0 {
		return
	}
	name := k.word(n.Args[0], inName)
	if name.lvl == hostile {
		k.hostileFault(name, "can't be the name of a command")
		return
	}
	args := make([]arg, 0, len(n.Args)-1)
	for _, w := range n.Args[1:] {
		args = append(args, k.word(w, inArg))
	}
	k.named(name, args, fl)
}

// commandName is what a command is called, "" when that can't be known.
func commandName(a arg) string {
	switch {
	case a.fixed:
		return a.text
	case !a.many && strings.Contains(a.tail, "/"):
		return a.tail
	}
	return ""
}

func firstHostile(args []arg) (arg, bool) {
	for _, a := range args {
		if a.lvl == hostile {
			return a, true
		}
	}
	return arg{}, false
}

func highest(args []arg) level {
	l := number
	for _, a := range args {
		l = max(l, a.lvl)
	}
	return l
}

func (k *checker) named(word arg, args []arg, fl flow) {
	name := commandName(word)
	if name == "" {
		if a, ok := firstHostile(args); ok {
			k.hostileFault(a, "can't be given to a command whose name is known only when it runs; write its name")
		} else if fl.stdin {
			k.fault(word.at, k.someValue()+" can't be the input of a command whose name is known only when it runs; write its name")
		}
		return
	}
	if k.funcs[name] {
		k.raisePos(highest(args))
		k.high = hostile // what a function prints may hold a value
		if fl.stdin && !k.funcStdin {
			k.funcStdin, k.changed = true, true
		}
	}
	switch programName(name) {
	case "env", "printenv", "export", "declare", "typeset", "set", "readonly", "local": // show variables
		k.high = hostile
	}
	if k.builtin(name, word, args, fl) {
		return
	}
	k.innerShells(word, args)
	if at, message := external(name, word.at, args, fl.stdin); message != "" {
		k.hostileFault(arg{cause: at}, message)
	}
}

// builtin judges the shell's own commands. It returns false for the others.
func (k *checker) builtin(name string, word arg, args []arg, fl flow) bool {
	switch name {
	case "echo", ":", "true", "false":
		return true
	case "cd":
		k.raise("PWD", highest(args))
		k.raise("OLDPWD", highest(args))
		return true
	case "printf":
		k.printf(args)
		return true
	case "[", "test":
		k.bracket(name, args)
		return true
	}
	if !isBuiltin(name) {
		return false
	}
	if a, ok := firstHostile(args); ok && !k.funcs[name] {
		k.hostileFault(a, "can't be given to "+name)
		return true
	}
	k.ownWords(name, word, args, fl)
	return true
}

// ownWords judges builtins that are given no value: what they evaluate, what
// they assign.
func (k *checker) ownWords(name string, word arg, args []arg, fl flow) {
	switch name {
	case "command", "builtin", "exec":
		if rest := started(args); len(rest) > 0 {
			k.named(rest[0], rest[1:], fl)
		}
	case "eval":
		k.code(name, word.at, args)
	case "trap":
		if len(args) > 0 {
			k.code(name, word.at, args[:1])
		}
	case "source", ".":
		for _, a := range args {
			if fl.stdin && (!a.fixed || strings.HasPrefix(a.text, "/dev/") || strings.HasPrefix(a.text, "/proc/")) {
				k.fault(word.at, name+" would read its code from a value; name a file")
			}
		}
	case "alias", "compgen", "complete", "bind", "fc", "enable":
		if len(args) > 0 {
			k.fault(word.at, name+" changes what later words mean; in a job that takes values, move it to a script file")
		}
	case "set", "shift":
		if k.list != "" && !k.inFunc && (name == "shift" || !optionsOnly(args)) {
			k.fault(word.at, name+" would change {"+k.list+`}, whose words are the script's "$@"; take it out`)
		}
		k.raisePos(highest(args))
	case "read", "mapfile", "readarray", "getopts", "unset", "wait", "let":
		k.variables(name, word, args, fl)
	case "export", "readonly", "local", "declare", "typeset": // under sh
		k.declareWords(name, args)
	}
}

// started returns the command that command, builtin or exec start.
func started(args []arg) []arg {
	for len(args) > 0 && args[0].fixed && strings.HasPrefix(args[0].text, "-") {
		switch args[0].text {
		case "-v", "-V":
			return nil
		case "-a":
			args = args[1:]
		}
		args = args[min(1, len(args)):]
	}
	return args
}

func optionsOnly(args []arg) bool {
	for i, a := range args {
		option := a.fixed && len(a.text) > 1 && (a.text[0] == '-' || a.text[0] == '+') && a.text != "--"
		value := i > 0 && args[i-1].fixed && strings.HasSuffix(args[i-1].text, "o")
		if !option && !value {
			return false
		}
	}
	return true
}

// variables judges builtins whose words are names of variables.
func (k *checker) variables(name string, word arg, args []arg, fl flow) {
	lvl := own
	if fl.stdin || name == "getopts" && k.posLevel == hostile {
		lvl = hostile
	}
	for _, v := range []string{"REPLY", "MAPFILE", "OPTARG"} {
		if name != "unset" && name != "wait" && name != "let" {
			k.raise(v, lvl)
		}
	}
	for _, a := range args {
		switch {
		case name == "let":
			if !a.fixed {
				k.fault(a.at, "let evaluates code hidden in its words; move it to a script file")
			} else {
				k.arithText(a.text, a.at)
			}
		case !a.fixed && a.lvl != number:
			k.fault(a.at, name+" evaluates code hidden in a name; write the variable's name, or move it to a script file")
		case strings.ContainsAny(a.text, "[$`"):
			k.fault(a.at, name+" evaluates a subscript a second time; move it to a script file")
		case (name == "mapfile" || name == "readarray") && strings.HasPrefix(a.text, "-C"):
			k.fault(a.at, name+" -C evaluates what it reads; move it to a script file")
		case name != "unset" && syntax.ValidName(a.text):
			k.assigned(a.at, a.text, lvl)
		}
	}
}

// declareWords judges declarations that the grammar shows as plain commands.
func (k *checker) declareWords(name string, args []arg) {
	integer := false
	for _, a := range args {
		if !a.fixed {
			k.fault(a.at, name+" reads this word again after it is expanded; assign first: name=..., then "+name+" name")
			continue
		}
		if strings.HasPrefix(a.text, "-") {
			integer = k.attribute(a.at, a.text) || integer
			continue
		}
		v, text, set := strings.Cut(a.text, "=")
		k.integer(v, integer)
		if set {
			k.assigned(a.at, strings.TrimSuffix(v, "+"), literalLevel(text))
		}
	}
}

// code judges words that the shell will parse as a script: they must be fixed,
// and are checked like the script itself.
func (k *checker) code(name string, at int, args []arg) {
	texts := make([]string, len(args))
	for i, a := range args {
		if !a.fixed {
			k.fault(a.at, name+" evaluates this text after it is expanded; put it in single quotes so that it can be checked, or move it to a script file")
			return
		}
		texts[i] = a.text
	}
	text := strings.Join(texts, " ")
	file, err := k.c.parse(&mapped{text: text})
	if err != nil {
		k.fault(at, name+" is given a text that can't be read as a script; move it to a script file")
		return
	}
	outer, outerText := k.base, k.text
	k.text = text
	if k.base < 0 {
		k.base = at
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name != nil && !k.funcs[f.Name.Value] {
			k.funcs[f.Name.Value], k.changed = true, true
		}
		return true
	})
	k.stmts(file.Stmts, k.fl)
	k.base, k.text = outer, outerText
}

// innerShells checks the fixed text after `sh -c` like the script itself: the
// variables that it is handed are the same. word may be a wrapper of it.
func (k *checker) innerShells(word arg, args []arg) {
	all := append([]arg{word}, args...)
	for i, a := range all {
		if !a.fixed || !shellName(programName(a.text)) {
			continue
		}
		for j := i + 1; j+1 < len(all) && all[j].fixed && strings.HasPrefix(all[j].text, "-"); j++ {
			if strings.Contains(all[j].text, "c") && all[j+1].fixed {
				k.code(a.text, all[j+1].at, all[j+1:j+2])
			}
		}
	}
}

// printf judges the one builtin that reads its first word as a language.
func (k *checker) printf(args []arg) {
	hurt, hostileArgs := firstHostile(args)
	if len(args) > 0 && args[0].fixed && args[0].text == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	format := args[0]
	if !hostileArgs {
		if !format.fixed || strings.HasPrefix(format.text, "-v") {
			k.printfTo(args)
		}
		return
	}
	switch {
	case !format.fixed:
		k.hostileFault(hurt, `can't be given to printf unless its format is fixed text; write printf '%s\n' first`)
	case strings.HasPrefix(format.text, "-"):
		k.hostileFault(hurt, "can't be given to printf with an option, since -v assigns; use name=$(printf ...)")
	default:
		if c := otherConversion(format.text); c != "" {
			k.hostileFault(hurt, "can't be given to printf with "+c+" in its format, which some shells evaluate; use %s")
		}
	}
}

// printfTo judges printf -v, which names a variable.
func (k *checker) printfTo(args []arg) {
	for i, a := range args {
		switch {
		case i > 1 || i == 1 && len(args[0].text) > 2:
			return
		case !a.fixed || strings.ContainsAny(a.text, "[$`"):
			k.fault(a.at, "printf -v evaluates code hidden in a name; write the variable's name, or move it to a script file")
		case i == 0 && len(a.text) > 2:
			k.assigned(a.at, a.text[2:], own)
		case i == 1:
			k.assigned(a.at, a.text, own)
		}
	}
}

// otherConversion returns the first conversion of a format that is not plain
// text: %s, %b, %q with flags, width and precision in digits, and %%.
func otherConversion(format string) string {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		from := i
		for i++; i < len(format) && strings.IndexByte("-+ #0123456789.", format[i]) >= 0; i++ {
		}
		if i >= len(format) || strings.IndexByte("sbq%", format[i]) < 0 {
			return format[from:min(i+1, len(format))]
		}
	}
	return ""
}

// bracket judges [ and test: a value may stand only where no value can be
// taken for an operator.
func (k *checker) bracket(name string, args []arg) {
	if name == "[" && len(args) > 0 {
		args = args[:len(args)-1]
	}
	a, hurt := firstHostile(args)
	for i, w := range args {
		if w.fixed && (w.text == "-v" || w.text == "-R") && i+1 < len(args) && args[i+1].lvl != number && !syntax.ValidName(args[i+1].text) {
			k.fault(w.at, "["+" "+w.text+" ] evaluates code hidden in its word; name the variable itself, or move it to a script file")
			return
		}
	}
	if !hurt {
		return
	}
	for _, w := range args {
		if w.many {
			k.hostileFault(a, "can't stand in [ ] beside a word that may become several; put that word in double quotes")
			return
		}
	}
	if len(args) > 0 && args[0].fixed && args[0].text == "!" {
		args = args[1:]
	}
	ok := len(args) == 1
	if len(args) == 2 && args[0].fixed {
		ok = len(args[0].text) == 2 && args[0].text[0] == '-' && strings.Contains("-n-z-e-f-d-r-w-x-s-L-h-b-c-p-S-g-u-k-O-G-N", args[0].text)
	}
	if len(args) == 3 && args[1].fixed {
		switch args[1].text {
		case "=", "==", "!=", "<", ">", "-nt", "-ot", "-ef":
			ok = true
		}
	}
	if !ok {
		k.hostileFault(a, `can stand in [ ] only as [ -n X ] and its like, [ X = Y ] or [ X != Y ]: some shells evaluate the others; join several [ ] with && or ||`)
	}
}
