package slack

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"encoding/json"

	"github.com/bellhop-io/bellhop"
)

type noNames struct{}

func (noNames) userName(string) string    { return "" }
func (noNames) channelName(string) string { return "" }

func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"<@U1>", "<@U1|bob> a &lt;b&gt; &amp;amp;", "<https://x|y>", "<", "<a\n>", "<!date^1^{date}|then>", "<#C1|>", "< <b>", "&amp;lt;", "<<<>>>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := undo(s, noNames{})
		if len(out) > len(s)+8*strings.Count(s, "<") {
			t.Errorf("%q became %q", s, out)
		}
		// What a person typed, and Slack escaped, comes back.
		if typed := strings.ReplaceAll(s, "\u00a0", " "); undo(escape(s), noNames{}) != typed {
			t.Errorf("%q came back as %q", s, undo(escape(s), noNames{}))
		}
	})
}

func FuzzHostileText(f *testing.F) {
	for _, s := range []string{"<!channel>", "@here", "```", "````", "a\x1b[31mb", "\u202e@EVERYONE", "&lt;!here&gt;", "@@channel", "@\u200bhere"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := plain(s)
		if strings.ContainsAny(p, "<>\x1b\x00\r") || !utf8.ValidString(p) {
			t.Errorf("%q is told as %q", s, p)
		}
		low := strings.ToLower(p)
		for _, w := range []string{"@channel", "@here", "@everyone"} {
			if strings.Contains(low, w) {
				t.Errorf("%q is told as %q", s, p)
			}
		}
		if c := code(s); strings.Count(c, "```") != 2 || strings.ContainsAny(c, "<>\x1b") {
			t.Errorf("%q leaves its block: %q", s, c)
		}
		if got := strings.Join(split(s, 7), ""); strings.ReplaceAll(got, "\n", "") != strings.ReplaceAll(s, "\n", "") {
			t.Errorf("%q was divided into %q", s, split(s, 7))
		}
	})
}

func FuzzBlocks(f *testing.F) {
	for _, s := range []string{"[]", `[{"type":"a"}]`, `[{"type":"rich_text","elements":[{"type":"broadcast","range":"here"}]}]`, `[{"type":"x","text":"<!here> \u003c!channel>"}]`, "[[[["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readBlocks(b)
		if err != nil {
			return
		}
		for _, raw := range list {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatalf("%s is no JSON", raw)
			}
			checkTame(t, v)
		}
	})
}

func checkTame(t *testing.T, v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			checkTame(t, e)
		}
	case map[string]any:
		if k := v["type"]; k == "user" || k == "broadcast" || k == "usergroup" {
			t.Errorf("it calls people: %v", v)
		}
		for _, e := range v {
			checkTame(t, e)
		}
	case string:
		if strings.Contains(v, "<!") || strings.Contains(v, "<@") {
			t.Errorf("it calls people: %q", v)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("application/json", "1", "v0=00", []byte(`{"type":"event_callback","event":{}}`))
	f.Add("application/x-www-form-urlencoded", "x", "", []byte(`payload=%7B%7D`))
	f.Add("application/x-www-form-urlencoded; charset=x", "-9223372036854775808", "v0=", []byte(`command=%2Fb&text=a`))
	f.Add("", "9223372036854775807", "v0=", []byte(`{`))
	f.Fuzz(func(t *testing.T, kind, stamp, sig string, body []byte) {
		h := http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {sig}}
		if verify("secret", h, body, time.Unix(1_700_000_000, 0)) == nil {
			t.Errorf("a signature was guessed: %q %q %q", stamp, sig, body)
		}
		in, _, err := parse(kind, body)
		if err == nil && in.kind != "" && !json.Valid(in.payload) {
			t.Errorf("%q brings %q", body, in.payload)
		}
	})
}

func FuzzIncoming(f *testing.F) {
	for _, s := range []string{
		`{"type":"block_actions","user":{"id":"U1"},"actions":[{"action_id":"bellhop_ask:a","value":"x"}]}`,
		`{"type":"view_submission","view":{"callback_id":"bellhop_fill","state":{"values":{"a":{"value":{"value":null,"selected_option":null}}}}}}`,
		`{"event":{"type":"message","channel":{"id":"C1"},"user":7}}`, `{"user":"U1","channel":{}}`, `[]`, `null`,
	} {
		f.Add([]byte(s))
	}
	params := []bellhop.Param{{Name: "a", Type: bellhop.TypeInt}, {Name: "b", Type: bellhop.TypeList}, {Name: "c", Type: bellhop.TypeString}}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = incoming{"interactive", b}.lane()
		var in interaction
		if json.Unmarshal(b, &in) != nil || in.View == nil {
			return
		}
		form, faults := readForm(bellhop.Question{Missing: params}, in.View.State.Values)
		for _, p := range params {
			v, ok := form[p.Name]
			if ok && p.Check(v) != nil || ok == (faults[p.Name] != "") {
				t.Errorf("%s: %+v, fault %q", p.Name, v, faults[p.Name])
			}
		}
	})
}

func FuzzStamp(f *testing.F) {
	f.Add("1700000000.000100")
	f.Add("-1.x")
	f.Add("99999999999999999999")
	f.Fuzz(func(t *testing.T, s string) {
		if at := stamp(s); !at.IsZero() && stamp(stampOf(at)) != at {
			t.Errorf("%q is %v, and %q", s, at, stampOf(at))
		}
	})
}
