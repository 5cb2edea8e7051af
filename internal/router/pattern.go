package router

import (
	"fmt"
	"strings"
	"unicode"
)

// placeKind says what stands at a place of a pattern. The order is that of
// precedence: the lesser kind goes first.
type placeKind uint8

const (
	literal    placeKind = iota
	oneWord              // a parameter: one word or phrase
	restOfLine           // a parameter that ends the pattern: all that is left, as typed
	wordList             // a parameter that ends the pattern: zero or more words
)

// place is one word of a pattern.
type place struct {
	kind placeKind
	name string // a literal as it is shown, else the parameter's name
}

// pattern is a command's text, read.
type pattern struct {
	places []place
}

// parsePattern reads a command such as `say hello [name]`. faults says all
// that is wrong with it; each begins with the word it is about.
func parsePattern(text string) (p pattern, faults []string) {
	text = trimDot(text)
	if text == "" {
		return p, []string{"the command is empty; write what people type, such as `say hello [name]`"}
	}
	if l := split(text); hasPhrase(l) {
		return p, []string{"words in quotes can't be part of a command; write them without quotes"}
	}
	if w := spacedParam(text); w != "" {
		return p, []string{fmt.Sprintf("%s: a parameter is one word in brackets, such as [name]", echo(w))}
	}
	seen := map[string]bool{}
	words := strings.Fields(text)
	if len(words) > maxPlaces {
		return p, []string{fmt.Sprintf("the command has %d words; a command has at most %d", len(words), maxPlaces)}
	}
	for i, w := range words {
		pl, fault := parsePlace(w, i == len(words)-1)
		switch {
		case fault != "":
			faults = append(faults, fault)
		case pl.kind != literal && seen[pl.name]:
			faults = append(faults, fmt.Sprintf("[%s] stands twice in the command; each parameter stands once", pl.name))
		case pl.kind != literal:
			seen[pl.name] = true
		}
		p.places = append(p.places, pl)
	}
	return p, faults
}

// spacedParam returns the first bracketed text that has space in it, or "".
func spacedParam(text string) string {
	for {
		_, after, ok := strings.Cut(text, "[")
		inner, rest, closed := strings.Cut(after, "]")
		switch {
		case !ok || !closed:
			return ""
		case strings.ContainsFunc(inner, unicode.IsSpace) && !strings.Contains(inner, "["):
			return "[" + inner + "]"
		}
		text = rest
	}
}

func hasPhrase(l line) bool {
	for _, w := range l.words {
		if w.phrase {
			return true
		}
	}
	return false
}

func parsePlace(w string, last bool) (place, string) {
	if !strings.ContainsAny(w, "[]") {
		if len(w) > 2 && w[0] == '{' && w[len(w)-1] == '}' && isParamName(w[1:len(w)-1]) {
			return place{}, fmt.Sprintf("%s: in a command a parameter stands in brackets: [%s]", echo(w), w[1:len(w)-1])
		}
		if len(w) > maxLiteral {
			return place{}, fmt.Sprintf("%s: a word of a command is at most %d bytes long", echo(w), maxLiteral)
		}
		return place{literal, plainQuotes(w)}, ""
	}
	inner, opened := strings.CutPrefix(w, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if strings.ContainsAny(inner, "[]") || !opened || !closed {
		switch {
		case strings.Count(w, "[") > strings.Count(w, "]"):
			return place{}, fmt.Sprintf("%s: the [ is not closed; a parameter is one word in brackets, such as [name]", echo(w))
		case strings.Count(w, "[") < strings.Count(w, "]"):
			return place{}, fmt.Sprintf("%s: the ] was not opened; a parameter is one word in brackets, such as [name]", echo(w))
		}
		return place{}, fmt.Sprintf("%s: a parameter is a word of its own; put a space before [ and after ]", echo(w))
	}
	name, isList := strings.CutSuffix(strings.Replace(inner, "…", "...", 1), "...")
	if !isParamName(name) {
		return place{}, fmt.Sprintf("%s: this is not the name of a parameter; write it as in [name], with letters, digits, _, - and .", echo(w))
	}
	switch {
	case isList && !last:
		return place{}, fmt.Sprintf("%s takes all words that are left, so it must stand at the end of the command", echo(w))
	case isList:
		return place{wordList, name}, ""
	case last:
		return place{restOfLine, name}, ""
	}
	return place{oneWord, name}, ""
}

// isParamName is wide: whether there is such a parameter is checked against
// the job.
func isParamName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '_' && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return s != ""
}

// String returns the pattern as it would be typed.
func (p pattern) String() string {
	var b strings.Builder
	for i, pl := range p.places {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(pl.String())
	}
	return b.String()
}

// String returns the place as it is written in a pattern.
func (pl place) String() string {
	switch pl.kind {
	case literal:
		return pl.name
	case wordList:
		return "[" + pl.name + "...]"
	}
	return "[" + pl.name + "]"
}

// params returns the parameters' names from the i-th place on.
func (p pattern) params(i int) []string {
	var names []string
	for _, pl := range p.places[min(i, len(p.places)):] {
		if pl.kind != literal {
			names = append(names, pl.name)
		}
	}
	return names
}

// hasLiteral reports whether there is one among the first n places.
func (p pattern) hasLiteral(n int) bool {
	for _, pl := range p.places[:n] {
		if pl.kind == literal {
			return true
		}
	}
	return false
}
