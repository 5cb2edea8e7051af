package config

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// stretch is a part of a file, from the first place to the last.
type stretch struct{ first, last bellhop.Position }

// extent is where a key and its value stand.
func (key at) extent(val at) stretch {
	if key.node == nil {
		key = val
	}
	s := stretch{first: key.pos(), last: key.pos()}
	if val.node != nil {
		s.last.Line, s.last.Col = lastPlace(val.node)
	}
	return s
}

// lastPlace is about where a node ends: not before its last character, and not
// on a line that begins something else.
func lastPlace(n *yaml.Node) (line, col int) {
	line, col = n.Line, n.Column+len(n.Value)
	if more := strings.Count(n.Value, "\n"); more > 0 { // a block: the places in it are those of its lines
		line, col = n.Line+more, 1<<20
	}
	for _, c := range n.Content {
		if l, k := lastPlace(c); l > line || l == line && k > col {
			line, col = l, k
		}
	}
	return line, col
}

// has reports whether a place lies in the span.
func (s stretch) has(p bellhop.Position) bool {
	return p.File == s.first.File &&
		cmp.Or(cmp.Compare(p.Line, s.first.Line), cmp.Compare(p.Col, s.first.Col)) >= 0 &&
		cmp.Or(cmp.Compare(p.Line, s.last.Line), cmp.Compare(p.Col, s.last.Col)) <= 0
}

// spans is where the jobs and commands of a service stand.
type spans struct {
	jobs     map[string]stretch
	commands []stretch // in the order of Service.Entries
}

// sound returns the part of a catalog in which no fault was found: jobs, and
// commands that are about them. What is wrong with those is not a consequence
// of something else.
func (b *builder) sound(cat *bellhop.Catalog) *bellhop.Catalog {
	faulty := func(s stretch) bool {
		for _, f := range b.faults.list {
			if s.has(f.Pos) && !b.harmless[f.Pos] {
				return true
			}
		}
		return false
	}
	part := &bellhop.Catalog{Bot: cat.Bot, Page: cat.Page}
	for i, s := range cat.Services {
		where := b.spans[i]
		whole := s
		whole.Jobs, whole.Entries = nil, nil
		for _, j := range s.Jobs {
			if !faulty(where.jobs[j.Name]) {
				whole.Jobs = append(whole.Jobs, j)
			}
		}
		for k, e := range s.Entries {
			_, known := whole.Job(e.Job)
			if (known || e.Job == "" && holds(e.Action)) && !faulty(where.commands[k]) {
				whole.Entries = append(whole.Entries, e)
			}
		}
		part.Services = append(part.Services, whole)
	}
	return part
}
