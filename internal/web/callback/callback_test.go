package callback_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"github.com/bellhop-io/bellhop/internal/web/callback"
)

// house writes down what it is told.
type house struct {
	told []string
	err  error
}

func (h *house) Progress(_ context.Context, run bellhop.RunID, lease int64, text string) error {
	if h.err == nil {
		h.told = append(h.told, fmt.Sprintf("%s %d %s", run, lease, text))
	}
	return h.err
}

var key = []byte("0123456789abcdef0123456789abcdef")

const base = "https://bellhop.example.org/b/"

func TestCallbacks(t *testing.T) {
	clock := storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	hs := &house{}
	h := callback.New(hs, key, clock)
	ticket := callback.Ticket{Run: 42, Lease: 3, Until: clock.Now().Add(time.Hour)}
	address := ticket.Address(base, key)
	if !strings.HasPrefix(address, "https://bellhop.example.org/b/callback/") {
		t.Fatal(address)
	}
	path := func(address string) string { return strings.TrimPrefix(address, "https://bellhop.example.org/b") }
	post := func(method, address, body string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path(address), strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, tt := range []struct {
		what, address, body string
		status              int
		says                string
	}{
		{"right", address, "half of it\r\n\x1b[31mis\x00 done\n", 204, ""},
		{"nothing", address, " \n", 400, "nothing in the body"},
		{"not UTF-8", address, "\xff", 400, "UTF-8"},
		{"as much as may be", address, strings.Repeat("x", 4096), 204, ""},
		{"too much", address, strings.Repeat("x", 4097), 413, "4 KiB"},
		{"another run", strings.Replace(address, bellhop.RunID(42).String(), bellhop.RunID(43).String(), 1), "x", 401, "no run"},
		{"another attempt", strings.Replace(address, "/3/", "/4/", 1), "x", 401, "no run"},
		{"later", strings.Replace(address, fmt.Sprint(ticket.Until.Unix()), fmt.Sprint(ticket.Until.Unix()+1), 1), "x", 401, "no run"},
		{"another key", ticket.Address(base, []byte("another")), "x", 401, "no run"},
		{"a letter less", address[:len(address)-1], "x", 401, "no run"},
		{"a letter more", address + "A", "x", 401, "no run"},
		{"no signature", address[:strings.LastIndexByte(address, '/')] + "/-", "x", 401, "no run"},
		{"no run", base + "callback/x/y/z/a", "x", 401, "no run"},
		{"somewhere else", base + "callback/000001", "x", 404, ""},
	} {
		if status, says := post("POST", tt.address, tt.body); status != tt.status || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %d %s", tt.what, status, says)
		}
	}
	if status, said := post("GET", address, ""); status != 405 || !strings.Contains(said, `"detail":"this address takes POST, with a text as the body","code":"invalid"`) {
		t.Errorf("GET: %d %s", status, said)
	}
	if len(hs.told) != 2 || hs.told[0] != "000019 3 half of it\n\ufffd[31mis\ufffd done" && !strings.HasSuffix(hs.told[0], " 3 half of it\n\ufffd[31mis\ufffd done") {
		t.Errorf("told %q", hs.told)
	}
	for _, err := range []error{bellhop.Errorf(bellhop.Conflict, "it has ended"), bellhop.Errorf(bellhop.NotFound, "it is not there any more")} {
		hs.err = err
		if status, says := post("POST", address, "x"); status != 410 || !strings.Contains(says, err.Error()) {
			t.Errorf("%v: %d %s", err, status, says)
		}
	}
	hs.err = bellhop.Errorf(bellhop.Unavailable, "the store is away")
	if status, _ := post("POST", address, "x"); status != 503 {
		t.Errorf("the store is away: %d", status)
	}
	hs.err = nil
	clock.Advance(time.Hour - time.Second)
	if status, _ := post("POST", address, "x"); status != 204 {
		t.Errorf("a second before it expires: %d", status)
	}
	clock.Advance(time.Second)
	if status, says := post("POST", address, "x"); status != 410 || !strings.Contains(says, "expired") {
		t.Errorf("when it expires: %d %s", status, says)
	}
	if status, _ := post("POST", strings.Replace(address, "/3/", "/4/", 1), "x"); status != 401 {
		t.Errorf("of what is not signed it is told that it has expired: %d", status)
	}
}

// FuzzForged: no address is good but the one that was signed.
func FuzzForged(f *testing.F) {
	clock := storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	good := strings.TrimPrefix((callback.Ticket{Run: 42, Lease: 3, Until: clock.Now().Add(time.Hour)}).Address("", key), callback.Path)
	for _, s := range []string{good, good + "=", strings.Replace(good, "/3/", "/+3/", 1), strings.Replace(good, "/3/", "/03/", 1), strings.ToUpper(good), "a/1/1/", "%2f/1/1/x"} {
		f.Add(s)
	}
	run, rest, _ := strings.Cut(good, "/")
	f.Fuzz(func(t *testing.T, path string) {
		hs := &house{}
		h := callback.New(hs, key, clock)
		r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
		r.URL.Path = callback.Path + path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 204 {
			if len(hs.told) > 0 {
				t.Errorf("%q: %d, and was told", path, w.Code)
			}
			return
		}
		if hs.told[0] != bellhop.RunID(42).String()+" 3 x" {
			t.Errorf("%q is good for %q; %s/%s alone was signed", path, hs.told, run, rest)
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add([]byte("a\r\nb\x1b[0m\x00\u0085"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := callback.Clean(b)
		if err == nil && (text == "" || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\r\x7f\u0085")) {
			t.Errorf("%q became %q", b, text)
		}
	})
}
