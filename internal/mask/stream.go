package mask

// Stream masks what comes in pieces, wherever a value is cut. It may be used by
// one goroutine at a time.
//
// It holds back only what may be the beginning of a value, however long
// nothing more comes: a value of which a program prints one half now and the
// other half a minute later stays hidden. What a line's end is held back for
// is a value that has a line's end in it, so whole lines come at once.
type Stream struct {
	m     *Masker
	at    int32
	held  []byte // what has been read and not been given back
	base  int64  // how many bytes came before held
	hide  []span // parts of held that are hidden, in order, none touching the next
	ended int64  // where the last hidden part ended that was given back
}

// span is a part of the stream, from a byte to the one before another.
type span struct{ from, to int64 }

// Write reads p, and returns what may be shown by now. It keeps no reference to
// p, and may return p itself.
func (s *Stream) Write(p []byte) []byte {
	if s == nil {
		return p
	}
	var out []byte
	for i := 0; i < len(p); {
		if s.at == 0 { // nothing is held
			n := s.innocent(p[i:])
			if n == len(p) {
				s.base += int64(n)
				return p
			}
			out = append(out, p[i:i+n]...)
			s.base, i = s.base+int64(n), i+n
			if i == len(p) {
				break
			}
		}
		s.at = s.m.step(s.at, p[i])
		s.held = append(s.held, p[i])
		i++
		end := s.base + int64(len(s.held))
		if n := s.m.nodes[s.at].out; n > 0 {
			s.cover(span{end - int64(n), end})
		}
		if s.at == 0 {
			out = s.release(out, end)
		}
	}
	return s.release(out, s.known())
}

// known returns up to where nothing can change any more: to where a value may
// begin, and what is hidden already stays so.
func (s *Stream) known() int64 {
	until := max(s.base, s.base+int64(len(s.held))-int64(s.m.nodes[s.at].depth))
	for _, part := range s.hide {
		if part.from <= until {
			until = max(until, part.to)
		}
	}
	return until
}

// innocent returns how many bytes come before the first that may begin a value.
func (s *Stream) innocent(p []byte) int {
	for i, b := range p {
		if s.m.root[b] != 0 {
			return i
		}
	}
	return len(p)
}

// cover hides a part that ends where the stream does. Parts that overlap or
// touch become one.
func (s *Stream) cover(part span) {
	part.from = max(part.from, s.base) // what was before is given back as hidden
	for n := len(s.hide); n > 0 && s.hide[n-1].to >= part.from; n-- {
		part.from = min(part.from, s.hide[n-1].from)
		s.hide = s.hide[:n-1]
	}
	s.hide = append(s.hide, part)
}

// release appends what comes before a place to out.
func (s *Stream) release(out []byte, until int64) []byte {
	at := s.base
	for len(s.hide) > 0 && s.hide[0].from < until {
		part := s.hide[0]
		out = append(out, s.held[at-s.base:part.from-s.base]...)
		if part.from > s.ended || s.ended == 0 {
			out = append(out, Stars...)
		}
		at, s.ended = part.to, part.to
		s.hide = s.hide[1:]
	}
	out = append(out, s.held[at-s.base:until-s.base]...)
	s.held = append(s.held[:0], s.held[until-s.base:]...)
	s.base = until
	return out
}

// Flush ends the stream and returns what was held back.
func (s *Stream) Flush() []byte {
	if s == nil {
		return nil
	}
	s.at = 0
	return s.release(nil, s.base+int64(len(s.held)))
}
