package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The size of a page until Size says otherwise, in CSS pixels.
const (
	width  = 1280
	height = 800
)

// Page is a tab. Its methods end the test when what they are for can't be
// done. When the test ends, so does the page, and the test fails if the page
// had faults that were not forgiven.
type Page struct {
	t    testing.TB
	ctx  context.Context
	end  context.CancelFunc
	once sync.Once

	mu      sync.Mutex
	hosts   map[string]bool // that it may speak to
	faults  []string
	forgive []string
	asked   []string
	cover   context.CancelFunc // ends the tab that hides it
}

// Context is what chromedp's own actions are run in.
func (p *Page) Context() context.Context { return p.ctx }

// event keeps what is a fault. It is called in order, by one goroutine.
func (p *Page) event(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		d := ev.ExceptionDetails
		text := d.Text
		if d.Exception != nil && d.Exception.Description != "" {
			text = d.Exception.Description
		}
		p.fault("exception", fmt.Sprintf("%s:%d: %s", d.URL, d.LineNumber+1, text))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "assert" {
			var text []string
			for _, a := range ev.Args {
				text = append(text, strings.Trim(string(a.Value), `"`)+a.Description)
			}
			p.fault("console", strings.Join(text, " "))
		}
	case *log.EventEntryAdded: // what the browser itself says: policy, resources that did not come
		if ev.Entry.Level == "error" {
			p.fault(string(ev.Entry.Source), ev.Entry.URL+": "+ev.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		p.request(ev.Request.URL)
	case *network.EventWebSocketCreated:
		p.request(ev.URL)
	}
}

func (p *Page) request(to string) {
	p.mu.Lock()
	p.asked = append(p.asked, to)
	p.mu.Unlock()
	u, err := url.Parse(to)
	if err == nil && (u.Scheme == "data" || u.Scheme == "blob" || u.Scheme == "about") {
		return
	}
	p.mu.Lock()
	known := err == nil && p.hosts[u.Host]
	p.mu.Unlock()
	if !known {
		p.fault("foreign", "a request to "+to)
	}
}

func (p *Page) fault(kind, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, kind+": "+text)
}

// Forgive says that faults that hold part are what the test wants, those
// before it too: `status of 403`, `ERR_CONNECTION_REFUSED`.
func (p *Page) Forgive(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgive = append(p.forgive, part)
}

// Faults are those that were not forgiven, until now.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []string
	for _, f := range p.faults {
		if !slices.ContainsFunc(p.forgive, func(part string) bool { return strings.Contains(f, part) }) {
			left = append(left, f)
		}
	}
	return left
}

// Requests are the addresses that the page has asked for, in order.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Close ends the page and fails the test if it had faults. It may be called
// twice.
func (p *Page) Close() {
	p.once.Do(func() {
		p.t.Helper()
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		_, _ = chromedp.Run(ctx, chromedp.Evaluate[int]("1")) // what came before has been told by then
		cancel()
		for _, f := range p.Faults() {
			p.t.Errorf("the page had a fault: %s", f)
		}
		p.mu.Lock()
		cover := p.cover
		p.mu.Unlock()
		if cover != nil {
			cover()
		}
		p.end()
	})
}

// Go opens an address, whose host is no foreign one from then on.
func (p *Page) Go(to string) {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.hosts[u.Host] = true
	p.mu.Unlock()
	p.do("open "+to, chromedp.Navigate(to))
}

// Reload opens the page again.
func (p *Page) Reload() { p.t.Helper(); p.do("reload", chromedp.Reload()) }

// Do runs a script and waits for it, also when it is a promise.
func (p *Page) Do(script string) {
	p.t.Helper()
	p.do("run "+script, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		res, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{
			Expression: script, AwaitPromise: new(true), UserGesture: new(true),
		})
		if err == nil && res.ExceptionDetails != nil {
			err = &chromedp.ExceptionError{ExceptionDetails: res.ExceptionDetails}
		}
		return err
	}))
}

