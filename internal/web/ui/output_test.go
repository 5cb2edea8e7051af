package ui_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/browsertest"
	"github.com/bellhop-io/bellhop/internal/transcript"
	"github.com/bellhop-io/bellhop/internal/web/ui"
	"github.com/chromedp/chromedp/kb"
)

const (
	stdout = bellhop.Stdout
	stderr = bellhop.Stderr
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// written is a run's output in memory, and a server that shows it.
type written struct {
	mu     sync.Mutex
	chunks []bellhop.Chunk
	places map[[2]int]int64
	ended  bool
	gone   bool
	news   chan struct{}
	lives  int // streams that are open
	out    *ui.Output
	url    string
	server *httptest.Server
}

func (o *written) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	close(o.news)
	o.news = make(chan struct{})
}

func (o *written) write(attempt int, ch bellhop.Channel, text string) {
	o.change(func() {
		for data := []byte(text); len(data) > 0; {
			n := min(len(data), 64<<10)
			seq := int64(1)
			if last := len(o.chunks) - 1; last >= 0 && o.chunks[last].Attempt == attempt {
				seq = o.chunks[last].Seq + 1
			}
			place := [2]int{attempt, int(ch)}
			o.chunks = append(o.chunks, bellhop.Chunk{Attempt: attempt, Seq: seq, Channel: ch, Offset: o.places[place], At: noon.Add(time.Duration(seq) * time.Second), Data: data[:n]})
			o.places[place] += int64(n)
			data = data[n:]
		}
	})
}

func (o *written) end() { o.change(func() { o.ended = true }) }

func (o *written) Ended(context.Context, bellhop.RunID) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended, nil
}

func (o *written) Read(ctx context.Context, _ bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	for {
		o.mu.Lock()
		chunks, ended, gone, news := o.chunks, o.ended, o.gone, o.news
		o.mu.Unlock()
		if gone {
			return bellhop.Errorf(bellhop.NotFound, "the output of this run is not kept any more")
		}
		i, _ := slices.BinarySearchFunc(chunks, 0, func(c bellhop.Chunk, _ int) int {
			if c.Attempt < attempt || c.Attempt == attempt && c.Seq <= seq {
				return -1
			}
			return 1
		})
		for _, c := range chunks[i:] {
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

// show serves a page with the viewer, under the policy of the real one.
func show(t *testing.T) *written {
	t.Helper()
	o := &written{places: map[[2]int]int64{}, news: make(chan struct{})}
	reader := transcript.New(transcript.Options{Read: o.Read, Ended: o.Ended})
	out := &ui.Output{Reader: reader, Read: o.Read, Clock: bellhop.SystemClock{}}
	o.out = out
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Run 7</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/page.css"><link rel="stylesheet" href="/viewer.css">
<body><main><h1>Run 000007</h1>
<div class="output" data-run="000007" data-url="/lines" data-live="/live" data-download="/download"></div></main>
<script src="/viewer.js"></script>`)
	})
	file := func(name, kind string) {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			http.ServeFile(w, r, filepath.Join("assets", name))
		})
	}
	file("viewer.js", "text/javascript")
	file("viewer.css", "text/css")
	mux.HandleFunc("GET /icon.svg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	})
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, `body { margin: 0; font: 16px system-ui, "DejaVu Sans", sans-serif; background: #f6f7f9; color: #1b2330 } main { padding: 1rem } h1 { margin: 0 0 1rem; font-size: 1.3rem }
@media (prefers-color-scheme: dark) { :root { --bg: #11151c; --card: #1a2029; --fg: #e5e9f0; --muted: #9fabbd; --line: #2d3643; --edge: #748196; --accent: #8ab4f8; --accent-fg: #0d1420; --soft: #202c3f; --bad: #ff9d94; --warn: #f2c063; color-scheme: dark } body { background: #11151c; color: #e5e9f0 } }`)
	})
	mux.HandleFunc("GET /lines", func(w http.ResponseWriter, r *http.Request) { out.Lines(w, r, 7) })
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		o.change(func() { o.lives++ })
		defer o.change(func() { o.lives-- })
		out.Live(w, r, 7)
	})
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, r *http.Request) { out.Download(w, r, 7) })
	o.server = httptest.NewServer(mux)
	o.url = o.server.URL
	t.Cleanup(o.server.Close)
	t.Cleanup(reader.Close) // first, so that streams end
	return o
}

