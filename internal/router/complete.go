package router

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// maxCompletions bounds what Complete returns.
const maxCompletions = 500

// Complete returns the whole words that may stand in place of the last, maybe
// empty, word of line, sorted. may says which services the asker may use;
// those that they may not are left out. A nil may allows all.
func (r *Router) Complete(line string, may May) []string {
	may = may.orAll()
	before, last := lastWord(line)
	l := split(before)
	if strings.HasSuffix(strings.TrimSpace(before), ".") { // no final dot: a word follows
		l = split(strings.TrimSpace(before) + ".")
	}
	c := completion{router: r, may: may, match: newMatch(&l, 0), last: last, found: map[string]bool{}}
	if len(l.words) == 0 {
		r.completeFirst(&c, may)
		return c.sorted()
	}
	first := c.match.key(0)
	switch s := r.byName[first]; {
	case s != nil:
		if may(s.Name, nil) {
			c.walk(&s.tree, 1)
		}
	case bellhop.Reserved(first):
		c.walk(&r.builtins, 0)
	default:
		r.completeBare(&c, may)
	}
	return c.sorted()
}

func (r *Router) completeFirst(c *completion, may May) {
	c.walk(&r.builtins, 0)
	if !r.page {
		delete(c.found, verbWeb)
	}
	c.addServices()
	r.completeBare(c, may)
}

// completeBare completes commands of services without prefix. Each service is
// walked by itself, since not everyone may use each of them.
func (r *Router) completeBare(c *completion, may May) {
	for _, s := range r.services {
		if s.NoPrefix && may(s.Name, nil) {
			c.walk(&s.tree, 0)
		}
	}
}

// lastWord cuts the word that is being typed off a line.
func lastWord(line string) (before, last string) {
	i := strings.LastIndexFunc(line, unicode.IsSpace)
	if i < 0 {
		return "", line
	}
	_, width := utf8.DecodeRuneInString(line[i:])
	return line[:i+width], line[i+width:]
}

// completion collects words on a walk through a tree.
type completion struct {
	router *Router
	may    May
	match  *match
	last   string
	found  map[string]bool
}

// walk follows every way that the line's words may take from the i-th on, and
// adds what may come then. As with match.walk, each node is visited at most
// once.
func (c *completion) walk(n *node, i int) {
	if i < len(c.match.line.words) {
		next := n.literals[c.match.key(i)]
		if next != nil {
			c.walk(next, i+1)
		}
		// A word of a built-in is hardly meant as somebody's job of that name.
		if n.word != nil && (next == nil || n.word.first.command != nil) {
			c.walk(n.word, i+1)
		}
		return
	}
	for _, next := range n.literals {
		c.add(next.name)
	}
	for _, a := range n.asks {
		switch {
		case a.leaf.command != nil && !c.may(a.leaf.command.entry.Service, a.leaf.command.entry):
		case a.leaf.command != nil:
			c.addValues(a.leaf.command, a.name)
		case a.name == takesService:
			c.addServices()
		case a.name == takesJob:
			c.addJobs(c.match.key(i - 1))
		}
	}
}

func (c *completion) addServices() {
	for _, s := range c.router.services {
		if c.may(s.Name, nil) {
			c.add(s.Name)
		}
	}
}

// addJobs adds the jobs of the service that stands before.
func (c *completion) addJobs(name string) {
	s := c.router.byName[name]
	if s == nil || !c.may(s.Name, nil) {
		return
	}
	for _, j := range s.Jobs {
		c.add(j.Name)
	}
}

// addValues adds the values that a parameter may have, when they are few and
// known.
func (c *completion) addValues(cmd *command, param string) {
	if own(cmd.entry.Action, param) {
		return
	}
	p, _ := cmd.job.Param(param)
	values := p.Enum
	if p.Type == bellhop.TypeBool {
		values = []string{"true", "false"}
	}
	for _, v := range values {
		if strings.ContainsFunc(v, unicode.IsSpace) && !strings.Contains(v, `"`) {
			v = `"` + v + `"`
		}
		c.add(v)
	}
}

// add adds a word when the last word of the line is its beginning.
func (c *completion) add(word string) {
	if strings.HasPrefix(fold(word), fold(c.last)) {
		c.found[word] = true
	}
}

func (c *completion) sorted() []string {
	words := slices.Sorted(maps.Keys(c.found))
	return words[:min(len(words), maxCompletions)]
}
