package script

import (
	"fmt"
	"slices"

	"github.com/bellhop-io/bellhop"
)

// compileArgv makes the program of an argv list, under the same rules for what
// takes code as a script's external commands.
func compileArgv(src bellhop.JobSource) (Program, []bellhop.JobFault) {
	c := &compiler{src: src}
	prog := Program{Argv: make([]Template, len(src.Argv))}
	args := make([]arg, len(src.Argv))
	for i, text := range src.Argv {
		prog.Argv[i], args[i] = c.element(i, text)
		for _, part := range prog.Argv[i] {
			if part.Param != "" && !slices.Contains(prog.Names, part.Param) {
				prog.Names = append(prog.Names, part.Param)
			}
		}
	}
	stdin := hasStdin(src)
	switch program := args[0]; {
	case program.lvl == hostile:
		c.faultIn(0, program.cause, "{"+prog.Names[0]+"} can't be the program to run; name the program, and give it the value as an argument")
	case program.text == "":
		c.faultIn(0, 0, "the list begins with an empty text; it must begin with a program")
	default:
		if at, message := external(program.text, program.at, args[1:], stdin); message != "" {
			c.elementFault(prog, args, at, message)
		}
	}
	if len(c.faults) > 0 {
		return Program{}, sorted(c.faults)
	}
	return prog, nil
}

// elementStride keeps offsets of different elements apart: an arg's offset is
// its element's index times this, plus the offset in it.
const elementStride = 1 << 20

func (c *compiler) faultIn(item, off int, message string) {
	c.faults = append(c.faults, faultAt(c.src.Argv[item], item, off%elementStride, message))
}

func (c *compiler) elementFault(prog Program, args []arg, at int, message string) {
	item := at / elementStride
	what := "a value from an argument "
	for _, part := range prog.Argv[item] {
		if part.Param != "" {
			message = "{" + part.Param + "} " + orElse(message, remedy(part.Param))
			what = ""
			break
		}
	}
	if what != "" {
		message = orElse(message, "read it in a script file")
	}
	c.faultIn(item, at, what+message)
}

// element reads one element of the list.
func (c *compiler) element(item int, text string) (Template, arg) {
	base := item * elementStride
	a := arg{fixed: true, at: base, cause: base, text: text, tail: text}
	if off, message := badText(text); message != "" {
		c.faultIn(item, off, message)
		return nil, a
	}
	if len(text) > maxScript {
		c.faultIn(item, 0, fmt.Sprintf("the element is %d bytes long; the limit is %d", len(text), maxScript))
		return nil, a
	}
	pieces := scan(text)
	t := Template{}
	a.text = ""
	for _, p := range pieces {
		switch {
		case p.fault != "":
			c.faultIn(item, p.off, p.fault)
		case p.name == "":
			if n := len(t); n > 0 && t[n-1].Param == "" {
				t[n-1].Text += p.text
			} else {
				t = append(t, Part{Text: p.text})
			}
			a.text += p.text
			a.lvl = max(a.lvl, literalLevel(p.text))
		default:
			if message := c.elementParam(p, len(pieces)); message != "" {
				c.faultIn(item, p.off, message)
			}
			a.raise(hostile, base+p.off)
			a.fixed = false
			a.many = a.many || c.isList(p.name)
			t = append(t, Part{Param: p.name})
		}
	}
	a.tail = ""
	return t, a
}

func (c *compiler) elementParam(p piece, pieces int) string {
	switch {
	case as(c.src.Params, p.name) == bellhop.AsStdin:
		return fmt.Sprintf("{%s} says `as: stdin`, so its value is the program's standard input; take the placeholder out, or use `as: file`", p.name)
	case c.isList(p.name) && pieces > 1:
		return fmt.Sprintf("{%s} is a list, which must be an element of its own: \"{%s}\"", p.name, p.name)
	}
	return ""
}