// picture keeps a picture of the page where BELLHOP_TEST_PICTURES says.
func picture(p *browsertest.Page, name string) {
	if dir := os.Getenv("BELLHOP_TEST_PICTURES"); dir != "" {
		p.Shot(filepath.Join(dir, name+".png"))
	}
}

// The scripts below ask about the lines that can be seen.
const (
	atScript  = `(() => { const v = document.querySelector('.out-view').getBoundingClientRect(); return [...document.querySelectorAll('.out-line')].filter(r => { const b = r.getBoundingClientRect(); return b.top < v.bottom - 1 && b.bottom > v.top + 1 }) })()`
	seenLines = atScript + `.map(r => r.querySelector('.out-n').textContent + ':' + r.querySelector('.out-s').textContent)`
)

func seen(p *browsertest.Page) []string { return browsertest.Eval[[]string](p, seenLines) }

// sees waits until a line can be seen.
func sees(p *browsertest.Page, line string) {
	p.Until(fmt.Sprintf("%s.includes(%q)", seenLines, line))
}

func scroll(p *browsertest.Page, part float64) {
	p.Do(fmt.Sprintf("(() => { const v = document.querySelector('.out-view'); v.scrollTop = (v.scrollHeight - v.clientHeight) * %f })()", part))
}

func TestOutputOf100MB(t *testing.T) {
	browsertest.Program(t)
	o := show(t)
	var b strings.Builder
	lines := 0
	size, needle, linked := 100<<20, 1_500_000, 1_234_567
	if raced {
		size, needle, linked = 10<<20, 150_000, 123_456
	}
	for b.Len() < size {
		lines++
		if lines == needle {
			b.WriteString("one \x1b[1mNee\x1b[22mdle\n")
			continue
		}
		fmt.Fprintf(&b, "step %d of this run did something, it took a moment\n", lines)
	}
	o.write(1, stdout, b.String())
	o.end()
	line := func(n int) string { return fmt.Sprintf("%d:step %d of this run did something, it took a moment", n, n) }
	p := browsertest.Start(t).Visitor(t)
	p.Go(o.url)
	sees(p, line(1))
	scroll(p, 1)
	sees(p, line(lines))
	scroll(p, 0.5)
	p.Until(seenLines + ".length > 10 && " + seenLines + ".every(l => !l.endsWith(':'))")
	for i, l := range seen(p) {
		var n, m int
		if _, err := fmt.Sscanf(l, "%d:step %d of", &n, &m); err != nil || n != m {
			t.Errorf("place %d shows %q", i, l)
		}
		if i == 0 && (n < lines/2-lines/50 || n > lines/2+lines/50) {
			t.Errorf("the middle of %d lines is %d", lines, n)
		}
	}
	// Small steps miss no line, however far the bar is scaled.
	before := seen(p)
	p.Do("document.querySelector('.out-view').focus()")
	p.Keys(kb.PageDown)
	p.Until(seenLines + "[0] === " + fmt.Sprintf("%q", before[len(before)-1]) + " || " + seenLines + "[0] === " + fmt.Sprintf("%q", before[len(before)-2]))
	var middle int
	if _, err := fmt.Sscanf(seen(p)[0], "%d:", &middle); err != nil {
		t.Fatal(err)
	}
	if !raced { // else there are not enough lines for the bar to be scaled
		p.Do("(() => { const v = document.querySelector('.out-view'); window.went = v.scrollTop += 400 })()") // 20 lines, by the wheel or a finger
		p.Until("document.querySelector('.out-view').scrollTop !== window.went")                              // the bar has been put where it belongs
		p.Until(fmt.Sprintf("%s[0].startsWith('%d:')", seenLines, middle+20))
	}
	p.Keys(kb.End)
	sees(p, line(lines))
	p.Keys(kb.Home)
	sees(p, line(1))
	// A search, a link to a line, and what is not there.
	p.Keys("/")
	p.Keys("needle")
	sees(p, fmt.Sprintf("%d:one Needle", needle))
	p.Until("document.querySelector('.out-hits').textContent === '1 of 1'")
	if got := browsertest.Eval[string](p, "[...document.querySelectorAll('.out-line.current mark')].map(m => m.textContent).join('|')"); got != "Nee|dle" {
		t.Errorf("marked is %q", got)
	}
	p.Fill(".out-search input", "not there")
	p.Until("document.querySelector('.out-hits').textContent === '0 found'")
	p.Go(fmt.Sprintf("%s/#L%d-L%d", o.url, linked, linked+3))
	p.Reload()
	sees(p, line(linked))
	if got := seen(p); !strings.HasPrefix(got[len(got)/2], fmt.Sprint(linked)+":") {
		t.Errorf("in the middle is %s", got[len(got)/2])
	}
	if n := browsertest.Eval[int](p, "document.querySelectorAll('.out-line.marked').length"); n != 4 {
		t.Errorf("%d lines are marked", n)
	}
	if n := browsertest.Eval[int](p, "document.querySelectorAll('.out-line').length"); n > 300 {
		t.Errorf("the page holds %d lines", n)
	}
	picture(p, "output-100mb")
	p.Click(".out-wrap")
	sees(p, line(linked))
	p.Do("document.querySelector('.out-view').focus()")
	p.Keys(kb.End)
	sees(p, line(lines))
	p.Keys(kb.Home)
	sees(p, line(1))
}

