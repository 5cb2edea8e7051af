package shell

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Limits on fetching a script.
const (
	fetchTime    = 10 * time.Second
	fetchSize    = 10 << 20
	maxRedirects = 5
)

// fetcher fetches scripts, and keeps the last good copy of each.
type fetcher struct {
	cache  string
	client *http.Client
	clock  bellhop.Clock
}

func newFetcher(cache string, transport http.RoundTripper, clock bellhop.Clock) *fetcher {
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &fetcher{cache: cache, clock: clock, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}}
}

func (f *fetcher) close() { f.client.CloseIdleConnections() }

// checkRedirect follows a few, and never from https to anything else.
func checkRedirect(to *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case to.URL.Scheme == "https", to.URL.Scheme == "http" && via[0].URL.Scheme == "http":
		return nil
	}
	return fmt.Errorf("redirected from %s to %s, which is refused", via[0].URL.Scheme, to.URL.Scheme)
}

// script returns the script at address. When it can't be fetched, or its sum is
// not what it should be, the last good copy is returned with a warning for
// people; when there is none either, an error.
func (f *fetcher) script(ctx context.Context, service, job, address, sum string) (script []byte, warning string, err error) {
	copyOf := f.copyOf(service, job, address)
	script, err = f.fetch(ctx, address)
	if err == nil {
		err = checkSum(script, sum)
	}
	if err == nil {
		if err := keep(copyOf, script); err != nil {
			return nil, "", fmt.Errorf("a copy of the script at %s could not be kept: %w", shown(address), err)
		}
		return script, "", nil
	}
	if ctx.Err() != nil {
		return nil, "", err
	}
	old, readErr := os.ReadFile(copyOf)
	info, statErr := os.Stat(copyOf)
	_, other := errors.AsType[wrongSum](err)
	switch none := readErr != nil || statErr != nil || checkSum(old, sum) != nil; {
	case none && other:
		return nil, "", fmt.Errorf("the script at %s %w; see what changed, then correct sha256:", shown(address), err)
	case none:
		return nil, "", fmt.Errorf("the script at %s could not be fetched (%w), and there is no earlier copy; correct script_url or make it reachable", shown(address), err)
	}
	fault := fmt.Sprintf("could not be fetched (%v)", err)
	if other {
		fault = err.Error()
	}
	return old, fmt.Sprintf("the script at %s %s; the copy of %s was run", shown(address), fault, info.ModTime().UTC().Format("2006-01-02 15:04:05 MST")), nil
}

// copyOf returns where the last good copy is kept: another address has another.
func (f *fetcher) copyOf(service, job, address string) string {
	sum := sha256.Sum256([]byte(address))
	return filepath.Join(f.cache, service, job, hex.EncodeToString(sum[:8]))
}

func (f *fetcher) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, fmt.Errorf("no whole answer within %s", fetchTime))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, plain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer was %s", short(resp.Status))
	}
	script, err := io.ReadAll(io.LimitReader(resp.Body, fetchSize+1))
	switch {
	case err != nil:
		return nil, plain(ctx, err)
	case len(script) > fetchSize:
		return nil, fmt.Errorf("it is larger than %d MiB", fetchSize>>20)
	case len(script) == 0:
		return nil, errors.New("the answer was empty")
	}
	return script, nil
}

// maxReason is how much of what a server said is told, in bytes.
const maxReason = 200

// short cuts what a server said: it is kept with the run and shown to people.
func short(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "..."
}

// plain leaves the address out of a client's error, and tells a time limit.
func plain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if text := err.Error(); len(text) > maxReason {
		return errors.New(short(text))
	}
	return err
}

// wrongSum is the sum of a script that should have another.
type wrongSum string

func (w wrongSum) Error() string {
	return fmt.Sprintf("is not the file that sha256: names (it has %s)", string(w))
}

func checkSum(script []byte, want string) error {
	if want == "" {
		return nil
	}
	sum := sha256.Sum256(script)
	if got := hex.EncodeToString(sum[:]); !strings.EqualFold(got, want) {
		return wrongSum(got)
	}
	return nil
}

// keep writes the last good copy so that a reader sees the old or the new one
// whole. Its time stamp is when it was last fetched.
func keep(file string, script []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, script) {
		now := time.Now()
		return os.Chtimes(file, now, now)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(script)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// shown is an address as people may see it: without a password or a query,
// which may hold a token.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "script_url"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// scriptName returns the name under which a script is put on PATH: the last
// element of its address's path.
func scriptName(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", errors.New("script_url is not an address that begins with http:// or https:// and names a host; correct it")
	}
	name := path.Base(u.Path)
	ok := name != "" && len(name) <= 100 && name[0] != '.' && name[0] != '-'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	if !ok || strings.HasSuffix(u.Path, "/") {
		return "", errors.New("script_url does not end in the name of a file (letters, digits, . _ and -), by which the run could call it; use one that does")
	}
	return name, nil
}
