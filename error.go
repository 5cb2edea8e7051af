package bellhop

import (
	"errors"
	"fmt"
)

// Code says what kind of fault an Error is. Each code becomes an HTTP status,
// an exit status and a chat reply in exactly one place each: web/api, cli and
// chat.
type Code string

// The codes.
const (
	// Invalid: the request can't be carried out as it is written.
	Invalid Code = "invalid"
	// NotFound: there is no such thing, or it is not to be known.
	NotFound Code = "not_found"
	// NotAllowed: this principal may not have this done.
	NotAllowed Code = "not_allowed"
	// Conflict: it collides with the present state (already finished, ...).
	Conflict Code = "conflict"
	// Unavailable: it may work later (store gone, disk full, shutting down).
	Unavailable Code = "unavailable"
	// Internal: a fault of Bellhop's own.
	Internal Code = "internal"
)

// Error is the one error type that crosses package borders on purpose.
// Message names the thing, the fault and what to do, in words for whoever
// asked; Err, if any, is the cause, for the log.
type Error struct {
	Code    Code
	Message string
	Err     error
}

// Error returns the message alone: the cause is for the log, not the asker.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with the given code. As with fmt.Errorf, %w keeps the
// cause within reach of errors.Is and errors.As.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// CodeOf returns the code of the first Error in err's chain, Internal for any
// other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// ErrGone is what a Destination returns when the origin ended with its
// connection: the report stays unread for its person.
var ErrGone = errors.New("the origin's connection has ended")

// ErrBehind ends the watching of whoever reads so slowly that what has changed
// is not known any more: they come back, and begin anew.
var ErrBehind error = &Error{Code: Unavailable, Message: "more has changed than is kept for a client that reads this slowly; come back with the id of the last event"}

// ErrStopping is returned for the end of an attempt after which its run would
// wait again, when somebody has asked for the run's end meanwhile.
var ErrStopping = errors.New("the run is to be stopped")

// ErrLeaseLost is returned for an operation under a lease that is no longer
// the run's current one. Whoever gets it stops at once and writes nothing more.
var ErrLeaseLost = errors.New("the lease is not the run's current one")