func TestOutputMarkup(t *testing.T) {
	o := show(t)
	for _, s := range []string{
		"<script>window.pwned = 1</script>", "<img src=x onerror='window.pwned=1'>", "\"'><svg onload=alert(1)>", "</div></main><h1>gone</h1>",
		"\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07", "\x1b[38;2;1;2;3;url(http://example.com/)mcolour", "javascript:alert(1)",
	} {
		o.write(1, stderr, s+"\n")
	}
	o.end()
	p := browsertest.Start(t).Visitor(t)
	p.Go(o.url)
	sees(p, "1:<script>window.pwned = 1</script>")
	sees(p, "2:<img src=x onerror='window.pwned=1'>")
	sees(p, "5:link")
	p.Fill(".out-search input", "<svg")
	p.Until("document.querySelector('.out-line.current mark')?.textContent === '<svg'")
	if browsertest.Eval[bool](p, "!!window.pwned || document.querySelectorAll('h1').length !== 1 || document.querySelectorAll('.output img, .output script, .output svg').length > 0") {
		t.Error("markup in output became markup of the page")
	}
}

// demo is output of all kinds.
func demo(o *written) {
	o.write(1, stdout, "Cloning into 'site'...\nResolving deltas:  10%\rResolving deltas:  55%\rResolving deltas: 100% (345/345), done.\n")
	o.write(1, stderr, "warning: LF will be replaced by CRLF in README.md\n")
	o.write(1, stderr, "Error: connect ECONNREFUSED 10.0.0.4:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)\n")
	var all strings.Builder
	for i := range 16 {
		n := 30 + i
		if i > 7 {
			n = 82 + i
		}
		fmt.Fprintf(&all, "\x1b[%dmcolour %2d\x1b[0m \x1b[1;%dmbold\x1b[0m \x1b[%dm on it \x1b[0m \x1b[7;%dm inverse \x1b[0m\n", n, i, n, n+10, n)
	}
	all.WriteString("\x1b[38;5;208m256 colours\x1b[0m \x1b[38;2;20;20;20malmost black\x1b[0m \x1b[38;2;250;250;250malmost white\x1b[0m \x1b[48;2;120;0;60mon wine\x1b[0m \x1b[4munderlined\x1b[0m \x1b[3mitalic\x1b[0m \x1b[9mstruck\x1b[0m \x1b[2mdim\x1b[0m\n")
	all.WriteString("\x1b[32m✓\x1b[0m 128 tests passed \x1b[2m(4.2 s)\x1b[0m\n\x1b[31;1m✗\x1b[0m 1 test failed\n")
	all.WriteString("a bell \x07, a tab\tand a long line: " + strings.Repeat("lorem ipsum dolor sit amet ", 12) + "\n")
	all.WriteString(strings.Repeat("0123456789", 600) + "\n")
	o.write(2, stdout, all.String())
	o.write(2, stderr, "Traceback (most recent call last):\n  File \"job.py\", line 3, in <module>\nValueError: no such environment: 'stagin'\n")
}

