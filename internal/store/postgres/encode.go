package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5/pgtype"
)

// Small numbers for words. They are in stores that exist: a word keeps its
// number for ever, and a new one goes to the end. The schema's index
// outcome_bad names that of Succeeded, 4.
func states() []bellhop.State {
	return []bellhop.State{"", bellhop.Held, bellhop.Waiting, bellhop.Running, bellhop.Succeeded, bellhop.Failed, bellhop.Cancelled, bellhop.TimedOut}
}

func verdicts() []bellhop.Verdict {
	return []bellhop.Verdict{"", bellhop.Success, bellhop.Fixed, bellhop.Fail, bellhop.Regression, bellhop.Broken, bellhop.Aborted}
}

func ends() []bellhop.End {
	return []bellhop.End{"", bellhop.EndSucceeded, bellhop.EndFailed, bellhop.EndNotStarted, bellhop.EndTimedOut, bellhop.EndCancelled, bellhop.EndInterrupted, bellhop.EndCrashed}
}

func kinds() []bellhop.ReportKind {
	return []bellhop.ReportKind{"", bellhop.ReportRetried, bellhop.ReportOutcome, bellhop.ReportApproval, bellhop.ReportDecided, bellhop.ReportUntold, bellhop.ReportProgress}
}

func reportStates() []bellhop.ReportState {
	return []bellhop.ReportState{bellhop.ReportPending, bellhop.ReportUnread, bellhop.ReportDelivered, bellhop.ReportGivenUp}
}

// numberOf returns a word's number, or -1 for a word that has none.
func numberOf[W ~string](words []W, w W) int16 { return int16(slices.Index(words, w)) }

// wordOf returns the word with that number; numbers that a later Bellhop wrote
// give the zero word.
func wordOf[W ~string](words []W, n int16) W {
	if n < 0 || int(n) >= len(words) {
		var zero W
		return zero
	}
	return words[n]
}

// rankOf turns a priority round, so that the highest comes first in an index.
func rankOf(priority int) int16 { return int16(9 - min(max(priority, 0), 9)) }

// micros encodes a time; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func optionalTime(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := timeOf(us)
	return &t
}

// text makes what a text column takes: Postgres has no text with a zero byte,
// or that is not UTF-8.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// textOrNull stores the empty text as NULL, which takes no room.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	s = text(s)
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// hash is what is stored of a key: NULL for the empty one.
func hash(key string) pgtype.UUID {
	if key == "" {
		return pgtype.UUID{}
	}
	sum := sha256.Sum256([]byte(key))
	return pgtype.UUID{Bytes: [16]byte(sum[:16]), Valid: true}
}

func exitOrNull(status *int) *int32 {
	if status == nil {
		return nil
	}
	n := int32(*status)
	return &n
}

func exitOf(n *int32) *int {
	if n == nil {
		return nil
	}
	status := int(*n)
	return &status
}

// packAsk encodes what of an ask has no column of its own: when, then
// identity, key and origin, each as a length and its bytes; the rest is its note.
func packAsk(a *bellhop.Ask) []byte {
	o := &a.Origin
	b := make([]byte, 0, 24+len(a.Identity)+len(a.Key)+len(o.Source)+len(o.Channel)+len(o.Thread)+len(o.Message)+len(o.Person))
	b = binary.AppendVarint(b, micros(a.At))
	for _, s := range [...]string{a.Identity, a.Key, o.Source, o.Channel, o.Thread, o.Message, o.Person} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if a.Note != "" { // which was not always there
		b = append(b, a.Note...)
	}
	return b
}

// unpackAsk reads what packAsk wrote into a.
func unpackAsk(b []byte, a *bellhop.Ask) error {
	at, n := binary.Varint(b)
	if n <= 0 {
		return errBadRow("an ask")
	}
	a.At = timeOf(at)
	b = b[n:]
	o := &a.Origin
	for _, s := range [...]*string{&a.Identity, &a.Key, &o.Source, &o.Channel, &o.Thread, &o.Message, &o.Person} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return errBadRow("an ask")
		}
		*s = string(b[n : n+int(size)])
		b = b[n+int(size):]
	}
	a.Note = string(b)
	return nil
}

// encodeArgs returns the arguments as JSON with sorted keys, nil for none.
func encodeArgs(a bellhop.Args) ([]byte, error) {
	if len(a) == 0 {
		return nil, nil
	}
	return json.Marshal(a)
}

func decodeArgs(b []byte) (bellhop.Args, error) {
	a := bellhop.Args{}
	if len(b) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, errBadRow("arguments")
	}
	return a, nil
}

func encodeWarnings(w []string) []byte {
	if len(w) == 0 {
		return nil
	}
	b, _ := json.Marshal(w) // texts can always be written
	return b
}

func errBadRow(what string) error {
	return bellhop.Errorf(bellhop.Internal, "the store is damaged: %s can't be read; restore a backup", what)
}
