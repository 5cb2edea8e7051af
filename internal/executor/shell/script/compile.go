package script

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/bellhop-io/bellhop"
)

const (
	// marker stands for a placeholder while the shell's grammar is asked where
	// it is. Every shell takes it for a letter that can't be in a name, as it
	// takes the quoted reference that comes in its place.
	marker = "\uE000"
	// maxScript is the longest script, in bytes: it is one element of argv.
	maxScript = 128_000
	// wholeJob and wholeScript are JobFault.Item's special values.
	wholeJob, wholeScript = -2, -1
)

// Compile checks src and makes its program. Faults come all at once, in the
// order of the text; with any, the Program is not to be used.
func Compile(src bellhop.JobSource) (Program, []bellhop.JobFault) {
	if fault := checkJob(src); fault != "" {
		return Program{}, []bellhop.JobFault{{Item: wholeJob, Line: 1, Col: 1, Message: fault}}
	}
	if len(src.Argv) > 0 {
		return compileArgv(src)
	}
	return compileScript(src)
}

func checkJob(src bellhop.JobSource) string {
	var stdin []string
	for _, p := range src.Params {
		if p.As == bellhop.AsStdin {
			stdin = append(stdin, p.Name)
		}
	}
	switch {
	case len(src.Argv) > 0 && src.Script != "":
		return "run has both a script and a list; keep one"
	case len(src.Argv) == 0 && strings.TrimSpace(src.Script) == "":
		return "run is empty; write a command, or a list of a program and its arguments"
	case len(src.Argv) > 0 && src.Shell != "":
		return "shell says how a script is run, but run is a list; take shell out, or write run as one text"
	case src.Shell != "" && src.Shell != "bash" && src.Shell != "sh":
		return fmt.Sprintf("shell %.20q is not known; use bash or sh", src.Shell)
	case len(stdin) > 1:
		return fmt.Sprintf("%s all say `as: stdin`, but a process has one standard input; use `as: file` for the others", strings.Join(stdin, " and "))
	}
	return ""
}

// compiler makes one script.
type compiler struct {
	src    bellhop.JobSource
	lang   syntax.LangVariant
	pieces []piece
	faults []bellhop.JobFault
	kind   []use // by piece
}

// use is what becomes of a piece.
type use uint8

const (
	useRaw   use = iota // fixed text, or a placeholder in a comment
	useBad              // refused, told already
	useBare             // "$X"
	useQuote            // ${X}
)

func compileScript(src bellhop.JobSource) (Program, []bellhop.JobFault) {
	c := &compiler{src: src, lang: syntax.LangBash}
	shell := cmp.Or(src.Shell, "bash")
	if shell == "sh" {
		c.lang = syntax.LangPOSIX
	}
	if off, message := badText(src.Script); message != "" {
		return Program{}, []bellhop.JobFault{faultAt(src.Script, wholeScript, off, message)}
	}
	if off := strings.IndexByte(src.Script, '\r'); off >= 0 {
		return Program{}, []bellhop.JobFault{faultAt(src.Script, wholeScript, off, "the script holds a carriage return, which a shell takes for a letter; end lines with a line feed alone")}
	}
	c.pieces = scan(src.Script)
	c.kind = make([]use, len(c.pieces))
	marked := c.marked()
	file, err := c.parse(marked)
	if err != nil {
		return Program{}, c.parseFault(marked, err)
	}
	c.place(marked, file)
	names := c.names()
	list := c.oneList()
	out, refs := c.write(list)
	file, err = c.parse(out)
	if err != nil {
		return Program{}, c.parseFault(out, err)
	}
	if shell == "sh" {
		c.bashOnly(out, file)
	}
	// a script that is handed no value is the author's own affair
	if len(refs) > 0 || hasStdin(src) || strings.Contains(out.text, "BELLHOP_") {
		c.check(out, refs, file, list)
		if shell == "sh" {
			c.checkAsBash(out, refs, list)
		}
	}
	if len(out.text) > maxScript {
		c.fault(0, "the script is %d bytes long; the limit is %d, so put it in a file and run that", len(out.text), maxScript)
	}
	if len(c.faults) > 0 {
		return Program{}, sorted(c.faults)
	}
	return Program{Shell: shell, Script: out.text, List: list, Names: names}, nil
}