func TestOutputLooks(t *testing.T) {
	o := show(t)
	demo(o)
	o.end()
	b := browsertest.Start(t)
	for _, scheme := range []string{"light", "dark"} {
		p := b.Visitor(t)
		p.Zone("Europe/London")
		p.Scheme(scheme)
		p.Go(o.url)
		p.See("Traceback")
		picture(p, "output-"+scheme)
		// What can be read has enough contrast.
		poor := browsertest.Eval[[]string](p, `(() => {
			const rgb = c => c.match(/[\d.]+/g).map(Number)
			const lum = c => { const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]) }
			const under = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] }
			return [...document.querySelectorAll('.output *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length).flatMap(e => {
				const a = lum(rgb(getComputedStyle(e).color)), b = lum(under(e)), c = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
				return c < 4.5 ? [c.toFixed(2) + ' ' + e.className + ' ' + e.textContent.slice(0, 30)] : []
			})
		})()`)
		if len(poor) > 0 {
			t.Errorf("%s: hard to read: %q", scheme, poor)
		}
		p.Click(".out-times")
		p.Until(atScript + "[0].querySelector('.out-t').textContent === '12:00:01.000'")
		p.Click(".out-first")
		p.Until("document.querySelector('.out-line.marked .out-s')?.textContent === 'Traceback (most recent call last):'")
		p.Click(".out-wrap")
		picture(p, "output-"+scheme+"-wrapped")
		p.Phone()
		picture(p, "output-"+scheme+"-phone")
		if browsertest.Eval[int](p, "document.documentElement.scrollWidth") > 390 {
			t.Errorf("%s: the page is wider than a phone", scheme)
		}
		p.Close()
	}
}

func TestOutputLive(t *testing.T) {
	o := show(t)
	b := browsertest.Start(t)
	p := b.Visitor(t)
	p.Go(o.url)
	p.See("Nothing has been written yet.")
	for i := range 500 {
		o.write(1, stdout, fmt.Sprintf("line %d\n", i+1))
	}
	sees(p, "500:line 500")
	o.write(1, stdout, "10%\r20%")
	sees(p, "501:20%")
	o.write(1, stderr, "between\n")
	sees(p, "501:between")
	sees(p, "502:20%")
	o.write(1, stdout, "\r100%\n")
	sees(p, "502:100%")
	// Whoever scrolls up stays there, and is told what has come.
	p.Do("document.querySelector('.out-view').focus()")
	p.Keys(kb.PageUp)
	p.Until("document.querySelector('.out-follow').getAttribute('aria-pressed') === 'false'")
	before := seen(p)
	o.write(1, stdout, "more\nand more\n")
	p.Until("document.querySelector('.out-new').textContent === '2 new lines ↓'")
	if after := seen(p); !slices.Equal(before, after) {
		t.Errorf("the view moved from %q to %q", before, after)
	}
	picture(p, "output-live")
	p.Click(".out-new")
	sees(p, "504:and more")
	// A hidden page has no stream, and catches up.
	o.write(1, stdout, strings.Repeat("more\n", 95)+"half") // the last line of those that are asked for at a time
	sees(p, "600:half")
	p.Hide()
	browsertest.Await(p, func() bool { o.mu.Lock(); defer o.mu.Unlock(); return o.lives == 0 })
	o.write(1, stdout, " and whole\n")
	for i := range 1000 {
		o.write(1, stdout, fmt.Sprintf("unseen %d\n", i+1))
	}
	p.Show()
	sees(p, "1600:unseen 1000")
	p.Do("location.hash = '#L600'")
	sees(p, "600:half and whole")
	p.Click(".out-follow")
	// So does one whose connection was cut.
	p.Forgive("ERR_")
	p.Forgive("MIME type")
	o.server.CloseClientConnections()
	o.write(1, stdout, "after the cut\n")
	sees(p, "1601:after the cut")
	o.write(1, stdout, "the end")
	o.end()
	sees(p, "1602:the end")
	p.Until("document.querySelector('.out-follow').hidden")
	browsertest.Await(p, func() bool { o.mu.Lock(); defer o.mu.Unlock(); return o.lives == 0 })
}

