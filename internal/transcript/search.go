package transcript

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// MaxHits is the most lines that one search returns.
const MaxHits = 1000

// Hits is what a search found.
type Hits struct {
	Lines []int // their numbers, in the order of the search
	Next  int   // from where to go on
	Done  bool  // there is nothing left to search
	Total int   // lines that there are now
	Epoch int   // as Window's
}

// Search looks for lines that hold a text, whatever the case of its letters,
// from line from on: towards the end, or towards the beginning with back. It
// looks at what is shown of lines (MaxText), without escape sequences. It
// returns at most most lines (and MaxHits) and searches a bounded amount of
// output; Hits.Next is from where another call goes on.
func (r *Reader) Search(ctx context.Context, id bellhop.RunID, text string, from int, back bool, most int) (*Hits, error) {
	want := []byte(strings.ToLower(text))
	var fold folder
	return r.find(ctx, id, from, back, most, func(l *rawLine) bool { return bytes.Contains(fold.of(l.text), want) })
}

// FirstError looks for what a reader wants to see first of a run that failed:
// in its last attempt the first line, of either channel, with error, fatal,
// panic, exception, traceback or such a word at the end of a compound one
// (ValueError), but not "0 errors" or "no error"; else that attempt's first
// line on stderr. It searches a bounded amount of output: from is 0, or the
// Hits.Next of the call before.
func (r *Reader) FirstError(ctx context.Context, id bellhop.RunID, from int) (*Hits, error) {
	x := r.get(id, false)
	if err := r.update(ctx, id, x); err != nil {
		return nil, err
	}
	k, _ := x.now()
	if len(k.heads) == 0 {
		return &Hits{Lines: []int{}, Done: true, Total: k.lines, Epoch: k.epoch}, nil
	}
	last := k.heads[len(k.heads)-1]
	var strip folder
	h, err := r.find(ctx, id, max(from, last.line), false, 1, func(l *rawLine) bool {
		return l.attempt == last.attempt && complains(strip.plain(l.text))
	})
	if err == nil && h.Done && len(h.Lines) == 0 && last.complain > 0 {
		h.Lines = append(h.Lines, last.complain)
	}
	return h, err
}

// find searches for lines that match.
func (r *Reader) find(ctx context.Context, id bellhop.RunID, from int, back bool, most int, match func(*rawLine) bool) (*Hits, error) {
	x := r.get(id, false)
	if err := r.update(ctx, id, x); err != nil {
		return nil, err
	}
	k, open := x.now()
	h := &Hits{Lines: []int{}, Total: k.lines + len(open), Epoch: k.epoch}
	most = min(max(most, 1), MaxHits)
	var err error
	if back {
		err = r.findBack(ctx, id, &k, from, most, match, h)
	} else {
		err = r.findNext(ctx, id, &k, from, most, match, h)
	}
	return h, err
}

func (r *Reader) findNext(ctx context.Context, id bellhop.RunID, k *known, from, most int, match func(*rawLine) bool, h *Hits) error {
	h.Next = max(from, 1)
	if h.Next > k.lines {
		h.Done = true
		return nil
	}
	looked := 0
	_, err := r.scan(ctx, id, k, h.Next, k.lines, func(l *rawLine, n int) bool {
		h.Next = n + 1
		if match(l) {
			h.Lines = append(h.Lines, n)
		}
		looked += int(min(l.size, 1<<20)) + 1
		return len(h.Lines) < most && looked < maxScan
	})
	h.Done = h.Next > k.lines
	return err
}

