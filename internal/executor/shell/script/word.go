package script

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// spot says what may stand in a word there.
type spot struct {
	split bool // unquoted expansions are split into words
	ref   bool // placeholders may stand here
	list  bool // and the list may
}

var (
	inArg     = spot{split: true, ref: true, list: true}
	inName    = spot{split: true}
	inAssign  = spot{ref: true}
	inElem    = spot{split: true, ref: true, list: true}
	inTarget  = spot{split: true, ref: true}
	inHere    = spot{ref: true}
	inDup     = spot{split: true}
	inSubject = spot{split: true}
	inPattern = spot{}
	inNested  = spot{} // a word within ${...}, or within [[ ]]
)

// arg is what is known of a word once it is expanded.
type arg struct {
	lvl   level
	fixed bool   // always this text, one word
	text  string // when fixed
	many  bool   // may be any number of words
	head  string // fixed text that it begins with
	tail  string // fixed text that it ends with
	at    int    // offset
	cause int    // offset of what made it hostile, else at
}

var (
	numeric    = regexp.MustCompile(`^[-+]?([0-9][0-9a-zA-Z]*)?$`)
	countRange = regexp.MustCompile(`^\{-?[0-9]+\.\.-?[0-9]+(\.\.-?[0-9]+)?\}$`)
	escaped    = regexp.MustCompile(`\\.`)
	// plainFormat is an argument of date or seq that makes it print no letters
	// of the script's choosing.
	plainFormat = regexp.MustCompile(`^(-[a-z]|\+(%-?[A-Za-z]|[-0-9:_ /])*|-?[0-9]+)$`)
)

// word checks a word and tells what it may become.
func (k *checker) word(w *syntax.Word, s spot) arg {
	a := arg{fixed: true, at: int(w.Pos().Offset()), cause: int(w.Pos().Offset())}
	if lit := w.Lit(); len(w.Parts) == 0 || lit == "[" {
		a.text = lit // the command, no pattern
		return a
	}
	k.parts(w.Parts, false, s, &a)
	if s.split && spreads(w) {
		a.many = true
		a.unknown(own)
	}
	if a.fixed {
		a.lvl = max(a.lvl, literalLevel(a.text))
	} else if lit := w.Lit(); countRange.MatchString(lit) {
		a.lvl = number
	}
	k.high = max(k.high, a.lvl)
	return a
}

// spreads says whether bash may make several words of w by its braces.
func spreads(w *syntax.Word) bool {
	bare := ""
	for _, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			bare += escaped.ReplaceAllString(lit.Value, "")
		}
	}
	return strings.Contains(bare, "{") && strings.Contains(bare, "}") && (strings.Contains(bare, ",") || strings.Contains(bare, ".."))
}

func literalLevel(text string) level {
	if numeric.MatchString(text) {
		return number
	}
	return own
}

func (k *checker) parts(parts []syntax.WordPart, quoted bool, s spot, a *arg) {
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			k.literal(p.Value, quoted, s, a)
		case *syntax.SglQuoted:
			if p.Dollar {
				a.unknown(own)
				continue
			}
			a.text += p.Value
			a.tail += p.Value
			if a.fixed {
				a.head = a.text
			}
		case *syntax.DblQuoted:
			before := a.lvl
			k.parts(p.Parts, true, s, a)
			if p.Dollar {
				a.unknown(own)
				if before != hostile && a.lvl == hostile {
					k.hostileFault(*a, `can't stand in $"...", which is looked up as a translation`)
				}
			}
		case *syntax.ParamExp:
			k.expansion(p, quoted, s, a)
		case *syntax.CmdSubst:
			k.subst(p, quoted, s, a)
		case *syntax.ArithmExp:
			k.arith(p.X)
			a.unknown(number)
		case *syntax.ProcSubst:
			before := k.high
			k.high = number
			k.stmts(p.Stmts, flow{stdin: p.Op != syntax.CmdIn})
			a.raise(max(own, k.high), int(p.Pos().Offset()))
			k.high = max(k.high, before)
			a.unknown(own)
		case *syntax.ExtGlob:
			if strings.ContainsAny(p.Pattern.Value, "$`") {
				k.fault(int(p.Pos().Offset()), "an expansion inside an extended pattern can't be followed; move it to a script file")
			}
			a.unknown(own)
			a.many = a.many || s.split
		default:
			k.fault(int(part.Pos().Offset()), "this form is not known to be safe beside a value; move it to a script file")
		}
	}
}

func (a *arg) unknown(l level) {
	a.fixed, a.tail = false, ""
	a.lvl = max(a.lvl, l)
}

func (a *arg) raise(l level, at int) {
	if l == hostile && a.lvl != hostile {
		a.cause = at
	}
	a.lvl = max(a.lvl, l)
}

func (k *checker) literal(value string, quoted bool, s spot, a *arg) {
	if !quoted && s.split {
		bare := escaped.ReplaceAllString(value, "")
		if strings.ContainsAny(bare, "*?[") || strings.HasPrefix(bare, "~") {
			a.many = true
			a.unknown(own)
		}
	}
	text := unescape(value, quoted)
	a.text += text
	a.tail += text
	if a.fixed {
		a.head = a.text
	} else {
		a.lvl = max(a.lvl, literalLevel(text))
	}
}

