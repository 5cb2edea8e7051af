package router

// node is a place in the tree that the patterns of one service (or those
// without prefix, or the built-ins) make together. Its depth is the number of
// words that lead to it, so a walk visits each node at most once: the work for
// a line is bounded by the tree, whatever the line.
type node struct {
	name     string           // of a literal, as first written
	literals map[string]*node // by folded word
	word     *node            // behind a parameter that takes one word
	end      *leaf            // a pattern that ends here
	last     *leaf            // a pattern whose last parameter stands here
	first    *leaf            // the first pattern put in at or below this node
	asks     []ask            // the parameters that stand here
}

// ask is a parameter of a pattern.
type ask struct {
	leaf *leaf
	name string
}

// leaf is one pattern and what it means: a command or a built-in.
type leaf struct {
	pattern pattern
	shown   string   // as it would be typed, with its service
	command *command // nil for a built-in
	builtin builtin
}

// insert adds a leaf and returns it; when there is one that is equal at every
// place, it returns that one.
func (n *node) insert(l *leaf) *leaf {
	path := []*node{n}
	for _, pl := range l.pattern.places {
		if pl.kind != literal {
			n.asks = append(n.asks, ask{l, pl.name})
		}
		if pl.kind == restOfLine || pl.kind == wordList {
			break
		}
		n = n.child(pl)
		path = append(path, n)
	}
	slot := &n.end
	if k := len(l.pattern.places); k > 0 && l.pattern.places[k-1].kind >= restOfLine {
		slot = &n.last
	}
	if *slot != nil {
		return *slot
	}
	*slot = l
	for _, n := range path {
		if n.first == nil {
			n.first = l
		}
	}
	return l
}

func (n *node) child(pl place) *node {
	if pl.kind == oneWord {
		if n.word == nil {
			n.word = &node{}
		}
		return n.word
	}
	key := fold(pl.name)
	next := n.literals[key]
	if next == nil {
		next = &node{name: pl.name}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		n.literals[key] = next
	}
	return next
}

// match is the way of one line through a tree.
type match struct {
	line  *line
	keys  []string // the line's words, folded, as far as the tree is deep
	base  int      // words before the tree's own: 1 behind a service's name
	words []int    // indices of the words that parameters took, in order
	rest  int      // index of the first word that the last parameter takes
	short *leaf    // the first pattern which wanted more where the line ended
	at    int      // that pattern's place where the line ended
}

// maxLiteral is the longest literal word of a pattern, in bytes, and maxPlaces
// the most places that a pattern has.
const (
	maxLiteral = 200
	maxPlaces  = 100
)

// newMatch prepares a walk of at most maxPlaces words from base on. A phrase
// is no literal, so its key is empty, and so is that of an endless word.
func newMatch(l *line, base int) *match {
	m := &match{line: l, base: base, keys: make([]string, 0, 8)}
	for i, w := range l.words {
		if i > base+maxPlaces {
			break
		}
		m.keys = append(m.keys, l.key(w))
	}
	return m
}

// key returns the i-th word as literals are looked up.
func (m *match) key(i int) string {
	if i >= len(m.keys) {
		return ""
	}
	return m.keys[i]
}

// key returns a word as literals are looked up, "" when it can't be one.
func (l *line) key(w word) string {
	if w.phrase || w.end-w.start > 4*maxLiteral {
		return ""
	}
	return fold(l.value(w))
}

// walk returns the leaf that goes first among those that match the line from
// its i-th word on. Trying a literal first, then one word, then the rest of
// the line is comparing patterns place by place from the left.
func (m *match) walk(n *node, i int) *leaf {
	if i == len(m.line.words) {
		return m.finish(n, i)
	}
	if n.literals != nil {
		if next := n.literals[m.key(i)]; next != nil {
			if l := m.walk(next, i+1); l != nil {
				return l
			}
		}
	}
	if n.word != nil {
		m.words = append(m.words, i)
		if l := m.walk(n.word, i+1); l != nil {
			return l
		}
		m.words = m.words[:len(m.words)-1]
	}
	if n.last != nil {
		m.rest = i
		return n.last
	}
	return nil
}

func (m *match) finish(n *node, i int) *leaf {
	if n.end != nil {
		return n.end
	}
	if l := n.last; l != nil && l.pattern.places[len(l.pattern.places)-1].kind == wordList {
		m.rest = i
		return l
	}
	if m.short == nil && (n.last != nil || n.word != nil) {
		m.at = i - m.base
		if m.short = n.last; m.short == nil {
			m.short = n.word.first
		}
	}
	if m.short == nil {
		if lf := n.only(); lf != nil && lf.pattern.hasLiteral(i-m.base) {
			m.at, m.short = i-m.base, lf
		}
	}
	return nil
}

// only returns the one pattern that goes on from here; nil when there are
// several, since then nobody knows what is missing.
func (n *node) only() *leaf {
	for {
		switch {
		case n.word != nil && n.last == nil && n.end == nil && len(n.literals) == 0:
			n = n.word
		case n.word == nil && n.last == nil && n.end == nil && len(n.literals) == 1:
			for _, next := range n.literals {
				n = next
			}
		case n.word == nil && len(n.literals) == 0 && n.last == nil:
			return n.end
		case n.word == nil && len(n.literals) == 0 && n.end == nil:
			return n.last
		default:
			return nil
		}
	}
}
