package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// Client speaks to a server over its control socket. With a Session it is a
// chat.Desk: it reconnects by itself until its context ends.
type Client struct {
	Socket  string
	Source  string // ask or console
	Session string
	// Lost and Back, when set, are told that the server went away, and that it
	// is there again. They may be called by several goroutines at once.
	Lost, Back func()

	once sync.Once
	http *http.Client

	mu   sync.Mutex
	lost bool
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// NewKey returns a fresh idempotency key or session name.
func NewKey() string { return rand.Text() }

func (c *Client) client() *http.Client {
	c.once.Do(func() {
		c.http = &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
			},
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		}}
	})
	return c.http
}

// Close lets go of idle connections.
func (c *Client) Close() { c.client().CloseIdleConnections() }

// send makes one request. The caller closes the body. Problem documents become
// *bellhop.Error; a server that can't be reached is any other error.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://bellhop"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set(headerSource, c.Source)
	req.Header.Set(headerSession, c.Session)
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var p web.Problem
	if err := json.Unmarshal(b, &p); err != nil || p.Code == "" {
		return nil, bellhop.Errorf(bellhop.Internal, "the server answered %s", resp.Status)
	}
	return nil, &bellhop.Error{Code: p.Code, Message: p.Detail, Err: comeBackAfter(resp.Header.Get("Retry-After"))}
}

// later is the cause of an error after which a server asks to be asked again.
type later struct{ after time.Duration }

func (l later) Error() string { return "the server can be asked again in " + l.after.String() }

// comeBackAfter reads a Retry-After header; nil = there is none.
func comeBackAfter(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 3600 {
		return nil
	}
	return later{time.Duration(n) * time.Second}
}

// call makes one request and decodes its answer, without trying again.
func call[T any](ctx context.Context, c *Client, method, path string, header http.Header, body any) (v T, err error) {
	var b []byte
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			return v, err
		}
	}
	resp, err := c.send(ctx, method, path, header, b)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil {
		return v, err
	}
	return decode[T](b)
}

// patiently makes a request again until the server answers or ctx ends.
func patiently[T any](ctx context.Context, c *Client, method, path string, header http.Header, body any) (v T, err error) {
	err = c.patiently(ctx, func() error {
		v, err = call[T](ctx, c, method, path, header, body)
		return err
	})
	return v, err
}

