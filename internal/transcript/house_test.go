package transcript_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const run = bellhop.RunID(7)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// tape is a run's output in memory.
type tape struct {
	mu      sync.Mutex
	chunks  []bellhop.Chunk
	ended   bool
	gone    bool
	news    chan struct{} // is closed when something is new
	offsets map[[2]int]int64
	reads   int // chunks that were read
	follows int // who follow now
	most    int // who followed at a time
}

func newTape() *tape { return &tape{news: make(chan struct{}), offsets: map[[2]int]int64{}} }

func (p *tape) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.news)
	p.news = make(chan struct{})
}

// write adds a chunk.
func (p *tape) write(attempt int, ch bellhop.Channel, data string) {
	p.change(func() {
		seq := int64(1)
		if n := len(p.chunks); n > 0 && p.chunks[n-1].Attempt == attempt {
			seq = p.chunks[n-1].Seq + 1
		}
		place := [2]int{attempt, int(ch)}
		p.chunks = append(p.chunks, bellhop.Chunk{
			Attempt: attempt, Seq: seq, Channel: ch, Offset: p.offsets[place],
			At: noon.Add(time.Duration(len(p.chunks)) * time.Millisecond), Data: []byte(data),
		})
		p.offsets[place] += int64(len(data))
	})
}

// drop forgets chunks, as a runner does whose output is longer than is kept.
func (p *tape) drop(from, to int) {
	p.change(func() { p.chunks = append(p.chunks[:from:from], p.chunks[to:]...) })
}

func (p *tape) end() { p.change(func() { p.ended = true }) }

func (p *tape) Ended(context.Context, bellhop.RunID) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended, nil
}

func (p *tape) Read(ctx context.Context, _ bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	if follow {
		p.change(func() { p.follows++; p.most = max(p.most, p.follows) })
		defer p.change(func() { p.follows-- })
	}
	for {
		p.mu.Lock()
		chunks, ended, gone, news := p.chunks, p.ended, p.gone, p.news
		p.mu.Unlock()
		if gone {
			return bellhop.Errorf(bellhop.NotFound, "not kept")
		}
		for _, c := range chunks {
			if c.Attempt < attempt || c.Attempt == attempt && c.Seq <= seq {
				continue
			}
			p.mu.Lock()
			p.reads++
			p.mu.Unlock()
			if err := fn(c); err != nil {
				return err
			}
			attempt, seq = c.Attempt, c.Seq
		}
		if !follow || ended {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reader reads a tape.
func (p *tape) reader(t *testing.T, change func(*transcript.Options)) *transcript.Reader {
	o := transcript.Options{Read: p.Read, Ended: p.Ended}
	if change != nil {
		change(&o)
	}
	r := transcript.New(o)
	t.Cleanup(r.Close)
	return r
}

// plain writes lines as name:text, with what else is to be said of them.
func plain(lines []transcript.Line) []string {
	all := []string{}
	for _, l := range lines {
		s := fmt.Sprintf("%d.%d.%s:%s", l.N, l.Attempt, l.Channel, l.Text)
		if l.Open {
			s += "…"
		}
		if l.Gap > 0 {
			s += fmt.Sprintf(" (after %d bytes)", l.Gap)
		}
		if l.Cut {
			s += fmt.Sprintf(" (of %d)", l.Size)
		}
		all = append(all, s)
	}
	return all
}

// model divides chunks into lines as slowly and simply as can be.
func model(chunks []bellhop.Chunk, ended bool) []string {
	type open struct {
		attempt int
		ch      bellhop.Channel
		raw     []byte
	}
	var all []string
	var two []open // by who began first
	show := func(o open, mark string) {
		raw := string(o.raw)
		for strings.HasSuffix(raw, "\r") {
			raw = raw[:len(raw)-1]
		}
		parts := strings.Split(raw, "\r")
		all = append(all, fmt.Sprintf("%d.%d.%s:%s%s", len(all)+1, o.attempt, o.ch, strings.ToValidUTF8(parts[len(parts)-1], "\uFFFD"), mark))
	}
	attempt := 0
	for _, c := range chunks {
		if c.Attempt != attempt {
			for _, o := range two {
				show(o, "")
			}
			two, attempt = nil, c.Attempt
		}
		for _, b := range c.Data {
			at := -1
			for i := range two {
				if two[i].ch == c.Channel {
					at = i
				}
			}
			if at < 0 {
				two = append(two, open{attempt: attempt, ch: c.Channel})
				at = len(two) - 1
			}
			if b != '\n' {
				two[at].raw = append(two[at].raw, b)
				continue
			}
			show(two[at], "")
			two = append(two[:at], two[at+1:]...)
		}
	}
	mark := "…"
	if ended {
		mark = ""
	}
	for _, o := range two {
		show(o, mark)
	}
	return all
}

// cut cuts data into chunks of either channel at random.
func (p *tape) cut(rnd *rand.Rand, attempt int, data []byte) {
	for len(data) > 0 {
		n := min(len(data), 1+rnd.IntN(1+rnd.IntN(200)))
		p.write(attempt, bellhop.Channel(1+rnd.IntN(2)), string(data[:n]))
		data = data[n:]
	}
}

// scrap is output of all kinds.
func scrap(rnd *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		switch rnd.IntN(12) {
		case 0:
			b.WriteString("\r\n")
		case 1:
			b.WriteString("\r")
		case 2:
			b.WriteString("\xff\xc3é€😀")
		case 3:
			b.WriteString(strings.Repeat("long ", rnd.IntN(150)))
		case 4:
			b.WriteString("\x1b[31mred\x1b[0m")
		case 5, 6, 7, 8:
			b.WriteString("\n")
		default:
			fmt.Fprintf(&b, "word %d ", rnd.IntN(50))
		}
	}
	return b.Bytes()
}
