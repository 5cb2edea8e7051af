package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/bellhop-io/bellhop"
)

// place decides for each placeholder how it is to be quoted, from where the
// grammar puts its marker. What is not found in a place that is known to be
// good is refused.
func (c *compiler) place(m *mapped, file *syntax.File) {
	at := map[int]int{} // offset of a marker -> piece
	off := 0
	for i, p := range c.pieces {
		switch {
		case p.name != "":
			at[off] = i
			off += len(marker)
		default:
			off += len(p.text)
		}
	}
	found := map[int]bool{}
	set := func(from, to int, fn func(i int)) {
		for o := from; o < to; o++ {
			if i, ok := at[o]; ok && !found[i] {
				found[i] = true
				fn(i)
			}
		}
	}
	w := placer{c: c, set: set}
	syntax.Walk(file, w.visit)
	for i, p := range c.pieces {
		switch {
		case p.name != "" && !found[i]:
			c.refuse(i, "stands in a place of the shell's grammar where no value may be")
		case p.fault != "" && !w.inComment(m, p):
			c.fault(p.off, "%s", p.fault)
		}
	}
}

// placer walks the marked script with the nodes above the present one.
type placer struct {
	c        *compiler
	set      func(from, to int, fn func(i int))
	above    []syntax.Node
	comments []span
}

type span struct{ from, to int }

func spanOf(n syntax.Node) span { return span{int(n.Pos().Offset()), int(n.End().Offset())} }

func (w *placer) inComment(m *mapped, p piece) bool {
	for _, s := range w.comments {
		if from, to := m.source(s.from), m.source(s.to); p.off >= from && p.off < to {
			return true
		}
	}
	return false
}

func (w *placer) visit(n syntax.Node) bool {
	if n == nil {
		w.above = w.above[:len(w.above)-1]
		return true
	}
	switch n := n.(type) {
	case *syntax.Comment:
		s := spanOf(n)
		w.comments = append(w.comments, s)
		w.set(s.from, s.to, func(int) {}) // stays as written
	case *syntax.SglQuoted:
		s := spanOf(n)
		w.set(s.from, s.to, func(i int) {
			w.c.refuse(i, `stands in single quotes, where it would be plain text; use double quotes, or {{`+w.c.pieces[i].name+`}} for the text itself`)
		})
	case *syntax.Lit:
		s := spanOf(n)
		w.set(s.from, s.to, w.lit)
	}
	w.above = append(w.above, n)
	return true
}

// lit decides for a marker in a literal by the nodes around it.
func (w *placer) lit(i int) {
	c := w.c
	p := c.pieces[i]
	quoted, depth := false, len(w.above)-1
	if depth >= 0 {
		if q, ok := w.above[depth].(*syntax.DblQuoted); ok {
			quoted = true
			depth--
			if q.Dollar {
				c.refuse(i, `stands in $"...", which is looked up as a translation; use "..."`)
				return
			}
		}
	}
	if depth < 1 {
		c.refuse(i, "stands in a place of the shell's grammar where no value may be")
		return
	}
	word, ok := w.above[depth].(*syntax.Word)
	if !ok {
		c.refuse(i, "stands in a place where the shell wants a name or a pattern, not a value")
		return
	}
	if w.inBackquotes() {
		c.refuse(i, "stands in backquotes, which quote in a way of their own; write $(...) instead")
		return
	}
	if odd := strings.TrimRight(c.src.Script[:p.off], `\`); (p.off-len(odd))%2 == 1 {
		c.refuse(i, "follows a backslash, which would undo its quoting; take the backslash out, or write {{%s}} for the text itself", p.name)
		return
	}
	switch up := w.above[depth-1].(type) {
	case *syntax.Redirect:
		if word != up.Word {
			if quotedDelimiter(up.Word) {
				c.refuse(i, "stands in a here-document with a quoted delimiter, where it would be plain text; take the quotes off the delimiter, or write {{%s}} for the text itself", p.name)
				return
			}
			quoted = true // a here-document's body, where quotes are letters
		}
	case *syntax.CallExpr, *syntax.Assign, *syntax.ArrayElem, *syntax.WordIter, *syntax.CaseClause, *syntax.CaseItem:
	case *syntax.UnaryTest, *syntax.BinaryTest, *syntax.TestClause, *syntax.ParenTest:
		c.refuse(i, "stands in [[ ]], which evaluates code hidden in a value; use [ ... ] with = or !=, or %s", remedy(p.name))
		return
	case *syntax.ParamExp:
		c.refuse(i, "stands inside ${...}; assign it to a variable first, or %s", remedy(p.name))
		return
	default: // arithmetic, in all its forms
		c.refuse(i, "stands in arithmetic or a subscript, which evaluates code hidden in a value; %s", remedy(p.name))
		return
	}
	c.accept(i, word, quoted)
}

func (w *placer) inBackquotes() bool {
	for _, n := range w.above {
		if s, ok := n.(*syntax.CmdSubst); ok && s.Backquotes {
			return true
		}
	}
	return false
}

// accept notes how the placeholder is quoted; the places that remain are for
// the checker of the finished script to judge.
func (c *compiler) accept(i int, word *syntax.Word, quoted bool) {
	p := c.pieces[i]
	if as(c.src.Params, p.name) == bellhop.AsStdin {
		c.refuse(i, "says `as: stdin`, so its value is the script's standard input; take the placeholder out, or use `as: file`")
		return
	}
	if c.isList(p.name) && !aloneIn(word) {
		c.refuse(i, "is a list, which must be a word of its own: write a space before and after it")
		return
	}
	c.kind[i] = useBare
	if quoted {
		c.kind[i] = useQuote
	}
}

// aloneIn says whether the word is one marker, quoted or not, and no more.
func aloneIn(word *syntax.Word) bool {
	parts := word.Parts
	if len(parts) == 1 {
		if q, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = q.Parts
		}
	}
	if len(parts) != 1 {
		return false
	}
	lit, ok := parts[0].(*syntax.Lit)
	return ok && lit.Value == marker
}

func quotedDelimiter(w *syntax.Word) bool {
	if w == nil {
		return true
	}
	for _, part := range w.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok || strings.Contains(lit.Value, `\`) {
			return true
		}
	}
	return false
}

func (c *compiler) refuse(i int, format string, args ...any) {
	p := c.pieces[i]
	c.kind[i] = useBad
	c.fault(p.off, "{"+p.name+"} "+format, args...)
}

// remedy is what can always be done.
func remedy(name string) string {
	return `read "$` + EnvName(name) + `" in a script file that the job runs`
}
