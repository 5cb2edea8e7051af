// Package callback takes what is posted of a run from elsewhere, at an address
// that the run was given: it is signed, of one attempt, and expires.
package callback

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// Path is below what addresses are.
const Path = "/callback/"

// Ticket is what an address says: which attempt it is of, and until when.
type Ticket struct {
	Run   bellhop.RunID
	Lease int64 // of the attempt
	Until time.Time
}

// Address is where a ticket's holder posts to, on the server that is reached at
// base.
func (t Ticket) Address(base string, key []byte) string {
	return strings.TrimSuffix(base, "/") + Path + t.Run.String() + "/" + strconv.FormatInt(t.Lease, 10) + "/" +
		strconv.FormatInt(t.Until.Unix(), 10) + "/" + base64.RawURLEncoding.EncodeToString(t.sign(key))
}

func (t Ticket) sign(key []byte) []byte {
	m := hmac.New(sha256.New, key)
	var b [24]byte // of fixed places, so that none can pass for another
	binary.BigEndian.PutUint64(b[:], uint64(t.Run))
	binary.BigEndian.PutUint64(b[8:], uint64(t.Lease))
	binary.BigEndian.PutUint64(b[16:], uint64(t.Until.Unix()))
	m.Write([]byte("bellhop callback 1\n"))
	m.Write(b[:])
	return m.Sum(nil)
}

// parse reads what Address writes, and whether it is signed with the key.
func parse(run, lease, until, signature string, key []byte) (t Ticket, ok bool) {
	id, err := bellhop.ParseRunID(run)
	n, err1 := strconv.ParseInt(lease, 10, 64)
	at, err2 := strconv.ParseInt(until, 10, 64)
	sig, err3 := base64.RawURLEncoding.Strict().DecodeString(signature)
	if errors.Join(err, err1, err2, err3) != nil || n < 1 || at < 1 {
		return t, false
	}
	t = Ticket{Run: id, Lease: n, Until: time.Unix(at, 0)}
	return t, hmac.Equal(sig, t.sign(key))
}

// House is Bellhop as callbacks see it.
type House interface {
	// Progress tells those who asked for a run. Conflict: that attempt of it does
	// not run any more.
	Progress(ctx context.Context, run bellhop.RunID, lease int64, text string) error
}

// Handler serves POST /callback/RUN/ATTEMPT/UNTIL/SIGNATURE.
type Handler struct {
	House House
	Key   []byte
	Clock bellhop.Clock
	mux   *http.ServeMux
}

// maxText is how much may be posted at a time, in bytes.
const maxText = 4 << 10

// New returns a handler.
func New(house House, key []byte, clock bellhop.Clock) *Handler {
	h := &Handler{House: house, Key: key, Clock: clock, mux: http.NewServeMux()}
	const path = Path + "{run}/{lease}/{until}/{signature}"
	h.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		web.Fail(w, problem(http.StatusMethodNotAllowed, bellhop.Invalid, "this address takes POST, with a text as the body"))
	})
	h.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		if err := h.take(w, r); err != nil {
			web.Fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return h
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) take(w http.ResponseWriter, r *http.Request) error {
	t, ok := parse(r.PathValue("run"), r.PathValue("lease"), r.PathValue("until"), r.PathValue("signature"), h.Key)
	if !ok {
		return problem(http.StatusUnauthorized, bellhop.NotAllowed, "this address was given to no run; post to what BELLHOP_CALLBACK says")
	}
	if !h.Clock.Now().Before(t.Until) {
		return gone("this address has expired; how long it is good, `callback:` of the job says")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxText))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return problem(http.StatusRequestEntityTooLarge, bellhop.Invalid, "progress is a text of 4 KiB at most; post what is new of it")
	}
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "the body could not be read")
	}
	text, err := Clean(body)
	if err != nil {
		return err
	}
	err = h.House.Progress(r.Context(), t.Run, t.Lease, text)
	if bellhop.CodeOf(err) == bellhop.Conflict || bellhop.CodeOf(err) == bellhop.NotFound {
		return gone(err.Error())
	}
	return err
}

// Clean makes of a body what may be told: a text without control characters but
// for tabs and the ends of lines.
func Clean(body []byte) (string, error) {
	if !utf8.Valid(body) {
		return "", bellhop.Errorf(bellhop.Invalid, "progress is a text in UTF-8, which this is not")
	}
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\ufffd'
		}
		return r
	}, text))
	if text == "" {
		return "", bellhop.Errorf(bellhop.Invalid, "there is nothing in the body; post a text, such as: half of it is done")
	}
	return text, nil
}

func gone(detail string) error { return problem(http.StatusGone, bellhop.Conflict, detail) }

func problem(status int, code bellhop.Code, detail string) error {
	return &web.Problem{Status: status, Code: code, Detail: detail}
}
