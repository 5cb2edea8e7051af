package script

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/bellhop-io/bellhop"
)

// level says how far text can be trusted where a shell would evaluate it.
type level uint8

const (
	// number: digits, of the script's own making. May stand in arithmetic.
	number level = iota
	// own: text of the script or of its programs, but no number. In arithmetic
	// it could name a variable that holds a value.
	own
	// hostile: may hold a value.
	hostile
)

// checker follows values through a finished script, by variables, command
// substitutions, pipes and standard input, without regard to the order of
// statements, until nothing more is learned; then its faults stand.
type checker struct {
	c    *compiler
	out  *mapped
	refs map[int]piece // by the offset of the dollar
	list string

	vars      map[string]level
	integers  map[string]bool // declared with -i
	funcs     map[string]bool
	posLevel  level // of $1, $@ ...
	funcStdin bool  // a function's standard input may hold a value
	changed   bool

	fl     flow  // of the present statement
	high   level // highest level expanded since it was last reset
	inFunc bool
	base   int    // offset in out of a text parsed by itself (eval, trap); -1 = none
	text   string // that text, else out's: what offsets of the syntax are in
	seen   map[int]bool
	faults map[int]string // by offset in out; the first one stands
}

// flow is what is known about a statement's surroundings.
type flow struct {
	stdin bool // standard input may hold a value
}

func hasStdin(src bellhop.JobSource) bool {
	return slices.ContainsFunc(src.Params, func(p bellhop.Param) bool { return p.As == bellhop.AsStdin })
}

// check refuses every place of the finished script where a value could become
// code.
func (c *compiler) check(out *mapped, refs map[int]piece, file *syntax.File, list string) {
	k := &checker{c: c, out: out, refs: refs, list: list, vars: map[string]level{}, integers: map[string]bool{}, funcs: map[string]bool{}, base: -1, text: out.text}
	fl := flow{stdin: hasStdin(c.src)}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name != nil {
			k.funcs[f.Name.Value] = true
		}
		return true
	})
	if list != "" {
		k.posLevel = hostile
	}
	for k.changed = true; k.changed; {
		k.changed, k.seen, k.faults = false, map[int]bool{}, map[int]string{}
		k.stmts(file.Stmts, fl)
	}
	for _, at := range slices.Sorted(maps.Keys(refs)) {
		if !k.seen[at] {
			k.fault(at, "can't stand here: only arguments of programs, echo, printf, cd and [ ], plain assignments and redirections take a value")
		}
	}
	for _, at := range slices.Sorted(maps.Keys(k.faults)) {
		c.fault(out.source(at), "%s", k.faults[at])
	}
}

// fault notes what is wrong at an offset of the finished script; where that is
// a placeholder, the message begins with it.
func (k *checker) fault(at int, message string) {
	if k.base >= 0 {
		at = k.base
	}
	if _, ok := k.faults[at]; ok {
		return
	}
	if p, ok := k.refs[at]; ok {
		k.seen[at] = true
		message = "{" + p.name + "} " + orElse(message, remedy(p.name))
	}
	k.faults[at] = message
}

// hostileFault is for a value that came by a variable or by a placeholder, which
// the message names.
func (k *checker) hostileFault(a arg, message string) {
	if _, ok := k.refs[a.cause]; ok && k.base < 0 {
		k.fault(a.cause, message)
		return
	}
	what := k.someValue()
	if text := expansionAt(k.text, a.cause); text != "" {
		what = "`" + text + "`"
	}
	k.fault(a.cause, what+" "+orElse(message, inFile))
}

const inFile = "read it in a script file that the job runs"

// someValue is how a message calls a value of which it is not known where it
// came in.
func (k *checker) someValue() string {
	if strings.Contains(k.out.text, principalVar) || len(k.refs) == 0 && !hasStdin(k.c.src) && !strings.Contains(k.out.text, envPrefix) {
		return "a value" // may be who asks, who is no argument
	}
	return "a value from an argument"
}

// splitFault is for an expansion that needs quotes. what is the expansion if
// its text is too long or too odd to be told.
func (k *checker) splitFault(at int, what, message string) {
	text := cmp.Or(expansionAt(k.text, at), what)
	remedy := "write it in double quotes"
	if text != "" {
		remedy = `write "` + text + `" in double quotes (in YAML, put a run of one line in single quotes then)`
	}
	k.hostileFault(arg{cause: at}, message+"; "+remedy)
}

var expansion = regexp.MustCompile("^\\$(?:[a-zA-Z_][a-zA-Z0-9_]*|[0-9@*_]|\\{[^{}$\"'`\\\\\\pC]{1,60}\\})")

// expansionAt returns the variable's expansion that stands in text at an
// offset, as it is written there; "" when there is none that is short and plain.
func expansionAt(text string, at int) string {
	if at < 0 || at >= len(text) {
		return ""
	}
	return expansion.FindString(text[at:])
}

// orElse adds the remedy that always helps to a message that may have one.
func orElse(message, remedy string) string {
	if strings.Contains(message, "; ") {
		return message + ", or " + remedy
	}
	return message + "; " + remedy
}

func (k *checker) levelOf(name string) level {
	if l, ok := k.vars[name]; ok && l == hostile {
		return l
	}
	switch {
	case name == "#", name == "?", name == "$", name == "!", name == "-", name == "0":
		return number
	case name == "@", name == "*", name[0] >= '1' && name[0] <= '9':
		return k.posLevel
	case strings.HasPrefix(name, envPrefix), strings.HasPrefix(name, principalVar),
		name == "_", name == "BASH_COMMAND", name == "BASH_ARGV", name == "DIRSTACK":
		return hostile
	case name == "BASH_REMATCH", name == "IFS":
		return own
	}
	return k.vars[name]
}

