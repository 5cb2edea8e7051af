package mask

import (
	"slices"
	"sync/atomic"
)

// Set masks values that may change while it is used, by several goroutines at
// once. The zero Set masks nothing.
type Set struct {
	now    atomic.Pointer[Masker]
	values atomic.Pointer[[]string]
}

// Replace has the set mask these values, and no others.
func (s *Set) Replace(values []string) {
	values = slices.Clone(values)
	s.values.Store(&values)
	s.now.Store(New(values...))
}

// Values returns what is masked now, for a Masker that masks more besides.
func (s *Set) Values() []string {
	if v := s.values.Load(); v != nil {
		return *v
	}
	return nil
}

// Text returns a text with the values masked.
func (s *Set) Text(text string) string { return s.now.Load().Text(text) }

// Bytes returns a text with the values masked; see Masker.Bytes.
func (s *Set) Bytes(b []byte) []byte { return s.now.Load().Bytes(b) }