// reading makes a request that changes nothing. It is made again only where the
// server asks for that.
func reading[T any](ctx context.Context, c *Client, path string) (v T, err error) {
	for n := 1; ; n++ {
		v, err = call[T](ctx, c, "GET", path, nil, nil)
		again, ok := errors.AsType[later](err)
		if !ok || n > refusals {
			return v, err
		}
		if err := sleep(ctx, again.after); err != nil {
			return v, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// refusals is how often a server may say "later" before that is told.
const refusals = 3

// patiently calls fn until it succeeds, fails with a *bellhop.Error, or ctx
// ends. What a server could not do now and asks to be asked again is tried a
// few times more: with its key, a request is never done twice.
func (c *Client) patiently(ctx context.Context, fn func() error) error {
	pause := firstPause
	var refused error
	for n := 0; ; {
		err := fn()
		wait := pause
		if _, final := errors.AsType[*bellhop.Error](err); err == nil || final {
			c.reached(true)
			again, ok := errors.AsType[later](err)
			if n++; !ok || n > refusals {
				return err
			}
			refused, wait = err, again.after
		} else {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if refused != nil && undialled(err) {
				return refused // by a server that was stopping, and nobody is there any more
			}
			refused = nil
			c.reached(false)
			pause = min(2*pause, lastPause)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// reached notes whether the server answers, and tells of a change.
func (c *Client) reached(ok bool) {
	c.mu.Lock()
	changed := c.lost == ok
	c.lost = !ok
	c.mu.Unlock()
	tell := c.Back
	if !ok {
		tell = c.Lost
	}
	if changed && tell != nil {
		tell()
	}
}

func keyed(key string) http.Header { return http.Header{headerKey: {key}} }

// Ask hands over one line (chat.Desk).
func (c *Client) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	var a answer
	maybe := false // it may have been accepted, and its answer lost
	err := c.patiently(ctx, func() (err error) {
		a, err = call[answer](ctx, c, "POST", "/v1/runs", keyed(key), askBody{Text: text})
		switch _, answered := errors.AsType[*bellhop.Error](err); {
		case err == nil:
		case !answered:
			maybe = maybe || !undialled(err)
		case maybe && bellhop.CodeOf(err) == bellhop.Unavailable:
			return errUncertain // "not accepted" might be wrong: ask who comes next
		}
		return err
	})
	return a.back(), err
}

// errUncertain says that a request may have been accepted before a server that
// stops refused to hear it again.
var errUncertain = errors.New("the server that may know is stopping")

// undialled reports whether a request failed before it was sent.
func undialled(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// Cancel ends one run (chat.Desk).
func (c *Client) Cancel(ctx context.Context, id bellhop.RunID) ([]bellhop.CancelledRun, error) {
	a, err := patiently[answer](ctx, c, "POST", "/v1/runs/"+id.String()+"/cancel", keyed(NewKey()), nil)
	return a.Cancelled, err
}

// Retry runs a finished run again; args are those that differ from its own.
func (c *Client) Retry(ctx context.Context, id bellhop.RunID, args bellhop.Args) (bellhop.Answer, error) {
	a, err := patiently[answer](ctx, c, "POST", "/v1/runs/"+id.String()+"/retry", keyed(NewKey()), retryBody{Args: args})
	return a.back(), err
}

// Why tells why a run has not started.
func (c *Client) Why(ctx context.Context, id bellhop.RunID) (bellhop.Answer, error) {
	a, err := reading[answer](ctx, c, "/v1/runs/"+id.String()+"/why")
	return a.back(), err
}

// Hold suppresses, pauses, or lets go again, as the action says.
func (c *Client) Hold(ctx context.Context, action bellhop.Action, h Holding) (bellhop.Answer, error) {
	a, err := patiently[answer](ctx, c, "POST", "/v1/"+string(action), keyed(NewKey()), h)
	return a.back(), err
}

// Suppressions lists what is suppressed or paused.
func (c *Client) Suppressions(ctx context.Context) ([]bellhop.Hold, error) {
	s, err := reading[suppressions](ctx, c, "/v1/suppressions")
	return s.Holds, err
}

// Complete returns the words that may follow (chat.Desk).
func (c *Client) Complete(ctx context.Context, line string) ([]string, error) {
	return call[[]string](ctx, c, "GET", "/v1/complete?line="+url.QueryEscape(line), nil, nil)
}

// Status tells what happens now.
func (c *Client) Status(ctx context.Context) (*bellhop.Status, error) {
	s, err := reading[*status](ctx, c, "/v1/status")
	return s.back(), err
}

// Runs lists runs, newest first: one page, of f.Limit or as many as the server
// gives at a time. mine narrows to the caller's own. Within and After are not
// asked for.
func (c *Client) Runs(ctx context.Context, f bellhop.RunSearch, mine bool) (bellhop.RunPage, error) {
	q := url.Values{"limit": {strconv.Itoa(f.Limit)}}
	set := func(k, v string) {
		if v != "" {
			q.Add(k, v)
		}
	}
	set("service", f.Service)
	set("job", f.Job)
	for _, s := range f.States {
		set("state", string(s))
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			set(name, at.Format(time.RFC3339Nano))
		}
	}
	if f.Before != 0 {
		set("before", f.Before.String())
	}
	if mine {
		set("mine", "true")
	}
	for _, v := range f.Verdicts {
		set("verdict", string(v))
	}
	set("source", f.Source)
	if !f.Arg.IsZero() {
		set("arg", f.Arg.String())
	}
	got, err := reading[page](ctx, c, "/v1/runs?"+q.Encode())
	runs := make([]bellhop.Run, len(got.Runs))
	for i, r := range got.Runs {
		runs[i] = r.back()
	}
	return bellhop.RunPage{Runs: runs, Next: got.Next}, err
}

// answerFor is how long a server may take to say who it is; one that takes
// longer is frozen.
const answerFor = 5 * time.Second

// Server asks who answers. It does not try again, and its error is a
// context.DeadlineExceeded when somebody is there and says nothing.
func (c *Client) Server(ctx context.Context) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	return call[Server](ctx, c, "GET", "/v1/version", nil, nil)
}

// Reload has the configuration read again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return call[Reloaded](ctx, c, "POST", "/v1/reload", nil, nil)
}

// Backup has the store copied to a file that does not exist yet. path is
// absolute.
func (c *Client) Backup(ctx context.Context, path string) error {
	_, err := call[struct{}](ctx, c, "POST", "/v1/backup", nil, map[string]string{"path": path})
	return err
}

// Handover tells an `ask` that serves itself to make way. Like Server, it does
// not wait for ever.
func (c *Client) Handover(ctx context.Context) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	return call[Server](ctx, c, "POST", "/v1/handover", nil, nil)
}