// Eval is what an expression is worth, also when it is a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, "evaluate "+expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits until an expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	err := errors.New("it never was")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		var yes bool
		// A page that is just being left has no answer.
		yes, err = chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		cancel()
		if yes && err == nil {
			return
		}
		if err == nil {
			err = errors.New("it never was")
		}
	}
	p.fatal("wait until "+expression, err)
}

// See waits until the page shows a text.
func (p *Page) See(text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// Click clicks in the middle of what a CSS selector finds first, once it can
// be seen.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Fill puts a text in place of what a field has, by keys.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.do("find "+selector, chromedp.Focus(chromedp.CSS(selector), chromedp.NodeVisible))
	p.Do("document.activeElement.select()")
	if text == "" {
		text = kb.Delete
	}
	p.Keys(text)
}

// Keys presses keys where the focus is: a text, or package kb's names of keys.
// What a page prevents when a key goes down is not written, as for a person.
func (p *Page) Keys(keys string, with ...chromedp.Modifier) {
	p.t.Helper()
	var held chromedp.Modifier
	for _, m := range with {
		held |= m
	}
	p.call(fmt.Sprintf("press %q", keys), func(ctx context.Context, t *chromedp.Target) error {
		for _, r := range keys {
			events := kb.Encode(r)
			down, up := *events[0], *events[len(events)-1]
			if len(events) == 3 && held&^chromedp.ModifierShift == 0 {
				down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
			}
			for _, e := range []input.DispatchKeyEventParams{down, up} {
				e.Modifiers |= int64(held)
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, e); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Text is what is shown of what a CSS selector finds first.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return run(p, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Size makes the page w by h CSS pixels.
func (p *Page) Size(w, h int64) {
	p.t.Helper()
	p.do("set the size", chromedp.EmulateViewport(w, h))
}

// Phone makes the page that of a phone: 390 by 844 CSS pixels, with touch.
func (p *Page) Phone() {
	p.t.Helper()
	p.do("be a phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)))
}

// Scheme is what the visitor's machine prefers: light or dark.
func (p *Page) Scheme(scheme string) {
	p.t.Helper()
	p.call("prefer "+scheme, func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// Zone is the visitor's time zone, as Europe/London.
func (p *Page) Zone(name string) {
	p.t.Helper()
	p.call("live in "+name, func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
		return err
	})
}

// Hide puts another tab before the page, as a visitor does, so that
// document.hidden is true; Show takes it away again.
func (p *Page) Hide() {
	p.t.Helper()
	ctx, end := chromedp.NewContext(p.ctx, chromedp.WithNewWindow(false))
	p.mu.Lock()
	p.cover = end
	p.mu.Unlock()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.BringToFront, cdp.Empty{})
		return err
	}))
	if err != nil {
		p.fatal("hide the page", err)
	}
	p.Until("document.hidden")
}

// Show brings the page to the front.
func (p *Page) Show() {
	p.t.Helper()
	p.mu.Lock()
	cover := p.cover
	p.cover = nil
	p.mu.Unlock()
	if cover != nil {
		cover()
	}
	p.call("show the page", func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, target.ActivateTarget, target.ActivateTargetParams{TargetID: t.TargetID})
		return err
	})
	p.Until("!document.hidden")
}

// Shot writes a PNG of what is seen of the page. Folders are made.
func (p *Page) Shot(path string) {
	p.t.Helper()
	p.write(path, run(p, "take a picture", chromedp.CaptureScreenshot()))
}

// ShotWhole is Shot for all of the page, however long.
func (p *Page) ShotWhole(path string) {
	p.t.Helper()
	p.write(path, run(p, "take a picture", chromedp.FullScreenshot(100)))
}

func (p *Page) write(path string, png []byte) {
	p.t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *Page) call(what string, f func(ctx context.Context, t *chromedp.Target) error) {
	p.t.Helper()
	p.do(what, chromedp.Func(f))
}
