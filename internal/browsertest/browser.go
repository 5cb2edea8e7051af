// Package browsertest drives a real Chromium for tests of pages. What a page
// must never do is a failure of the test: an error on its console, a script or
// style that its Content-Security-Policy forbids, a request to another host.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds what is waited for: it is a safety net for machines that do
// a lot of other things.
const patience = time.Minute

// Browser is a Chromium that a test has for itself. It ends with the test, and
// with the test's process, however that ends.
type Browser struct{ ctx context.Context }

// Program is the path of Chromium. Without it the test is skipped, or fails
// when BELLHOP_TEST_REQUIRE is all.
func Program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const text = "chromium is not installed; on Debian: apt-get install chromium"
	if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}

// Start starts a browser. It speaks through a pipe, so it needs no port, and
// it knows no host but this machine.
func Start(t testing.TB) *Browser {
	t.Helper()
	said := &words{}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Program(t)),
		chromedp.DisableGPU,
		chromedp.CombinedOutput(said),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		chromedp.Flag("lang", "en-GB"),
		chromedp.WindowSize(width, height),
	)
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses to work for root
	}
	all, end := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(end)
	ctx, _ := chromedp.NewContext(all)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("the browser did not end as it should: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium did not start: %v\n%s", err, said)
	}
	return &Browser{ctx}
}

// words keeps the beginning of what a browser says.
type words struct {
	mu   sync.Mutex
	text []byte
}

func (l *words) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p[:min(len(p), 64<<10-len(l.text))]...)
	return len(p), nil
}

func (l *words) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// Visitor opens an empty page for somebody who was never here: it shares no
// cookies and no storage with the other visitors.
func (b *Browser) Visitor(t testing.TB) *Page {
	t.Helper()
	return open(t, b.ctx, chromedp.WithNewBrowserContext())
}

// Tab opens an empty page beside p, of the same visitor.
func (p *Page) Tab() *Page {
	p.t.Helper()
	return open(p.t, p.ctx)
}

func open(t testing.TB, parent context.Context, opts ...chromedp.ContextOption) *Page {
	t.Helper()
	p := &Page{t: t, hosts: map[string]bool{}}
	p.ctx, p.end = chromedp.NewContext(parent, append(opts, chromedp.WithListener(p.event))...)
	t.Cleanup(p.Close)
	if err := chromedp.Do(p.ctx); err != nil { // the tab lives as long as this context, so it has no time limit
		t.Fatalf("open a page: %v", err)
	}
	p.do("open a page", chromedp.EmulateViewport(width, height))
	return p
}

// do takes steps, or the test ends.
func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.fatal(what, err)
	}
}

// run is do for an action that has an answer.
func run[T any](p *Page, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.fatal(what, err)
	}
	return v
}

// fatal ends the test, and says what the page showed.
func (p *Page) fatal(what string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	text, textErr := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 4000)`))
	if textErr != nil {
		text = fmt.Sprintf("(what it shows can't be read: %v)", textErr)
	}
	p.t.Fatalf("%s: %v\nfaults: %q\nthe page: %s", what, err, p.Faults(), text)
}

// Await waits until done is true, of what a page does to the world outside.
func Await(p *Page, done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	p.fatal("wait", context.DeadlineExceeded)
}
