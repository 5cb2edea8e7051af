// Package mask puts *** in the place of secret values, in what is shown and
// kept: whole texts, streams of output, logs.
//
// It is a net, not a wall: it knows a value and its usual encodings, and not
// what a program makes of it otherwise.
package mask

// Stars stand in the place of a value.
const Stars = "***"

// Least is how many characters a value must have to be masked: shorter ones
// would hit innocent text.
const Least = 6

// Masker masks some values. It does not change, and may be used by several
// goroutines at once. A nil Masker masks nothing.
//
// It finds all values in one pass over the text (Aho and Corasick, 1975).
type Masker struct {
	root  [256]int32 // the child of node 0 by its byte; 0 = none
	nodes []node
}

// node is what has been read of some values so far.
type node struct {
	child, next int32 // the first child, and the next child of the same parent; 0 = none
	fail        int32 // the longest other beginning of a value that ends here too
	depth       int32 // how many bytes have been read
	out         int32 // the length of the longest value that ends here; 0 = none
	b           byte
}

// New returns a masker of values, with their encodings. It is nil when there
// is nothing to mask.
func New(values ...string) *Masker {
	m := &Masker{nodes: make([]node, 1)}
	for _, v := range values {
		for _, text := range forms(v) {
			m.add(text)
		}
	}
	if len(m.nodes) == 1 {
		return nil
	}
	m.link()
	return m
}

// add takes in one text.
func (m *Masker) add(text string) {
	at := int32(0)
	for i := range len(text) {
		next := m.childOf(at, text[i])
		if next == 0 {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, node{b: text[i], depth: int32(i + 1)})
			if at == 0 {
				m.root[text[i]] = next
			}
			m.nodes[next].next, m.nodes[at].child = m.nodes[at].child, next
		}
		at = next
	}
	m.nodes[at].out = int32(len(text))
}

func (m *Masker) childOf(at int32, b byte) int32 {
	if at == 0 {
		return m.root[b]
	}
	for c := m.nodes[at].child; c != 0; c = m.nodes[c].next {
		if m.nodes[c].b == b {
			return c
		}
	}
	return 0
}

// link finds where to go on when a beginning turns out not to be one.
func (m *Masker) link() {
	queue := make([]int32, 1, len(m.nodes)) // node 0
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for c := m.nodes[at].child; c != 0; c = m.nodes[c].next {
			queue = append(queue, c)
			if at != 0 {
				m.nodes[c].fail = m.step(m.nodes[at].fail, m.nodes[c].b)
			}
			m.nodes[c].out = max(m.nodes[c].out, m.nodes[m.nodes[c].fail].out)
		}
	}
}

// step reads one byte.
func (m *Masker) step(at int32, b byte) int32 {
	for {
		if next := m.childOf(at, b); next != 0 {
			return next
		}
		if at == 0 {
			return 0
		}
		at = m.nodes[at].fail
	}
}

// Text returns a text with the values masked.
func (m *Masker) Text(s string) string {
	if m == nil {
		return s
	}
	return string(m.Bytes([]byte(s)))
}

// Bytes returns a text with the values masked. It keeps no reference to b, and
// may return b itself.
func (m *Masker) Bytes(b []byte) []byte {
	if m == nil {
		return b
	}
	s := m.Stream()
	return append(s.Write(b), s.Flush()...)
}

// Stream returns a masker of one stream of output: nil, which masks nothing, of
// a nil Masker.
func (m *Masker) Stream() *Stream {
	if m == nil {
		return nil
	}
	return &Stream{m: m}
}
