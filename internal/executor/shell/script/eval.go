package script

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// This file judges the places that a shell evaluates once more after it has
// expanded them: arithmetic, subscripts, [[ ]], declarations and assignments.

const inArithmetic = "reaches arithmetic or a subscript, which evaluates code hidden in it"

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// arith refuses an expression that could meet anything but numbers.
func (k *checker) arith(x syntax.ArithmExpr) {
	switch n := x.(type) {
	case nil:
	case *syntax.BinaryArithm:
		k.arith(n.X)
		k.arith(n.Y)
	case *syntax.UnaryArithm:
		k.arith(n.X)
	case *syntax.ParenArithm:
		k.arith(n.X)
	case *syntax.Word:
		k.arithWord(n)
	default:
		k.fault(int(x.Pos().Offset()), "this arithmetic is not known to be safe beside a value; move it to a script file")
	}
}

func (k *checker) arithWord(w *syntax.Word) {
	at := int(w.Pos().Offset())
	for _, part := range w.Parts {
		k.arithPart(part, at)
	}
}

func (k *checker) arithPart(part syntax.WordPart, at int) {
	switch p := part.(type) {
	case *syntax.Lit:
		k.arithText(p.Value, at)
	case *syntax.SglQuoted:
		k.arithText(p.Value, at)
	case *syntax.DblQuoted:
		for _, q := range p.Parts {
			k.arithPart(q, at)
		}
	case *syntax.ParamExp:
		if !p.Dollar.IsValid() { // name[index], without a dollar
			k.arithText(p.Param.Value, at)
			k.arith(p.Index)
			return
		}
		k.mustBeNumber(part, at)
	default:
		k.mustBeNumber(part, at)
	}
}

func (k *checker) mustBeNumber(part syntax.WordPart, at int) {
	a := arg{fixed: true, at: at, cause: at}
	k.parts([]syntax.WordPart{part}, true, inNested, &a)
	k.high = max(k.high, a.lvl)
	switch a.lvl {
	case hostile:
		k.hostileFault(a, inArithmetic)
	case own:
		k.fault(at, "this is not known to be a number, and arithmetic evaluates code hidden in text; in a job that takes values, move it to a script file")
	}
}

// arithText judges text that arithmetic reads: each name in it is looked up
// and what it holds is evaluated in turn.
func (k *checker) arithText(text string, at int) {
	if strings.ContainsAny(text, "$`\\[") {
		k.fault(at, "this arithmetic can't be followed; in a job that takes values, move it to a script file")
		return
	}
	for _, loc := range identifier.FindAllStringIndex(text, -1) {
		if loc[0] > 0 && (text[loc[0]-1] >= '0' && text[loc[0]-1] <= '9' || text[loc[0]-1] == '#') {
			continue // 0x1F, 16#ff
		}
		switch k.levelOf(text[loc[0]:loc[1]]) {
		case hostile:
			if expansionAt(k.text, at) == "" {
				k.fault(at, "`"+text[loc[0]:loc[1]]+"` "+orElse(inArithmetic, inFile))
				continue
			}
			k.hostileFault(arg{cause: at}, inArithmetic)
		case own:
			k.fault(at, text[loc[0]:loc[1]]+" is not known to be a number, and arithmetic evaluates code hidden in text; in a job that takes values, move it to a script file")
		}
	}
}

// test judges what stands in [[ ]].
func (k *checker) test(x syntax.TestExpr) {
	switch n := x.(type) {
	case *syntax.ParenTest:
		k.test(n.X)
	case *syntax.UnaryTest:
		switch n.Op {
		case syntax.TsVarSet, syntax.TsRefVar:
			w, ok := n.X.(*syntax.Word)
			if text, plain := "", false; ok {
				if text, plain = plainText(w); plain && syntax.ValidName(text) {
					return
				}
			}
			k.fault(int(n.Pos().Offset()), "[[ "+n.Op.String()+" ]] evaluates code hidden in its word; name the variable itself, or move it to a script file")
		default:
			k.test(n.X)
		}
	case *syntax.BinaryTest:
		switch n.Op {
		case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
			for _, side := range []syntax.TestExpr{n.X, n.Y} {
				if w, ok := side.(*syntax.Word); ok {
					k.arithWord(w)
				}
			}
		default:
			k.test(n.X)
			k.test(n.Y)
		}
	case *syntax.Word:
		if a := k.word(n, inNested); a.lvl == hostile {
			k.hostileFault(a, "can't stand in [[ ]]; use [ ... ] with = or !=")
		}
	}
}

// declare judges declare, local, export, readonly and their kin.
func (k *checker) declare(n *syntax.DeclClause) {
	integer := false
	if len(n.Args) == 0 || n.Args[0].Name == nil {
		k.high = hostile // may show variables
	}
	for _, a := range n.Args {
		at := int(a.Pos().Offset())
		switch {
		case a.Name == nil: // an option, or a word that bash will read once more
			w := k.word(a.Value, inNested)
			if !w.fixed {
				k.fault(at, n.Variant.Value+" reads this word again after it is expanded; write name=value, or move it to a script file")
			}
			integer = integer || k.attribute(at, w.text)
		case a.Value == nil && a.Array == nil:
			if a.Index != nil {
				k.arith(a.Index)
			}
			k.integer(a.Name.Value, integer)
		default:
			k.integer(a.Name.Value, integer)
			if lvl, cause := k.assign(a, inNested); lvl == hostile {
				k.hostileFault(arg{cause: cause}, "can't be given to "+n.Variant.Value+", which may read it again; assign it first: "+a.Name.Value+"=..., then "+n.Variant.Value+" "+a.Name.Value)
			}
		}
	}
}

