package router

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on the search for near misses, so that an unknown line costs
// milliseconds whatever it is.
const (
	nearWords   = 8  // words of the line, and places of a pattern, that count
	nearLetters = 24 // letters of a word that count
	nearAnswers = 3
)

// Costs of turning a line into a pattern. A typing error costs 1.
const (
	costAbbreviated = 1 // the word is the beginning of the literal
	costSwapped     = 1 // two words stand the other way round
	costLonger      = 2 // the literal is the beginning of the word
	costNoService   = 2
	costNoArgument  = 1
	costMissing     = 3
	costExtra       = 3
	costOther       = 4 // another word in the literal's place
)

// score says how near a line is to a pattern; less is nearer. What the
// pattern's words have in common with the line's goes before all else, and
// each unit of it counts scoreLikeness; the costs are added.
type score int

const scoreLikeness score = 1 << 10 // more than the costs of any line

// cost returns the costs alone.
func (s score) cost() int { return int(s & (scoreLikeness - 1)) }

// nearIndex holds what may be suggested. Each literal is kept once, since
// thousands of commands share a few words.
type nearIndex struct {
	literals   [][]rune
	candidates []candidate
}

// candidate is something that may be suggested.
type candidate struct {
	shown   string
	service *service // nil for a built-in
	command *command // nil for a built-in, and for a service's name
	places  []nearPlace
	isName  bool
}

// nearPlace is a place of a candidate: a literal's index, or a parameter.
type nearPlace struct {
	literal int // -1 for a parameter
	kind    placeKind
	cost    int  // when it is missing
	prefix  bool // the service's name before a command that has words of its own
}

func newNearIndex(r *Router) nearIndex {
	var x nearIndex
	ids := map[string]int{}
	for _, s := range r.services {
		x.add(ids, candidate{shown: s.Name, service: s, isName: true}, []place{{literal, s.Name}}, false)
		for _, c := range s.commands {
			for _, p := range c.patterns {
				places := p.places
				if !s.NoPrefix {
					places = append([]place{{literal, s.Name}}, places...)
				}
				x.add(ids, candidate{shown: c.prefixed(p), service: s, command: c}, places, !s.NoPrefix)
			}
		}
	}
	for _, b := range builtinCommands() {
		p, _ := parsePattern(b.text)
		x.add(ids, candidate{shown: b.shown}, p.places, false)
	}
	return x
}

func (x *nearIndex) add(ids map[string]int, c candidate, places []place, prefixed bool) {
	for i, pl := range places[:min(len(places), nearWords)] {
		np := nearPlace{literal: -1, kind: pl.kind, cost: costNoArgument}
		if pl.kind == literal {
			key := fold(pl.name)
			id, ok := ids[key]
			if !ok {
				id = len(x.literals)
				ids[key] = id
				x.literals = append(x.literals, firstLetters(key))
			}
			np.literal, np.cost = id, costMissing
			if i == 0 && prefixed {
				np.cost, np.prefix = costNoService, pattern{places[1:]}.hasLiteral(len(places)-1)
			}
		}
		c.places = append(c.places, np)
	}
	x.candidates = append(x.candidates, c)
}

// nearest returns up to three commands that are near a line: those of service
// s, whose name the line begins with, or of all services when s is nil; none
// that the asker may not use.
func (x *nearIndex) nearest(l *line, s *service, may May) []string {
	if s == nil {
		return x.search(l, 0, may, func(*candidate) bool { return true })
	}
	return x.search(l, 1, may, func(c *candidate) bool { return c.service == s && !c.isName })
}

// services returns up to three services whose names are near a line.
func (x *nearIndex) services(l *line) []string {
	return x.search(l, 0, nil, func(c *candidate) bool { return c.isName })
}

// search compares the line from its base-th word on; a base of 1 leaves out the
// service's name, which is as it should be.
func (x *nearIndex) search(l *line, base int, may May, want func(*candidate) bool) []string {
	type found struct {
		index int
		score score
	}
	var all []found
	s := newNearSearch(x, l, l.words[base:])
	for i := range x.candidates {
		c := &x.candidates[i]
		if !want(c) {
			continue
		}
		places := c.places
		if base > 0 && !c.service.NoPrefix {
			places = places[1:]
		}
		if score, near := s.score(places); near {
			all = append(all, found{i, score})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.score, b.score) })
	var shown []string
	told := map[*service]bool{}
	for _, f := range all {
		c := &x.candidates[f.index]
		if c.isName && told[c.service] || slices.Contains(shown, c.shown) {
			continue
		}
		if c.command != nil && may != nil && !may(c.service.Name, c.command.entry) {
			continue
		}
		if shown = append(shown, c.shown); len(shown) == nearAnswers {
			break
		}
		told[c.service] = true
	}
	return shown
}

