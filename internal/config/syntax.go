package config

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// syntaxFault says in words for people why a file is no YAML. The parser
// stops at the first such fault.
func (s *source) syntaxFault(err error) bellhop.Fault {
	pos := bellhop.Position{File: s.name, Line: 1, Col: 1}
	le, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		if all, is := errors.AsType[*yaml.LoadErrors](err); is && len(all.Errors) > 0 {
			le, ok = all.Errors[0], true
		}
	}
	if !ok {
		return bellhop.Fault{Pos: pos, Message: "not YAML: " + err.Error()}
	}
	if le.Mark.Line > 0 {
		pos.Line, pos.Col = le.Mark.Line, le.Mark.Column
	}
	pos = s.clamp(pos)
	message := s.explain(le, &pos)
	return bellhop.Fault{Pos: s.clamp(pos), Message: message}
}

// explain words one error of the parser, and moves pos to where the mistake is
// rather than where it was noticed.
func (s *source) explain(e *yaml.LoadError, pos *bellhop.Position) string {
	begun := func() {
		if e.ContextMark.Line > 0 {
			pos.Line, pos.Col = e.ContextMark.Line, e.ContextMark.Column
		}
	}
	switch m := e.Message; {
	case strings.Contains(m, "no documents"):
		return emptyFile
	case strings.Contains(m, "found multiple"):
		pos.Line, pos.Col = s.secondDocument()
		return "a second document begins here (---); a file has one: remove the line, or use include:"
	case strings.Contains(m, "cannot start any token"):
		return s.badStart(*pos)
	case strings.Contains(m, "incompatible YAML document"), strings.Contains(m, "directive"):
		return "lines that begin with % are not read; remove this one"
	case strings.Contains(m, "unknown anchor"):
		return "* begins an alias in YAML, and nothing is called &" + afterMark(m) + "; quote the whole value if the * belongs to it"
	case strings.Contains(m, "end of stream") && strings.Contains(e.ContextMsg, "quoted"):
		begun()
		return "the quote that begins here is never closed"
	case strings.Contains(m, "unknown escape"):
		return `inside double quotes \ begins an escape, and this is none; write \\, or use single quotes, in which \ is a letter`
	}
	if strings.Contains(e.ContextMsg, "an alias") || strings.Contains(e.ContextMsg, "an anchor") {
		begun()
		return "* begins an alias in YAML, and & an anchor, and this is none; quote the whole value if the sign belongs to it"
	}
	if strings.Contains(e.Message, "mapping values are not allowed") && noSpace().MatchString(strings.TrimSpace(s.line(pos.Line-1))) {
		pos.Line--
		pos.Col = len(s.line(pos.Line)) - len(strings.TrimLeft(s.line(pos.Line), " ")) + 1
		return "is the space after the colon missing? A setting is written `key: value`"
	}
	if strings.Contains(e.Message, "mapping values are not allowed") && strings.TrimSpace(string([]rune(s.line(pos.Line))[:min(max(pos.Col-1, 0), len([]rune(s.line(pos.Line))))])) != "" {
		if f := s.unquoted(pos); f != "" {
			return f
		}
		return "a second \": \" in one value; quote the whole value if the colon belongs to it, or check the indentation"
	}
	if f := s.unquoted(pos); f != "" {
		return f
	}
	return s.explainShape(e, pos, begun)
}

// explainShape words errors of indentation and brackets.
func (s *source) explainShape(e *yaml.LoadError, pos *bellhop.Position, begun func()) string {
	switch m := e.Message; {
	case strings.Contains(m, "block sequence entries are not allowed"):
		return "a list item (- ) can't begin here; put it on a line of its own, below its key"
	case strings.Contains(m, "could not find expected ':'"):
		begun()
		return "a line of `key: value` is expected here; is the colon, or the space after it, missing?"
	case strings.Contains(m, "',' or ']'"):
		begun()
		return "the [ that begins here is not closed, or a comma is missing in it; quote the whole value if the [ belongs to it"
	case strings.Contains(m, "',' or '}'"):
		begun()
		return "the { that begins here is not closed, or a comma is missing in it; quote a value in it that holds { } [ ] or a comma"
	case strings.Contains(m, "did not find expected key"), strings.Contains(m, "'-' indicator"):
		if strings.Contains(s.line(pos.Line), "\t") {
			return "this line is indented with a tab; YAML takes spaces only"
		}
		return "this does not fit what stands above it: check the indentation (spaces, the same for keys of one level), or quotes that end too early"
	case strings.Contains(m, "expected node content"):
		return "a value, or a closing } or ], is missing here; quote the value if it begins with a sign"
	case strings.Contains(m, "exceeded max depth"):
		return "brackets or indentation go too deep"
	}
	why := e.Message
	if e.ContextMsg != "" {
		why += " (" + e.ContextMsg + ")"
	}
	return "not YAML: " + why
}