// unescape takes the backslashes out of a literal as a shell does.
func unescape(s string, quoted bool) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// expansion checks ${...} in all its forms.
func (k *checker) expansion(p *syntax.ParamExp, quoted bool, s spot, a *arg) {
	at := int(p.Dollar.Offset())
	if p.Param == nil || p.NestedParam != nil || p.Flags != nil {
		k.fault(at, "this expansion is not known to be safe beside a value; move it to a script file")
		return
	}
	name := p.Param.Value
	lvl := k.levelOf(name)
	if ref, ok := k.refs[at]; ok && k.base < 0 {
		k.seen[at] = true
		switch {
		case !s.ref, ref.name == k.list && !s.list:
			k.fault(at, "can't stand here: only arguments of programs, echo, printf, cd and [ ], plain assignments and redirections take a value")
		case ref.name == k.list && k.inFunc:
			k.fault(at, `is a list, and inside a function "$@" is the function's own; call it as: name {`+ref.name+`}, and write "$@" inside`)
		}
	}
	switch {
	case p.Names != 0:
		lvl = own
	case p.Excl && p.Index == nil:
		if lvl != number {
			k.fault(at, "${!"+name+"} evaluates code hidden in a value; move it to a script file")
		}
		lvl = hostile
	case p.Excl:
		lvl = own
	case p.Length:
		lvl = number
	}
	if name == "@" || name == "*" {
		a.many = a.many || name == "@" || !quoted
	}
	if p.Index != nil {
		if w, ok := p.Index.(*syntax.Word); ok && (w.Lit() == "@" || w.Lit() == "*") {
			a.many = true
		} else {
			k.arith(p.Index)
		}
	}
	if p.Slice != nil {
		k.arith(p.Slice.Offset)
		k.arith(p.Slice.Length)
	}
	if p.Repl != nil {
		for _, w := range []*syntax.Word{p.Repl.Orig, p.Repl.With} {
			if w != nil {
				lvl = max(lvl, k.word(w, inNested).lvl)
			}
		}
	}
	if p.Exp != nil {
		lvl = k.operator(p, at, lvl)
	}
	a.raise(lvl, at)
	a.unknown(lvl)
	if !quoted && s.split {
		a.many = true
		if lvl == hostile {
			k.splitFault(at, "", "is split into words and matched against files here")
		}
	}
}

func (k *checker) operator(p *syntax.ParamExp, at int, lvl level) level {
	op := p.Exp.Op
	if op == syntax.OtherParamOps {
		if p.Exp.Word != nil && !strings.Contains("QUuL", p.Exp.Word.Lit()) && lvl != number {
			k.fault(at, "${"+p.Param.Value+"@"+p.Exp.Word.Lit()+"} can evaluate code hidden in a value; move it to a script file")
		}
		return max(lvl, own)
	}
	if p.Exp.Word == nil {
		return lvl
	}
	w := k.word(p.Exp.Word, inNested)
	if op == syntax.AssignUnset || op == syntax.AssignUnsetOrNull {
		k.assigned(at, p.Param.Value, w.lvl)
	}
	return max(lvl, w.lvl)
}

// subst checks $(...): its output holds a value when anything in it does.
func (k *checker) subst(p *syntax.CmdSubst, quoted bool, s spot, a *arg) {
	before, at := k.high, int(p.Pos().Offset())
	k.high = number
	k.stmts(p.Stmts, k.fl)
	lvl := max(own, k.high)
	if k.fl.stdin {
		lvl = hostile
	}
	if k.countOnly(p) {
		lvl = number
	}
	if p.TempFile || p.ReplyVar {
		lvl = hostile
	}
	k.high = max(before, lvl)
	a.raise(lvl, at)
	a.unknown(lvl)
	if !quoted && s.split {
		a.many = true
		if lvl == hostile {
			k.splitFault(at, "$(...)", "comes out of $(...) here and is split into words and matched against files")
		}
	}
}

// countOnly says whether a substitution gives digits whatever it reads, or
// nothing but what the machine says.
func (k *checker) countOnly(p *syntax.CmdSubst) bool {
	if len(p.Stmts) != 1 {
		return false
	}
	st, piped := p.Stmts[0], false
	for {
		b, ok := st.Cmd.(*syntax.BinaryCmd)
		if !ok {
			break
		}
		if b.Op != syntax.Pipe && b.Op != syntax.PipeAll {
			return false
		}
		st, piped = b.Y, true
	}
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) == 0 || k.funcs[call.Args[0].Lit()] {
		return false
	}
	for _, r := range st.Redirs {
		if r.Op != syntax.RdrIn && r.Op != syntax.WordHdoc && r.Op != syntax.Hdoc {
			return false
		}
	}
	name := call.Args[0].Lit()
	for _, w := range call.Args[1:] {
		t := w.Lit()
		if name == "wc" && !strings.HasPrefix(t, "-") || strings.HasPrefix(t, "--files") {
			return false
		}
		if q, ok := plainText(w); name != "wc" && (!ok || !plainFormat.MatchString(q)) {
			return false
		}
	}
	switch name {
	case "wc":
		return true
	case "date", "nproc", "seq":
		return !piped && len(st.Redirs) == 0
	}
	return false
}

// plainText is a word of literals and quotes alone.
func plainText(w *syntax.Word) (string, bool) {
	text := ""
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text += unescape(p.Value, false)
		case *syntax.SglQuoted:
			text += p.Value
		case *syntax.DblQuoted:
			for _, q := range p.Parts {
				l, ok := q.(*syntax.Lit)
				if !ok {
					return "", false
				}
				text += unescape(l.Value, true)
			}
		default:
			return "", false
		}
	}
	return text, true
}