// attribute judges an option of declare and says whether it makes integers.
func (k *checker) attribute(at int, text string) bool {
	if !strings.HasPrefix(text, "-") {
		return false
	}
	if strings.Contains(text, "n") {
		k.fault(at, "a name reference evaluates code hidden in a value; in a job that takes values, move it to a script file")
	}
	return strings.Contains(text, "i")
}

func (k *checker) integer(name string, yes bool) {
	if yes && !k.integers[name] {
		k.integers[name] = true
		k.changed = true
	}
}

// assign judges one assignment and returns the level of what is assigned.
func (k *checker) assign(a *syntax.Assign, s spot) (lvl level, cause int) {
	at := int(a.Pos().Offset())
	cause = at
	if a.Index != nil {
		k.arith(a.Index)
	}
	if a.Value != nil {
		w := k.word(a.Value, s)
		lvl, cause = w.lvl, w.cause
		if a.Name != nil && a.Name.Value == "PS4" && w.lvl != hostile && (!w.fixed || strings.ContainsAny(w.text, "$`")) {
			k.fault(at, "PS4 is evaluated each time that bash shows a line; in a job that takes values, give it plain text")
		}
	}
	if a.Array != nil {
		elem := inElem
		elem.ref, elem.list = s.ref, s.ref
		for _, e := range a.Array.Elems {
			if e.Index != nil {
				k.arith(e.Index)
			}
			if e.Value == nil {
				continue
			}
			if w := k.word(e.Value, elem); w.lvl >= lvl {
				lvl, cause = w.lvl, w.cause
			}
		}
	}
	if a.Name != nil {
		k.assignedFrom(at, cause, a.Name.Value, lvl)
	}
	return lvl, cause
}

func (k *checker) assigned(at int, name string, lvl level) { k.assignedFrom(at, at, name, lvl) }

// assignedFrom notes that a variable may hold text of that level. cause is
// where the text comes from.
func (k *checker) assignedFrom(at, cause int, name string, lvl level) {
	switch {
	case lvl != number && (k.integers[name] || evaluates(name)):
		if lvl == hostile {
			at = cause
		}
		k.hostileOr(lvl, at, "can't be assigned to "+name+", an integer whose new value the shell evaluates; use another name")
	case lvl == hostile && governs(name):
		k.hostileOr(lvl, cause, "can't be assigned to "+name+", which tells programs what to run or how; use another name")
	}
	k.raise(name, lvl)
}

func (k *checker) hostileOr(lvl level, at int, message string) {
	if lvl == hostile {
		k.hostileFault(arg{cause: at}, message)
		return
	}
	k.fault(at, "text that is not known to be a number "+message)
}

// evaluates names the variables whose assignment a shell evaluates.
func evaluates(name string) bool {
	switch name {
	case "RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND", "EPOCHSECONDS", "BASHPID":
		return true
	}
	return false
}

// governs names the variables that shells, loaders and common programs take
// code, options or places of code from.
func governs(name string) bool {
	switch name {
	case "PATH", "IFS", "ENV", "HOME", "CDPATH", "SHELL", "GLOBIGNORE", "SHELLOPTS", "OPTARG", "OPTERR", "MAILPATH", "FIGNORE",
		"EDITOR", "VISUAL", "PAGER", "BROWSER", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "RSYNC_RSH", "CVS_RSH", "LESSOPEN", "LESSCLOSE", "LESS",
		"CLASSPATH", "GOFLAGS", "RUSTFLAGS", "RUSTC_WRAPPER", "CC", "CXX", "CFLAGS", "LDFLAGS", "AWKPATH", "AWKLIBPATH", "TERMINFO", "GCONV_PATH", "LUA_INIT", "R_PROFILE",
		"DISPLAY", "TAR_OPTIONS", "TAPE", "MANPAGER", "VIMINIT", "EXINIT", "DOCKER_HOST", "KUBECONFIG":
		return true
	}
	for _, prefix := range []string{"PS0", "PS1", "PS2", "PS3", "PS4", "LD_", "DYLD_", "BASH", "PROMPT_", "COMP_", "FUNCNAME", "DIRSTACK", "GROUPS", "HIST", "MALLOC_", "LC_",
		"GIT_", "PYTHON", "PERL", "RUBY", "GEM_", "BUNDLE_", "NODE_", "NPM_", "npm_", "JAVA_", "_JAVA_", "JDK_", "MAVEN_", "GRADLE_", "PHP", "LUA_", "BELLHOP_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range []string{"_COMMAND", "_ASKPASS", "_PAGER", "_EDITOR", "_OPTS", "_OPTIONS", "_WRAPPER"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
