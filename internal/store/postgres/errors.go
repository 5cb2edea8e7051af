package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errRace says that somebody else's change came between looking and writing:
// the transaction is undone and made again.
var errRace = errors.New("another change came between")

// fail makes an error whose message holds nothing of the cause: that is for
// the log, since drivers and databases tell of internals.
func fail(code bellhop.Code, cause error, format string, args ...any) error {
	return &bellhop.Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}

func errClosed() error {
	return bellhop.Errorf(bellhop.Unavailable, "the store is closed; try again once the server is up")
}

func errDropped(cause error) error {
	return fail(bellhop.Unavailable, cause, "the request was given up before it was written")
}

// sqlState returns the database's code for an error, "" for one that it did not
// send.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// again reports whether the same transaction may succeed when it is made
// again at once: it lost against another one.
func again(err error) bool {
	switch sqlState(err) {
	case "40001", // serialization_failure
		"40P01", // deadlock_detected
		"23505", // unique_violation: somebody was quicker, which the next look shows
		"55P03": // lock_not_available
		return true
	}
	return errors.Is(err, errRace)
}

// cut reports whether the connection is of no more use, or the server is going
// away.
func cut(err error) bool {
	state := sqlState(err)
	if state != "" {
		return strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08") || state == "25P03"
	}
	_, known := errors.AsType[*bellhop.Error](err)
	return !known && err != nil && !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, errRace)
}

// wrap gives an error of the database the code and the words that its kind
// calls for. Errors that have a code keep theirs.
func (d *db) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bellhop.Error](err); ok {
		return err
	}
	if d.closed.Load() {
		return errClosed()
	}
	if reason := outage(err); reason != "" {
		if !errors.Is(err, context.Canceled) { // by the caller
			d.outages.failure(extent(err), doing, reason, err)
		}
		return fail(bellhop.Unavailable, err, "the store is unavailable: %s; try again later", reason)
	}
	d.log.Warn("the store failed", "store", d.name, "doing", doing, "err", oneLine(err))
	if again(err) {
		return fail(bellhop.Unavailable, err, "the store is unavailable: %s did not get its turn; try again", doing)
	}
	if state := sqlState(err); state != "" {
		return fail(bellhop.Internal, err, "store %s: %s failed with SQLSTATE %s; the server's log has more", d.name, doing, state)
	}
	return fail(bellhop.Internal, err, "store %s: %s failed; the server's log has more", d.name, doing)
}

// outage words why the database can't be used for now; "" when it can.
func outage(err error) string {
	state := sqlState(err)
	switch {
	case state == "53100":
		return "the disk of the database is full"
	case state == "53300":
		return "the database has no connection left"
	case strings.HasPrefix(state, "53"):
		return "the database is short of something"
	case state == "25006":
		return "the database can only be read (is it a standby?)"
	case state == "57P03":
		return "the database is starting or stopping"
	case state == "57014":
		return "the database did not answer in time"
	case strings.HasPrefix(state, "57P"), strings.HasPrefix(state, "08"), state == "25P03":
		return "the connection to the database was cut"
	case strings.HasPrefix(state, "28"), state == "3D000":
		return "the database refuses this user"
	case state != "":
		return ""
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return "the database did not answer in time"
	case errors.Is(err, context.Canceled):
		return "the request was given up"
	case cut(err):
		return "the database can't be reached"
	}
	return ""
}

// extent says how far an outage goes.
func extent(err error) int32 {
	if state := sqlState(err); state == "25006" || state == "53100" {
		return readOnly
	}
	return away
}

// openError words why the store can't be opened: the thing, the fault, the
// remedy.
func (d *db) openError(err error) error {
	if _, ok := errors.AsType[*bellhop.Error](err); ok || err == nil {
		return err
	}
	c := d.config.ConnConfig
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	state, setting := sqlState(err), refusedSetting(err)
	switch {
	case state == "28P01":
		return fail(bellhop.Invalid, err, "store %s: the password of user %q is wrong or missing; correct it in `store:`", d.name, c.User)
	case strings.HasPrefix(state, "28"):
		return fail(bellhop.Invalid, err, "store %s: the database does not let user %q in; look at its pg_hba.conf, or name another user in `store:`", d.name, c.User)
	case state == "3D000":
		return fail(bellhop.Invalid, err, "store %s: there is no database %q; make it (createdb %s), or name another in `store:`", d.name, c.Database, c.Database)
	case state == "42501":
		return fail(bellhop.Invalid, err, "store %s: user %q may not make tables in database %q; let its owner say: GRANT CREATE ON DATABASE %s TO %s", d.name, c.User, c.Database, c.Database, c.User)
	case setting != "" && state == "42704":
		return fail(bellhop.Invalid, err, "store %s: the database knows no setting %q; correct it behind the ? in `store:`", d.name, setting)
	case setting != "":
		return fail(bellhop.Invalid, err, "store %s: the database takes another value for the setting %q; correct it behind the ? in `store:`", d.name, setting)
	case strings.Contains(err.Error(), "server refused TLS connection"): // pgx has no better sign of it
		return fail(bellhop.Invalid, err, "store %s: the database speaks no TLS, which sslmode asks for; switch it on there (ssl = on), or write sslmode=disable in `store:` if nobody can listen on the way", d.name)
	case isCertificate:
		return fail(bellhop.Invalid, err, "store %s: the database's certificate is not accepted; name its authority with sslrootcert=FILE in `store:`, and the host as the certificate has it", d.name)
	case isDNS:
		return fail(bellhop.Unavailable, err, "store %s: the host %q is not known; correct it in `store:`", d.name, dns.Name)
	case isRefused(err):
		return fail(bellhop.Unavailable, err, "store %s: nothing answers there; start the database, or correct host and port in `store:`", d.name)
	}
	if reason := outage(err); reason != "" {
		return fail(bellhop.Unavailable, err, "store %s can't be opened: %s; look at the database, and try again", d.name, reason)
	}
	return fail(bellhop.Internal, err, "store %s can't be opened: the database says SQLSTATE %s; its log has more", d.name, state)
}

// refusedSetting returns the setting of the URL that the database refused
// while connecting, or "".
func refusedSetting(err error) (name string) {
	e, refused := errors.AsType[*pgconn.PgError](err)
	c, connecting := errors.AsType[*pgconn.ConnectError](err)
	if !refused || !connecting || !slices.Contains([]string{"42704", "22023", "55P02"}, e.Code) {
		return ""
	}
	for setting := range c.Config.RuntimeParams { // whatever the language of the message
		if strings.Contains(e.Message, setting) && len(setting) > len(name) {
			name = setting
		}
	}
	return name
}