func (c *compiler) fault(off int, format string, args ...any) {
	c.faults = append(c.faults, faultAt(c.src.Script, wholeScript, off, fmt.Sprintf(format, args...)))
}

func sorted(faults []bellhop.JobFault) []bellhop.JobFault {
	slices.SortStableFunc(faults, func(a, b bellhop.JobFault) int {
		return cmp.Or(cmp.Compare(a.Item, b.Item), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(faults)
}

// marked is the script with the marker for each placeholder.
func (c *compiler) marked() *mapped {
	m := &mapped{}
	for _, p := range c.pieces {
		if p.name != "" {
			m.add(marker, p)
		} else {
			m.add(p.text, p)
		}
	}
	return m
}

func (c *compiler) parse(m *mapped) (file *syntax.File, err error) {
	defer func() { // a text that breaks the parser is a bad text, not a crash
		if r := recover(); r != nil {
			err = fmt.Errorf("it can't be read (%v)", r)
		}
	}()
	return syntax.NewParser(syntax.Variant(c.lang), syntax.KeepComments(true)).Parse(strings.NewReader(m.text), "")
}

func (c *compiler) parseFault(m *mapped, err error) []bellhop.JobFault {
	off, text := 0, err.Error()
	var pe syntax.ParseError
	var le syntax.LangError
	switch {
	case errors.As(err, &pe):
		off, text = int(pe.Pos.Offset()), pe.Text
	case errors.As(err, &le):
		le.Filename, off = "", int(le.Pos.Offset())
		text = strings.TrimPrefix(le.Error(), le.Pos.String()+": ")
	}
	text = strings.ReplaceAll(text, marker, "{...}")
	shell := cmp.Or(c.src.Shell, "bash")
	c.fault(m.source(off), "%s can't read the script: %s", shell, text)
	for _, p := range c.pieces {
		if p.fault != "" {
			c.fault(p.off, "%s", p.fault)
		}
	}
	return sorted(c.faults)
}

// checkAsBash checks a script for sh once more as bash would read it: on some
// machines sh is bash, which evaluates $[...] and a[...]= under any name.
func (c *compiler) checkAsBash(out *mapped, refs map[int]piece, list string) {
	c.lang = syntax.LangBash
	file, err := c.parse(out)
	if err != nil {
		c.parseFault(out, err)
		return
	}
	c.check(out, refs, file, list)
}

// names returns what the placeholders name, comments left out.
func (c *compiler) names() []string {
	var names []string
	for i, p := range c.pieces {
		if p.name != "" && c.kind[i] != useRaw && !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

func (c *compiler) isList(name string) bool {
	for _, p := range c.src.Params {
		if p.Name == name {
			return p.Type == bellhop.TypeList && p.As == bellhop.AsEnv
		}
	}
	return false
}

// oneList returns the list parameter that the script uses, and refuses another.
func (c *compiler) oneList() string {
	list := ""
	for i, p := range c.pieces {
		if c.kind[i] < useBare || !c.isList(p.name) {
			continue
		}
		if list != "" && list != p.name {
			c.fault(p.off, "{%s} is the script's second list after {%s}, and a script has room for one; write run as a list, or take one of them `as: file`", p.name, list)
			c.kind[i] = useBad
			continue
		}
		list = p.name
	}
	return list
}

// write makes the script's text. refs gives the piece for the offset of each
// reference's dollar.
func (c *compiler) write(list string) (out *mapped, refs map[int]piece) {
	out, refs = &mapped{}, map[int]piece{}
	for i, p := range c.pieces {
		switch {
		case p.name == "":
			out.add(p.text, p)
			continue
		case c.kind[i] == useRaw:
			out.add(p.raw, p)
			continue
		case c.kind[i] == useBad:
			out.add(marker, p)
			continue
		}
		at, ref := len(out.text), "${"+EnvName(p.name)+"}"
		if p.name == list {
			ref = "$@"
		}
		if c.kind[i] == useBare {
			at++
			if p.name != list {
				ref = "$" + EnvName(p.name)
			}
			ref = `"` + ref + `"`
		}
		refs[at] = p
		out.add(ref, p)
	}
	return out, refs
}
