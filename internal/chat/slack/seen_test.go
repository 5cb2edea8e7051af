package slack

import "testing"

func TestAGapThatOpensWhileAnotherIsReadStays(t *testing.T) {
	t.Parallel()
	s := &seen{places: make(map[string]*cursor)}
	hear := func(ts string) { s.begin("C1", ts); s.end("C1", ts, true) }
	hear("1.000000")
	s.hold()
	first := s.gap()
	s.hold() // while the first is read
	s.reached("C1", "2.000000", first)
	hear("4.000000")
	if from := s.from("C1"); from > "2.000000" {
		t.Errorf("what was said after %s is read, and the gap before it is not", from)
	}
	s.reached("C1", "4.000000", s.gap())
	hear("5.000000")
	if from := s.from("C1"); from != "5.000000" {
		t.Errorf("no gap is left, and it is read from %s on", from)
	}
}
