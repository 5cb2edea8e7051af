package mask_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/mask"
)

const token = "s3cr3t/to+ken=&<ü>\"'"

func TestTextMasks(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	quoted, _ := json.Marshal(token)
	long := strings.Repeat("0123456789abcdef", 8)
	for name, c := range map[string]struct {
		values     []string
		text, want string
	}{
		"nothing known":             {nil, "hunter2x", "hunter2x"},
		"a value":                   {[]string{"hunter2x"}, "it is hunter2x.", "it is ***."},
		"all there is":              {[]string{"hunter2x"}, "hunter2x", "***"},
		"twice":                     {[]string{"hunter2x"}, "hunter2x hunter2x", "*** ***"},
		"side by side":              {[]string{"hunter2x"}, "hunter2xhunter2x", "***"},
		"a beginning":               {[]string{"hunter2x"}, "hunter2 hunter", "hunter2 hunter"},
		"begun anew":                {[]string{"hunter2x"}, "hunterhunter2x", "hunter***"},
		"too short":                 {[]string{"12345"}, "12345", "12345"},
		"just long enough":          {[]string{"123456"}, "0123456", "0***"},
		"five letters of two bytes": {[]string{"üüüüü"}, "üüüüü", "üüüüü"},
		"one within the other":      {[]string{"hunter2", "the hunter2 of old"}, "the hunter2 of new, the hunter2 of old", "the *** of new, ***"},
		"two that overlap":          {[]string{"abcdef", "defghi"}, "xabcdefghix", "x***x"},
		"base64":                    {[]string{token}, b64([]byte(token)), "***"},
		"base64, raw":               {[]string{token}, "x " + base64.RawStdEncoding.EncodeToString([]byte(token)) + " x", "x *** x"},
		"base64 for addresses":      {[]string{token}, base64.URLEncoding.EncodeToString([]byte(token)), "***"},
		"base64 of echo":            {[]string{token}, b64([]byte(token + "\n")), "***"},
		"base64 in lines":           {[]string{long}, b64([]byte(long))[:76] + "\n" + b64([]byte(long))[76:152] + "\n" + b64([]byte(long))[152:], "***"},
		"in an address":             {[]string{token}, "https://x/?t=" + url.QueryEscape(token), "https://x/?t=***"},
		"in a path":                 {[]string{token}, url.PathEscape(token), "***"},
		"in JSON":                   {[]string{token}, `{"t":` + string(quoted) + `}`, `{"t":"***"}`},
		"in JSON of ASCII":          {[]string{token}, `"s3cr3t/to+ken=&<\u00fc>\"'"`, `"***"`},
		"in a trace of sh":          {[]string{token}, `+ echo 's3cr3t/to+ken=&<ü>"'\'''`, `+ echo '***'`},
		"lines":                     {[]string{"first line\nsecond\nlast"}, "a first line b second c last", "a *** b *** c last"},
		"lines of Windows":          {[]string{"first line\r\nsecond"}, "first line\nsecond", "***\n***"},
		"without its line's end":    {[]string{"first line\n"}, "first line\n", "***"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mask.New(c.values...).Text(c.text); got != c.want {
				t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
			}
		})
	}
}

// TestPasswordWithinBase64 is curl -u and what it prints of itself: the name
// before moves the letters.
func TestPasswordWithinBase64(t *testing.T) {
	m := mask.New("hunter2-hunter2")
	for _, user := range []string{"a:", "ab:", "abc:", "someone@example.com:"} {
		text := m.Text("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+"hunter2-hunter2")))
		if !strings.Contains(text, mask.Stars) || len(text) > len("Authorization: Basic ")+base64.StdEncoding.EncodedLen(len(user))+8 {
			t.Errorf("after %s: %s", user, text)
		}
	}
}

func TestStreamHoldsBackOnlyBeginnings(t *testing.T) {
	s := mask.New("hunter2x").Stream()
	for _, step := range []struct{ in, out string }{
		{"all of a line\n", "all of a line\n"},
		{"no end", "no end"},
		{"what is it? h", "what is it? "},
		{"", ""},
		{"unter2", ""},
		{"y", "hunter2y"},
		{"hunter", ""},
		{"2x", "***"},
		{"hunt", ""},
	} {
		if got := string(s.Write([]byte(step.in))); got != step.out {
			t.Errorf("after %q comes %q, want %q", step.in, got, step.out)
		}
	}
	if got := string(s.Flush()); got != "hunt" {
		t.Errorf("at the end comes %q", got)
	}
}

func TestStreamKeepsNoReference(t *testing.T) {
	s := mask.New("hunter2x").Stream()
	p := []byte("hunter")
	s.Write(p)
	copy(p, "xxxxxx")
	if got := string(s.Write([]byte("2x"))); got != mask.Stars {
		t.Errorf("it became %q", got)
	}
}

func TestSetIsReplaced(t *testing.T) {
	var s mask.Set
	if got := s.Text("hunter2x"); got != "hunter2x" {
		t.Errorf("an empty set: %q", got)
	}
	s.Replace([]string{"hunter2x"})
	if got := s.Bytes([]byte("hunter2x and other")); string(got) != "*** and other" {
		t.Errorf("masked: %q", got)
	}
	s.Replace([]string{"another"})
	if got := s.Text("hunter2x another"); got != "hunter2x ***" {
		t.Errorf("replaced: %q", got)
	}
}

// TestLongValuesCostLittle: overlapping matches must not multiply.
func TestLongValuesCostLittle(t *testing.T) {
	m := mask.New(strings.Repeat("a", 32<<10))
	if got := m.Text(strings.Repeat("a", 4<<20)); got != mask.Stars {
		t.Errorf("%d bytes are left", len(got))
	}
}

func BenchmarkStream(b *testing.B) {
	m := mask.New("ghp_16C7e42F292c6912E7710c838347Ae178B4a", token)
	text := bytes.Repeat([]byte("a line of a log as it may be, with 4711 and more of the same kind\n"), 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s := m.Stream()
		s.Write(text)
		s.Flush()
	}
}