// secondDocument finds the line that begins the second document.
func (s *source) secondDocument() (line, col int) {
	content := false
	for i, l := range s.lines {
		marker := l == "---" || strings.HasPrefix(l, "--- ") || l == "..."
		if marker && content {
			return i + 1, 1
		}
		trimmed := strings.TrimSpace(l)
		if trimmed != "" && trimmed[0] != '#' && (!marker || l == "---" && i > 0 && content) {
			content = true
		}
	}
	for i := len(s.lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(s.lines[i], "---") {
			return i + 1, 1
		}
	}
	return 1, 1
}

// badStart explains a character that no plain value may begin with.
func (s *source) badStart(pos bellhop.Position) string {
	rest := afterRunes(s.line(pos.Line), pos.Col-1)
	switch {
	case strings.HasPrefix(rest, "\t"):
		return "a tab stands here; YAML takes spaces only for indentation"
	case rest == "":
		return "something that YAML does not take begins here"
	}
	return "a value can't begin with " + string([]rune(rest)[0]) + "; quote the whole value"
}

// afterMark returns the anchor's name from "unknown anchor 'x' referenced".
func afterMark(m string) string {
	_, rest, _ := strings.Cut(m, "'")
	name, _, _ := strings.Cut(rest, "'")
	return shortenPlain(name)
}

func shortenPlain(s string) string { return strings.Trim(shorten(s), `"`) }

// unquoted looks in the line of an error, and the one before it, for a value
// that begins with { or [ or a quote and goes on after it ends, or that holds
// {name} inside brackets: the commonest slip in a file of templates.
func (s *source) unquoted(pos *bellhop.Position) string {
	for _, n := range []int{pos.Line, pos.Line - 1} {
		line := s.line(n)
		if len(line) > 2000 {
			continue
		}
		if m := opensValue().FindStringSubmatchIndex(line); m != nil {
			pos.Line, pos.Col = n, len([]rune(line[:m[4]]))+1
			key, val := line[m[2]:m[3]], strings.TrimRight(line[m[4]:], " ,}")
			sign := val[:1]
			if key == "store" { // a password may be in it
				return "store: more text follows where the value ends; quote the whole value"
			}
			if sign == "{" || sign == "[" {
				what := "mapping"
				if sign == "[" {
					what = "list"
				}
				return key + ": " + sign + " begins a " + what + " in YAML, and more text follows it; quote the whole value: " + quoted(strings.TrimRight(line[m[4]:], " "))
			}
			return key + ": more text follows the closing quote; put the whole value into quotes, of the other kind if it holds these"
		}
		if m := braceInFlow().FindStringSubmatchIndex(line); m != nil {
			pos.Line, pos.Col = n, len([]rune(line[:m[2]]))+1
			return "inside { } or [ ], a value that holds { or [ must be quoted: \"... " + line[m[4]:m[5]] + " ...\""
		}
	}
	return ""
}

// opensValue matches `key: {name} more`, `key: [name] more`, `key: "a" more`.
func opensValue() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[\s{,-])([a-z_]+):\s+((?:\{[a-zA-Z0-9_.-]*\}|\[[a-zA-Z0-9_.-]*(?:\.\.\.)?\]|"[^"\\]*"|'[^']*')[ \t]*[^\s,}\]#:].*)$`)
}

// braceInFlow matches `{run: echo {name}}`: a plain value in brackets that
// holds a placeholder.
func braceInFlow() *regexp.Regexp {
	return regexp.MustCompile(`[{\[,]\s*(?:[a-z_]+:\s+)?([^\s"'{\[,][^"'{\[,]*(\{[a-zA-Z0-9_.-]+\}|\[[a-zA-Z0-9_.-]+(?:\.\.\.)?\]))`)
}