// nearSearch is one line on its way through the candidates. It compares each
// word with each literal at most once.
type nearSearch struct {
	index *nearIndex
	words [][]rune // nil for a phrase
	memo  []int8   // by literal and word: cost + 1, 0 = not compared yet
}

func newNearSearch(x *nearIndex, l *line, words []word) *nearSearch {
	s := &nearSearch{index: x}
	for _, w := range words[:min(len(words), nearWords)] {
		if w.phrase {
			s.words = append(s.words, nil)
			continue
		}
		text := l.text[w.start:min(w.end, w.start+utf8.UTFMax*nearLetters)]
		s.words = append(s.words, firstLetters(fold(plainQuotes(text))))
	}
	s.memo = make([]int8, len(x.literals)*len(s.words))
	return s
}

// score returns how near the line is to a candidate's places: an edit distance over
// words. near says whether it is to be suggested: a beginning of the line has to
// be like a beginning of the candidate, and to have one of its words in common,
// other than the service's name.
func (s *nearSearch) score(places []nearPlace) (least score, near bool) {
	n, whole := len(s.words), 0
	var rows [3][nearWords + 1]score
	before, prev, row := &rows[0], &rows[1], &rows[2]
	for j := 1; j <= n; j++ {
		prev[j] = score(j) * costExtra
	}
	for i, pl := range places {
		if pl.literal >= 0 {
			whole += pl.cost
		}
		row[0] = prev[0] + score(pl.cost)
		for j := 1; j <= n; j++ {
			row[j] = min(prev[j]+score(pl.cost), row[j-1]+costExtra, prev[j-1]+s.inPlace(pl, j-1))
			if pl.kind >= restOfLine { // takes any number of words
				row[j] = min(row[j], row[j-1])
			}
			if i > 0 && j > 1 {
				if here, other := s.inPlace(pl, j-2), s.inPlace(places[i-1], j-1); here < 0 && other < 0 {
					row[j] = min(row[j], before[j-2]+here+other+costSwapped+scoreLikeness)
				}
			}
			near = near || row[j] < 0 && row[j].cost()*3 <= whole*2
		}
		before, prev, row = prev, row, before
	}
	return prev[n], near
}

// inPlace returns the score of the i-th word at a place.
func (s *nearSearch) inPlace(pl nearPlace, i int) score {
	if pl.literal < 0 {
		return 0
	}
	cost := s.compare(pl.literal, i)
	if pl.prefix {
		return score(cost)
	}
	return score(cost) - score(costOther-cost)*scoreLikeness
}

// compare returns the cost of the i-th word in the place of a literal.
func (s *nearSearch) compare(literal, i int) int {
	memo := &s.memo[literal*len(s.words)+i]
	if *memo == 0 {
		*memo = int8(wordCost(s.words[i], s.index.literals[literal])) + 1
	}
	return int(*memo) - 1
}

// nearNames returns up to three of names that are near a word, the nearest
// first.
func nearNames(word string, names []string) []string {
	type found struct {
		name string
		cost int
	}
	var all []found
	typed := firstLetters(fold(word))
	for _, n := range names {
		if cost := wordCost(typed, firstLetters(n)); cost < costOther {
			all = append(all, found{n, cost})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.cost, b.cost) })
	var near []string
	for _, f := range all[:min(len(all), nearAnswers)] {
		near = append(near, f.name)
	}
	return near
}

func wordCost(typed, literal []rune) int {
	most := 1 + len(literal)/4 // typing errors that are forgiven
	if len(literal) < 3 {
		most = 0
	}
	most = min(most, costOther-1)
	if len(typed)-len(literal) <= most && len(literal)-len(typed) <= most {
		if d := distance(typed, literal, most); d <= most {
			return d
		}
	}
	if len(typed) >= 2 && len(typed) < len(literal) && slices.Equal(typed, literal[:len(typed)]) {
		return costAbbreviated
	}
	if len(literal) >= 3 && len(literal) < len(typed) && slices.Equal(literal, typed[:len(literal)]) {
		return costLonger
	}
	return costOther
}

// distance is the number of letters to change, add, leave out or swap with
// their neighbour; it stops counting above most.
func distance(a, b []rune, most int) int {
	var rows [3][nearLetters + 1]int
	before, prev, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > most {
			return least
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

func firstLetters(s string) []rune {
	if len(s) > utf8.UTFMax*nearLetters {
		s = strings.ToValidUTF8(s[:utf8.UTFMax*nearLetters], "")
	}
	letters := []rune(s)
	return letters[:min(len(letters), nearLetters)]
}