// findBack searches between marks, the last ones first.
func (r *Reader) findBack(ctx context.Context, id bellhop.RunID, k *known, from, most int, match func(*rawLine) bool, h *Hits) error {
	h.Next = min(from, k.lines)
	for looked := 0; h.Next >= 1 && looked < maxScan; {
		first := k.marks[k.nearest(h.Next)].lines + 1
		var found []int
		_, err := r.scan(ctx, id, k, first, h.Next, func(l *rawLine, n int) bool {
			if match(l) {
				found = append(found, n)
			}
			looked += int(min(l.size, 1<<20)) + 1
			return true
		})
		if err != nil {
			return err
		}
		looked++ // also where nothing is left
		h.Next = first - 1
		for i := len(found) - 1; i >= 0; i-- {
			h.Lines = append(h.Lines, found[i])
			if len(h.Lines) == most {
				h.Next = found[i] - 1
				h.Done = h.Next < 1
				return nil
			}
		}
	}
	h.Done = h.Next < 1
	return nil
}

// folder makes text fit to be searched. What it returns is good until it is
// asked again.
type folder struct{ buf []byte }

// plain is a text without its escape sequences.
func (f *folder) plain(text []byte) []byte {
	i := bytes.IndexByte(text, 0x1b)
	if i < 0 {
		return text
	}
	f.buf = f.buf[:0]
	for ; i >= 0; i = bytes.IndexByte(text, 0x1b) {
		f.buf = append(f.buf, text[:i]...)
		text = text[i+sequence(text[i:]):]
	}
	f.buf = append(f.buf, text...)
	return f.buf
}

// of is plain in lower case.
func (f *folder) of(text []byte) []byte {
	text = f.plain(text)
	wide := false
	if len(text) == 0 || &text[0] != bytesStart(f.buf) {
		f.buf = append(f.buf[:0], text...)
	}
	for i, c := range f.buf {
		if c >= utf8.RuneSelf {
			wide = true
			break
		}
		if 'A' <= c && c <= 'Z' {
			f.buf[i] = c | 0x20
		}
	}
	if wide {
		return bytes.ToLower(f.buf)
	}
	return f.buf
}

// bytesStart tells two texts apart by where they lie.
func bytesStart(b []byte) *byte {
	if len(b) == 0 {
		return nil
	}
	return &b[0]
}

// sequence is how long the escape sequence is that b begins with, at least 1.
func sequence(b []byte) int {
	if len(b) < 2 {
		return 1
	}
	switch b[1] {
	case '[': // up to a final byte
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 || b[i] > 0x3f {
				return i
			}
		}
		return len(b)
	case ']', 'P', 'X', '^', '_': // up to BEL or ESC \
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
		}
		return 2
	}
	if b[1] >= 0x20 && b[1] <= 0x2f && len(b) > 2 { // a character set
		return 3
	}
	return 2
}

var complaints = []string{"error", "fatal", "panic", "exception", "traceback"}

// complains reports whether a line has a word that says that something failed.
func complains(line []byte) bool {
	for i := 0; i < len(line); i++ {
		c := line[i] | 0x20
		if c != 'e' && c != 'f' && c != 'p' && c != 't' || i > 0 && letter(line[i-1]) && !(lower(line[i-1]) && !lower(line[i])) {
			continue
		}
		for _, w := range complaints {
			if end := i + len(w); end <= len(line) && bytes.EqualFold(line[i:end], []byte(w)) && !goesOn(line[end:]) && !denied(line[:i]) {
				return true
			}
		}
	}
	return false
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }

func letter(c byte) bool { return lower(c | 0x20) }

// goesOn reports whether a word that was found is the beginning of a longer
// one. The plural does not count as longer.
func goesOn(rest []byte) bool {
	if len(rest) > 0 && rest[0]|0x20 == 's' {
		rest = rest[1:]
	}
	return len(rest) > 0 && (letter(rest[0]) || rest[0] >= '0' && rest[0] <= '9' || rest[0] == '_')
}

// denied reports whether what stands before a word says that there was none.
func denied(before []byte) bool {
	f := bytes.Fields(before[max(len(before)-32, 0):])
	if len(f) == 0 || len(before) == 0 || before[len(before)-1] != ' ' {
		return false
	}
	last := string(bytes.ToLower(f[len(f)-1]))
	return last == "0" || last == "no" || last == "without" || last == "zero"
}
