package outside

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Headers of a report that is posted.
const (
	HeaderSignature = "X-Bellhop-Signature"
	HeaderSource    = "X-Bellhop-Source"
	HeaderReport    = "X-Bellhop-Report"
)

const (
	postFor   = 20 * time.Second
	maxAnswer = 64 << 10 // bytes of what is answered to a report
)

// client posts reports: it follows no redirect, since what is signed for one
// address is for no other.
func client() *http.Client {
	return &http.Client{
		Timeout:       postFor,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: postFor, MaxResponseHeaderBytes: maxAnswer, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Sign makes the signature of a report that is posted at a time: the time in
// Unix seconds, and the HMAC-SHA256 of TIME.BODY.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "."))
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}

// post has a report posted. Any answer of the 200s says that the source has it,
// and may say what it calls the message: {"reference": ...}.
func (c *Chat) post(ctx context.Context, r bellhop.Report) (string, error) {
	out, err := c.render(ctx, r)
	if err != nil || out == nil {
		return "", err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return "", err
	}
	secret, err := c.opt.Secret(ctx)
	if err != nil {
		return "", bellhop.Errorf(bellhop.Unavailable, "what reports to %s are signed with can't be had: %w", c.opt.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opt.URL, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Bellhop")
	h.Set(HeaderSignature, Sign(secret, c.opt.Clock.Now(), body))
	h.Set(HeaderSource, c.opt.Name)
	h.Set(HeaderReport, out.ID)
	resp, err := c.opt.Client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok { // which quotes the address: there may be a secret in that
			err = u.Err
		}
		return "", bellhop.Errorf(bellhop.Unavailable, "source %s can't be reached at %s: %w", c.opt.Name, req.URL.Host, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return "", bellhop.Errorf(bellhop.Unavailable, "source %s, at %s, answered its report with status %d", c.opt.Name, req.URL.Host, resp.StatusCode)
	case err != nil:
		return "", nil // it has the report; what it calls that is not known
	}
	ref := reference(answer)
	c.keepRef(ctx, r.Kind, r.Run.ID, r.Ask.Origin, ref)
	return ref, nil
}

// reference is what an answer calls the message by; "" = nothing that could be
// one.
func reference(answer []byte) string {
	var said struct {
		Reference string `json:"reference"`
	}
	if json.Unmarshal(answer, &said) != nil || checkField("reference", said.Reference, maxName) != nil {
		return ""
	}
	return said.Reference
}