func TestOutputLinks(t *testing.T) {
	o := show(t)
	for i := range 400 {
		o.write(1, stdout, fmt.Sprintf("line \x1b[32m%d\x1b[0m\n", i+1))
	}
	o.end()
	p := browsertest.Start(t).Visitor(t)
	p.Go(o.url)
	sees(p, "3:line 3")
	p.Do("document.querySelectorAll('.out-n')[2].click()")
	p.Until("location.hash === '#L3'")
	p.Do("document.querySelectorAll('.out-n')[4].dispatchEvent(new MouseEvent('click', { bubbles: true, shiftKey: true, cancelable: true }))")
	p.Until("location.hash === '#L3-L5' && document.querySelectorAll('.out-line.marked').length === 3")
	p.Do("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve() }")
	p.Click(".out-copy")
	p.See("3 lines copied")
	if got := browsertest.Eval[string](p, "window.copied"); got != "line 3\nline 4\nline 5\n" {
		t.Errorf("copied is %q", got)
	}
	p.Do("location.hash = '#L300'")
	sees(p, "300:line 300")
	p.Fill(".out-search input", "line 39")
	sees(p, "390:line 390") // the first after what is seen
	p.Until("document.querySelector('.out-hits').textContent === '2 of 11'")
	p.Keys(kb.Enter)
	sees(p, "391:line 391")
	p.Keys("N")
	p.Keys("N")
	sees(p, "39:line 39")
	p.Keys("N") // round
	sees(p, "399:line 399")
}

// TestOutputDropped: of a run that writes more than is kept, what is in view
// goes, and all that follows gets other numbers.
func TestOutputDropped(t *testing.T) {
	o := show(t)
	for i := range 1000 {
		o.write(1, stdout, fmt.Sprintf("line %d\n", i+1))
	}
	p := browsertest.Start(t).Visitor(t)
	p.Go(o.url + "/#L700")
	sees(p, "700:line 700")
	o.change(func() { o.chunks = append(o.chunks[:500:500], o.chunks[600:]...) })
	o.end()
	sees(p, "700:line 800")
	p.Do("location.hash = '#L501'")
	sees(p, "500:line 500")
	sees(p, "501:900 bytes before this are not keptline 601")
	p.Do("document.querySelector('.out-view').focus()")
	p.Keys(kb.End)
	sees(p, "900:line 1000")
}

// TestOutputOfJunk: whatever a run writes, nothing of it acts upon the page.
func TestOutputOfJunk(t *testing.T) {
	o := show(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	pieces := []string{"\x1b[", "\x1b]", "\x1b", "\x1bP", "\x07", "\x1b\\", "38;5;", "48;2;", "300", ";", ":", "m", "m", "m", "1", "7", "0", "31", "107", "K", "(B", "\x00", "\x08", "\u202e", "\u2028", "\u0130", "word", "😀", "\xff", "\t", "\r", "<b>", "&amp;", "\n", "\n"}
	var junk strings.Builder
	for range 20_000 {
		junk.WriteString(pieces[rnd.IntN(len(pieces))])
	}
	o.write(1, stdout, junk.String())
	o.end()
	p := browsertest.Start(t).Visitor(t)
	p.Go(o.url)
	p.Until(seenLines + ".length > 10")
	p.Fill(".out-search input", "word")
	p.Until("document.querySelector('.out-hits').textContent.includes(' of ')")
	p.Do("document.querySelector('.out-view').focus()")
	for range 20 {
		p.Keys(kb.PageDown)
		p.Until(seenLines + ".every(l => l.length)")
		if bad := browsertest.Eval[string](p, `(document.querySelector('.out-rows').textContent.match(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g) || []).join('')`); bad != "" {
			t.Fatalf("the page shows %q", bad)
		}
	}
	if browsertest.Eval[int](p, "document.querySelectorAll('.out-rows b').length") > 0 {
		t.Error("markup became markup")
	}
}

func TestOutputForgotten(t *testing.T) {
	o := show(t)
	o.change(func() { o.gone = true })
	p := browsertest.Start(t).Visitor(t)
	p.Forgive("status of 404")
	p.Go(o.url)
	p.See("not kept any more")
}
