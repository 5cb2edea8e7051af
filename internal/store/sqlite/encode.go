package sqlite

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Small numbers for words. They are in files that exist: a word keeps its
// number for ever, and a new one goes to the end.
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
func numberOf[W ~string](words []W, w W) int64 { return int64(slices.Index(words, w)) }

// wordOf returns the word with that number; numbers that a later Bellhop wrote
// give the zero word.
func wordOf[W ~string](words []W, n int64) W {
	if n < 0 || n >= int64(len(words)) {
		var zero W
		return zero
	}
	return words[n]
}

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

// textOrNull stores the empty text as NULL, which takes no room.
func textOrNull(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func blobOrNull(b []byte) driver.Value {
	if len(b) == 0 {
		return nil
	}
	return b
}

// numberOrNull stores 0 as NULL.
func numberOrNull(n int64) driver.Value {
	if n == 0 {
		return nil
	}
	return n
}

func exitOrNull(status *int) driver.Value {
	if status == nil {
		return nil
	}
	return int64(*status)
}

// packAsk encodes what of an ask has no column of its own: when, then
// identity, key and origin, each as a length and its bytes; the rest is its note.
func packAsk(a *bellhop.Ask) []byte {
	o := &a.Origin
	b := make([]byte, 0, 32+len(a.Identity)+len(a.Key)+len(o.Source)+len(o.Channel)+len(o.Thread)+len(o.Message)+len(o.Person)+len(o.Server))
	b = binary.AppendVarint(b, micros(a.At))
	for _, s := range [...]string{a.Identity, a.Key, o.Source, o.Channel, o.Thread, o.Message, o.Person, o.Server} {
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
	for _, s := range [...]*string{&a.Identity, &a.Key, &o.Source, &o.Channel, &o.Thread, &o.Message, &o.Person, &o.Server} {
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

// encodeArgs returns the arguments as JSON with sorted keys, nil for none. It
// is written out because each submission comes through here, and reflection
// takes longer than the rest of what is done for it outside of the writer.
func encodeArgs(a bellhop.Args) ([]byte, error) {
	if len(a) == 0 {
		return nil, nil
	}
	b := make([]byte, 0, 64)
	for i, name := range slices.Sorted(maps.Keys(a)) {
		b = append(appendText(append(b, "{,"[min(i, 1)]), name), ':')
		v := a[name]
		if !v.IsList() {
			b = appendText(b, v.Text)
			continue
		}
		b = append(b, '[')
		for j, word := range v.List {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendText(b, word)
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// appendText writes a JSON string; what is not plain, encoding/json writes.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // texts can always be written
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
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

// hashOf shortens a key that is compared and never read back; the empty key
// has the zero hash.
func hashOf(key string) (h hash) {
	if key != "" {
		sum := sha256.Sum256([]byte(key))
		copy(h[:], sum[:])
	}
	return h
}

// blob is how a hash is stored.
func (h hash) blob() driver.Value {
	if h == (hash{}) {
		return nil
	}
	return h[:]
}

// keyOf is the form in which the key of an ask is stored. A long one is
// shortened, but keeps its beginning, by which keys of one source are
// neighbours in the table's tree: a few of its pages change with each commit,
// not one for each key.
func keyOf(key string) string {
	const whole, beginning = 48, 24
	if len(key) <= whole {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return key[:beginning] + string(rune(0x1f)) + hex.EncodeToString(sum[:16]) // longer than any whole one
}

func holdKinds() []bellhop.HoldKind {
	return []bellhop.HoldKind{"", bellhop.HoldSuppress, bellhop.HoldPause}
}

func encodeWarnings(w []string) []byte {
	if len(w) == 0 {
		return nil
	}
	b, _ := json.Marshal(w) // texts can always be written
	return b
}