func (k *checker) raise(name string, l level) {
	if k.vars[name] < l {
		k.vars[name] = l
		k.changed = true
	}
}

func (k *checker) raisePos(l level) {
	if k.posLevel < l {
		k.posLevel = l
		k.changed = true
	}
}

func (k *checker) stmts(list []*syntax.Stmt, fl flow) {
	for _, s := range list {
		k.stmt(s, fl)
	}
}

func (k *checker) stmt(s *syntax.Stmt, fl flow) {
	outer := k.fl
	defer func() { k.fl = outer }()
	k.fl = fl
	call, _ := s.Cmd.(*syntax.CallExpr)
	for _, r := range s.Redirs {
		if k.redirect(r) {
			fl.stdin = true
			if call != nil && slices.ContainsFunc(call.Args, func(w *syntax.Word) bool { t, _ := plainText(w); return t == "exec" }) {
				k.fault(int(r.Pos().Offset()), "exec would make a value the standard input of all that follows; redirect the one command that reads it")
			}
		}
	}
	k.fl = fl
	if s.Cmd != nil {
		k.command(s.Cmd, fl)
	}
}

func (k *checker) command(cmd syntax.Command, fl flow) {
	switch n := cmd.(type) {
	case *syntax.CallExpr:
		k.call(n, fl)
	case *syntax.BinaryCmd:
		k.binary(n, fl)
	case *syntax.Subshell:
		k.stmts(n.Stmts, fl)
	case *syntax.Block:
		k.stmts(n.Stmts, fl)
	case *syntax.IfClause:
		for ; n != nil; n = n.Else {
			k.stmts(n.Cond, fl)
			k.stmts(n.Then, fl)
		}
	case *syntax.WhileClause:
		k.stmts(n.Cond, fl)
		k.stmts(n.Do, fl)
	case *syntax.ForClause:
		k.loop(n, fl)
	case *syntax.CaseClause:
		k.caseClause(n, fl)
	case *syntax.FuncDecl:
		outer := k.inFunc
		k.inFunc = true
		k.stmt(n.Body, flow{stdin: fl.stdin || k.funcStdin})
		k.inFunc = outer
	case *syntax.ArithmCmd:
		k.arith(n.X)
	case *syntax.LetClause:
		for _, x := range n.Exprs {
			k.arith(x)
		}
	case *syntax.TestClause:
		k.test(n.X)
	case *syntax.DeclClause:
		k.declare(n)
	case *syntax.TimeClause:
		if n.Stmt != nil {
			k.stmt(n.Stmt, fl)
		}
	case *syntax.CoprocClause:
		k.stmt(n.Stmt, flow{stdin: true})
	default:
		k.fault(int(cmd.Pos().Offset()), "this form is not known to be safe beside a value; move it to a script file")
	}
}

func (k *checker) binary(n *syntax.BinaryCmd, fl flow) {
	if n.Op != syntax.Pipe && n.Op != syntax.PipeAll {
		k.stmt(n.X, fl)
		k.stmt(n.Y, fl)
		return
	}
	before := k.high
	k.high = number
	k.stmt(n.X, fl)
	fl.stdin = fl.stdin || k.high == hostile
	k.high = max(k.high, before)
	k.stmt(n.Y, fl)
}

func (k *checker) loop(n *syntax.ForClause, fl flow) {
	switch l := n.Loop.(type) {
	case *syntax.WordIter:
		lvl := number
		if n.Select {
			lvl = hostile
			k.raise("REPLY", hostile)
		}
		for _, w := range l.Items {
			lvl = max(lvl, k.word(w, inSubject).lvl)
		}
		if !l.InPos.IsValid() { // for x; do: over "$@"
			lvl = max(lvl, k.posLevel)
		}
		k.assigned(int(l.Name.Pos().Offset()), l.Name.Value, lvl)
	case *syntax.CStyleLoop:
		for _, x := range []syntax.ArithmExpr{l.Init, l.Cond, l.Post} {
			k.arith(x)
		}
	}
	k.stmts(n.Do, fl)
}

func (k *checker) caseClause(n *syntax.CaseClause, fl flow) {
	subject := inSubject
	subject.split = false
	k.word(n.Word, subject)
	for _, item := range n.Items {
		for _, p := range item.Patterns {
			if a := k.word(p, inPattern); a.lvl == hostile {
				k.hostileFault(a, "can't be a pattern of case")
			}
		}
		k.stmts(item.Stmts, fl)
	}
}

// redirect checks one redirection and says whether it makes standard input
// something that may hold a value. Any descriptor counts as standard input.
func (k *checker) redirect(r *syntax.Redirect) (stdin bool) {
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		return r.Hdoc != nil && k.word(r.Hdoc, inHere).lvl == hostile
	case syntax.WordHdoc:
		return k.word(r.Word, inTarget).lvl == hostile
	case syntax.RdrIn, syntax.RdrInOut:
		return k.word(r.Word, inTarget).lvl == hostile
	case syntax.DplIn, syntax.DplOut:
		// bash expands the word after >& a second time, when it is no number
		if a := k.word(r.Word, inDup); a.lvl != number && !a.fixed {
			k.hostileFault(a, "can't follow "+r.Op.String()+", where bash evaluates code hidden in it; write &> FILE, or > FILE 2>&1")
		}
		return false
	}
	k.word(r.Word, inTarget)
	return false
}
