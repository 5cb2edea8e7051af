package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/bellhop-io/bellhop"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Code   bellhop.Code `json:"code"`
	After  int          `json:"-"` // seconds, in Retry-After; 0 = 1 where there is such a header
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// StatusOf is the one place where a code becomes an HTTP status.
func StatusOf(code bellhop.Code) int {
	switch code {
	case bellhop.Invalid:
		return http.StatusBadRequest
	case bellhop.NotFound:
		return http.StatusNotFound
	case bellhop.NotAllowed:
		return http.StatusForbidden
	case bellhop.Conflict:
		return http.StatusConflict
	case bellhop.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// ProblemOf makes a problem of an error. One that is a Problem stays as it is.
func ProblemOf(err error) *Problem {
	p, ok := err.(*Problem)
	if !ok {
		code := bellhop.CodeOf(err)
		p = &Problem{Status: StatusOf(code), Detail: err.Error(), Code: code}
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	return p
}

// comeBack is after how many seconds a request that could not be served may be
// made again, under the same key.
const comeBack = "1"

// Fail answers with an error.
func Fail(w http.ResponseWriter, err error) {
	p := ProblemOf(err)
	h := w.Header()
	switch {
	case h.Get("Retry-After") != "":
	case p.After > 0:
		h.Set("Retry-After", strconv.Itoa(p.After))
	case p.Code == bellhop.Unavailable || p.Status == http.StatusTooManyRequests:
		h.Set("Retry-After", comeBack)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
