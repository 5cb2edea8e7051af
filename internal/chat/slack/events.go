package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// maxBody bounds a request of Slack, skew how old its signature may be.
	maxBody = 1 << 20
	skew    = 5 * time.Minute
	// answerFor is how long a request may take: Slack waits 3 s.
	answerFor = 2800 * time.Millisecond
)

// Handler takes what Slack sends over HTTP: events, interactions and the slash
// command, all at one URL. It answers after what was asked is written.
func (c *Chat) Handler() http.Handler { return http.HandlerFunc(c.serve) }

func (c *Chat) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "Slack sends POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	if err := verify(c.opt.SigningSecret, r.Header, body, c.now()); err != nil {
		c.opt.Log.Warn("a request that is not Slack's was refused", "chat", c.opt.Name, "reason", err.Error())
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	in, challenge, err := parse(r.Header.Get("Content-Type"), body)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case challenge != "":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, challenge)
		return
	}
	select {
	case <-c.ready:
		c.answerHTTP(w, r, in)
	default:
		http.Error(w, "not there yet; bring it again", http.StatusServiceUnavailable)
	}
}

// answerHTTP hears one thing, and answers when it is heard. Hearing goes on when
// Slack does not wait: it brings the same again, with the same key.
func (c *Chat) answerHTTP(w http.ResponseWriter, r *http.Request, in incoming) {
	type result struct {
		answer any
		err    error
	}
	done := make(chan result, 1)
	added := c.hearing.add(in.lane(), func() {
		early := c.early(in, func() { done <- result{} })
		ctx, cancel := context.WithTimeout(c.ctx, hearFor)
		defer cancel()
		answer, err := c.take(ctx, in)
		if early() {
			c.sayLate(in, answer)
			return
		}
		done <- result{answer, err}
	})
	timer, stop := c.opt.Clock.NewTimer(answerFor)
	defer stop()
	if added {
		select {
		case res := <-done:
			if res.err == nil {
				writeAnswer(w, res.answer)
				return
			}
			c.untaken(res.err)
		case <-timer:
		case <-r.Context().Done():
		}
	}
	http.Error(w, "not written; bring it again", http.StatusServiceUnavailable)
}

func writeAnswer(w http.ResponseWriter, answer any) {
	if answer == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// The reasons why a request is not taken for Slack's.
var (
	errUnsigned = errors.New("the request is not signed")
	errStale    = errors.New("the request's time stamp is more than 5 minutes away from now; is the clock right?")
	errForged   = errors.New("the request's signature is wrong; is it the signing secret of this app?")
)

// verify reports whether Slack sent a body within the last minutes.
func verify(secret string, h http.Header, body []byte, now time.Time) error {
	written, given := h.Get("X-Slack-Request-Timestamp"), h.Get("X-Slack-Signature")
	sec, err := strconv.ParseInt(written, 10, 64)
	if err != nil || given == "" {
		return errUnsigned
	}
	if d := now.Sub(time.Unix(sec, 0)); d > skew || d < -skew {
		return errStale
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + written + ":"))
	mac.Write(body)
	if !hmac.Equal([]byte("v0="+hex.EncodeToString(mac.Sum(nil))), []byte(given)) {
		return errForged
	}
	return nil
}

var errUnreadable = errors.New("the request can't be read")

// parse tells what a request brings, or the challenge that it wants back.
func parse(contentType string, body []byte) (in incoming, challenge string, err error) {
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind != "application/x-www-form-urlencoded" {
		var cb callback
		if json.Unmarshal(body, &cb) != nil {
			return in, "", errUnreadable
		}
		if cb.Type == "url_verification" {
			return in, cb.Challenge, nil
		}
		return incoming{"events_api", body}, "", nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return in, "", errUnreadable
	}
	if p := form.Get("payload"); p != "" {
		if !json.Valid([]byte(p)) {
			return in, "", errUnreadable
		}
		return incoming{"interactive", json.RawMessage(p)}, "", nil
	}
	fields := make(map[string]string, len(form))
	for k := range form {
		fields[k] = form.Get(k)
	}
	raw, err := json.Marshal(fields)
	if err != nil || fields["command"] == "" {
		return in, "", errUnreadable
	}
	return incoming{"slash_commands", raw}, "", nil
}
