package mask_test

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/mask"
)

// encodings are ways in which a program may show a value.
var encodings = []func(string) string{
	func(v string) string { return v },
	func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	func(v string) string { return base64.RawStdEncoding.EncodeToString([]byte(v)) },
	func(v string) string { return base64.URLEncoding.EncodeToString([]byte(v)) },
	func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v + "\n")) },
	url.QueryEscape,
	url.PathEscape,
	func(v string) string { b, _ := json.Marshal(v); return string(b[1 : len(b)-1]) },
	func(v string) string { b, _ := json.Marshal(v); return string(b) },
}

// FuzzNothingGetsOut shows values in random encodings, amid other text, in
// random pieces: what comes out has none of them, is the same however it was
// cut, and has all the rest.
func FuzzNothingGetsOut(f *testing.F) {
	f.Add("hunter2x", "another secret", "around", uint64(1))
	f.Add("aaaaaaaa", "aaaaaaaab", "aaaa", uint64(2))
	f.Add("-----BEGIN KEY-----\nabcdef\n", "a/b+c=d&e", "\n", uint64(3))
	f.Add("üñí©ødé", "\xff\xfe\xfd\xfc\xfb\xfa", "***", uint64(4))
	f.Fuzz(func(t *testing.T, one, two, around string, seed uint64) {
		if len(one)+len(two)+len(around) > 2000 || strings.Contains(one+two, "*") || strings.Contains(around, "*") {
			return // *** itself would be taken for a value
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		var text strings.Builder
		var shown []string
		for range 1 + rnd.IntN(8) {
			text.WriteString(around)
			v := []string{one, two}[rnd.IntN(2)]
			if !mask.Masked(v) {
				continue
			}
			part := encodings[rnd.IntN(len(encodings))](v)
			shown = append(shown, part)
			text.WriteString(part)
		}
		m := mask.New(one, two)
		got := inPieces(m, text.String(), rnd)
		if whole := m.Text(text.String()); got != whole {
			t.Fatalf("in pieces %q, as a whole %q", got, whole)
		}
		for _, part := range shown {
			if strings.Contains(strings.ReplaceAll(got, mask.Stars, "\x00*\x00"), part) {
				t.Fatalf("%q is in %q", part, got)
			}
		}
		if m == nil && got != text.String() {
			t.Fatalf("nothing is secret, and %q became %q", text.String(), got)
		}
	})
}

// inPieces masks a text that comes in random pieces.
func inPieces(m *mask.Masker, text string, rnd *rand.Rand) string {
	s := m.Stream()
	var out strings.Builder
	for text != "" {
		n := 1 + rnd.IntN(min(len(text), 1+rnd.IntN(20)))
		out.Write(s.Write([]byte(text[:n])))
		text = text[n:]
	}
	out.Write(s.Flush())
	return out.String()
}

// FuzzStreamAgreesWithTheReference compares with the plainest way to say what
// is hidden: every byte that belongs to any value.
func FuzzStreamAgreesWithTheReference(f *testing.F) {
	f.Add("abcabc", "cabcab", "abcabcabcabxabcab", uint64(1))
	f.Add("aaaaaa", "aaaaaaaa", "aaaaaaaaaaaaaaabaaaaab", uint64(2))
	f.Fuzz(func(t *testing.T, one, two, text string, seed uint64) {
		if len(one)+len(two)+len(text) > 500 {
			return
		}
		m := mask.New(one, two)
		got := inPieces(m, text, rand.New(rand.NewPCG(seed, 0)))
		if want := reference(mask.Forms(one, two), text); got != want {
			t.Fatalf("%q becomes %q, want %q", text, got, want)
		}
	})
}

func reference(values []string, text string) string {
	hidden := make([]bool, len(text))
	for _, v := range values {
		for i := 0; i+len(v) <= len(text); i++ {
			if text[i:i+len(v)] == v {
				for k := range len(v) {
					hidden[i+k] = true
				}
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(mask.Stars)
		}
	}
	return out.String()
}
