package bellhop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
)

func TestRunIDsReadBackAsTheyWereSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := bellhop.RunID(rapid.Int64Range(1, 1<<63-1).Draw(t, "id"))
		s := id.String()
		for _, said := range []string{s, strings.ToUpper(s), strings.ReplaceAll(s, "0", "o"), strings.ReplaceAll(s, "1", "L")} {
			if got, err := bellhop.ParseRunID(said); err != nil || got != id {
				t.Fatalf("%q reads as %d, %v; want %d", said, got, err, id)
			}
		}
		if len(s) < 6 || s != strings.ToLower(s) {
			t.Fatalf("%d is said as %q", id, s)
		}
	})
}

func TestRunIDs(t *testing.T) {
	if got := bellhop.RunID(1).String(); got != "000001" {
		t.Errorf("1 is %q", got)
	}
	if got := bellhop.RunID(32).String(); got != "000010" {
		t.Errorf("32 is %q", got)
	}
	for _, bad := range []string{"", "1", "00001", "000000", "00000u", "00000é", "zzzzzzzzzzzzz", "00000000000001", "-00001", "00000 1"} {
		if id, err := bellhop.ParseRunID(bad); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q reads as %d, %v; want an Invalid error", bad, id, err)
		}
	}
}

func FuzzParseRunID(f *testing.F) {
	f.Add("00002a")
	f.Add("zzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := bellhop.ParseRunID(s)
		if err != nil {
			return
		}
		if back, err := bellhop.ParseRunID(id.String()); err != nil || back != id {
			t.Errorf("%q is %d, which is said as %s and reads as %d, %v", s, id, id, back, err)
		}
	})
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "deploys", "a-b_c9", strings.Repeat("a", 63)} {
		if err := bellhop.CheckName("job", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "A", "9a", "a b", "é", "a.b", strings.Repeat("a", 64)} {
		if err := bellhop.CheckName("job", bad); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v, want Invalid", bad, err)
		}
	}
	for _, word := range []string{"help", "HELP", "v1", "about", "yes", "status", "brokers", "bus", "reports"} {
		if !bellhop.Reserved(word) {
			t.Errorf("%q is not reserved", word)
		}
	}
	for _, word := range []string{"", "example", "hel", "elp", "deploys", " ", "help status"} {
		if bellhop.Reserved(word) {
			t.Errorf("%q is reserved", word)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", bellhop.Errorf(bellhop.Conflict, "thing: %w", cause))
	if got := bellhop.CodeOf(err); got != bellhop.Conflict {
		t.Errorf("code %q", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is out of reach")
	}
	if got := bellhop.CodeOf(cause); got != bellhop.Internal {
		t.Errorf("an unknown error has the code %q", got)
	}
	if got := bellhop.CodeOf(nil); got != "" {
		t.Errorf("no error has the code %q", got)
	}
}

func TestArgsKeepWhatWasWritten(t *testing.T) {
	var args bellhop.Args
	in := `{"a":1.10,"b":"x","c":true,"d":["1","2"],"e":[]}`
	if err := json.Unmarshal([]byte(in), &args); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"1.10","b":"x","c":"true","d":["1","2"],"e":[]}`; string(out) != want {
		t.Errorf("%s, want %s", out, want)
	}
	for _, bad := range []string{`{"a":null}`, `{"a":{}}`, `{"a":[[1]]}`, `{"a":[null]}`} {
		if err := json.Unmarshal([]byte(bad), new(bellhop.Args)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	sub := bellhop.Args{"d": bellhop.List("1", "2")}
	if !args.Contains(sub) || args.Contains(bellhop.Args{"d": bellhop.Text(`["1","2"]`)}) || !args.Equal(args) || args.Equal(sub) {
		t.Error("Contains or Equal is wrong")
	}
}

func FuzzArgs(f *testing.F) {
	f.Add([]byte(`{"a":1.10,"b":["x"]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var args, again bellhop.Args
		if json.Unmarshal(in, &args) != nil {
			return
		}
		out, err := json.Marshal(args)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		twice, _ := json.Marshal(again)
		if string(out) != string(twice) {
			t.Errorf("%s reads back as %s", out, twice)
		}
	})
}

func TestParams(t *testing.T) {
	dash := bellhop.Param{Name: "x", Type: bellhop.TypeInt, Dash: true, Min: "-5", Max: "10"}
	tests := []struct {
		name  string
		param bellhop.Param
		value bellhop.Value
		want  string // part of the error; "" = fine
	}{
		{"text", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.Text("anything $(id)"), ""},
		{"empty text", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.Text(""), ""},
		{"dash", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.Text("-rf"), "begins with -"},
		{"dash allowed", bellhop.Param{Name: "x", Type: bellhop.TypeString, Dash: true}, bellhop.Text("-rf"), ""},
		{"NUL", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.Text("a\x00b"), "NUL"},
		{"too short", bellhop.Param{Name: "x", Type: bellhop.TypeString, Min: "2"}, bellhop.Text("é"), "at least 2 characters, not 1"},
		{"too long for the environment", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.Text(strings.Repeat("x", 128_001)), "as: stdin"},
		{"long as file", bellhop.Param{Name: "x", Type: bellhop.TypeString, As: bellhop.AsFile}, bellhop.Text(strings.Repeat("x", 128_001)), ""},
		{"too long for all", bellhop.Param{Name: "x", Type: bellhop.TypeString, As: bellhop.AsFile}, bellhop.Text(strings.Repeat("x", 1<<20+1)), "the limit is 1048576"},
		{"int", bellhop.Param{Name: "x", Type: bellhop.TypeInt}, bellhop.Text("42"), ""},
		{"int of any size", bellhop.Param{Name: "x", Type: bellhop.TypeInt}, bellhop.Text("123456789012345678901234567890"), ""},
		{"int with underscore", bellhop.Param{Name: "x", Type: bellhop.TypeInt}, bellhop.Text("1_000"), "whole number"},
		{"not an int", bellhop.Param{Name: "x", Type: bellhop.TypeInt}, bellhop.Text("five"), `expects a whole number, not "five"`},
		{"below", dash, bellhop.Text("-6"), `at least -5, not "-6"`},
		{"at the edge", dash, bellhop.Text("-5"), ""},
		{"above", dash, bellhop.Text("11"), "at most 10"},
		{"number", bellhop.Param{Name: "x", Type: bellhop.TypeNumber}, bellhop.Text("1.5e3"), ""},
		{"huge exponent", bellhop.Param{Name: "x", Type: bellhop.TypeNumber}, bellhop.Text("1e999999999"), "expects a number"},
		{"fraction", bellhop.Param{Name: "x", Type: bellhop.TypeNumber}, bellhop.Text("1/2"), "expects a number"},
		{"bool", bellhop.Param{Name: "x", Type: bellhop.TypeBool}, bellhop.Text("Yes"), ""},
		{"not a bool", bellhop.Param{Name: "x", Type: bellhop.TypeBool}, bellhop.Text("maybe"), "true or false"},
		{"enum", bellhop.Param{Name: "x", Type: bellhop.TypeEnum, Enum: []string{"a", "b"}}, bellhop.Text("b"), ""},
		{"not in enum", bellhop.Param{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging", "production"}}, bellhop.Text("prod"), `env expects one of staging, production, not "prod"`},
		{"pattern is anchored", bellhop.Param{Name: "x", Type: bellhop.TypePattern, Pattern: "a|b"}, bellhop.Text("ab"), "something like a|b"},
		{"pattern", bellhop.Param{Name: "x", Type: bellhop.TypePattern, Pattern: "[a-z]+"}, bellhop.Text("ab"), ""},
		{"duration", bellhop.Param{Name: "x", Type: bellhop.TypeDuration, Max: "2d"}, bellhop.Text("1d12h"), ""},
		{"long duration", bellhop.Param{Name: "x", Type: bellhop.TypeDuration, Max: "2d"}, bellhop.Text("49h"), "at most 2d"},
		{"date", bellhop.Param{Name: "x", Type: bellhop.TypeDate, Min: "2026-01-01"}, bellhop.Text("2026-02-28"), ""},
		{"no date", bellhop.Param{Name: "x", Type: bellhop.TypeDate}, bellhop.Text("2026-02-30"), "a date such as"},
		{"early date", bellhop.Param{Name: "x", Type: bellhop.TypeDate, Min: "2026-01-01"}, bellhop.Text("2025-12-31"), "at least 2026-01-01"},
		{"json", bellhop.Param{Name: "x", Type: bellhop.TypeJSON}, bellhop.Text(`{"a":1}`), ""},
		{"no json", bellhop.Param{Name: "x", Type: bellhop.TypeJSON}, bellhop.Text(`{a}`), "expects JSON"},
		{"list", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List("a", "b c"), ""},
		{"empty list", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List(), ""},
		{"text for a list", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.Text("a"), "expects a list"},
		{"list for a text", bellhop.Param{Name: "x", Type: bellhop.TypeString}, bellhop.List("a"), "not a list"},
		{"a list too long as a whole", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List(slices.Repeat([]string{"a"}, 32_001)...), "all of its words together"},
		{"a list too long once written", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List(strings.Repeat("\x01", 30_000)), "all of its words together"},
		{"a list just short enough", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List(slices.Repeat([]string{"a"}, 31_999)...), ""},
		{"dash in a list", bellhop.Param{Name: "x", Type: bellhop.TypeList}, bellhop.List("a", "-b"), "begins with -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.param.Check(tt.value)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || bellhop.CodeOf(err) != bellhop.Invalid):
				t.Errorf("%v, want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"90s": 90 * time.Second, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := bellhop.ParseDuration(in); err != nil || got != want {
			t.Errorf("%q is %s, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "1d-2h", "1.5d", "1d48h", "5", "2 d", "999999999d"} {
		if got, err := bellhop.ParseDuration(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

func TestBind(t *testing.T) {
	def := bellhop.Text("staging")
	job := bellhop.Job{Service: "deploys", Name: "deploy", Params: []bellhop.Param{
		{Name: "env", Type: bellhop.TypeString, Default: &def}, {Name: "sha", Type: bellhop.TypeString},
	}}
	got, err := job.Bind(bellhop.Args{"sha": bellhop.Text("abc")})
	if err != nil || !got.Equal(bellhop.Args{"env": def, "sha": bellhop.Text("abc")}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []bellhop.Args{nil, {"sha": bellhop.Text("-x")}, {"sha": bellhop.Text("a"), "shb": bellhop.Text("b")}} {
		if _, err := job.Bind(bad); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%v binds: %v", bad, err)
		}
	}
}

func TestDigestIsOfWhatChangesTheWork(t *testing.T) {
	a := bellhop.Job{Service: "s", Name: "j", Spec: json.RawMessage(`{"script":"echo"}`), Help: "one"}
	b := a
	b.Help = "two"
	if a.Digest() != b.Digest() {
		t.Error("help changes the digest")
	}
	b.Spec = json.RawMessage(`{"script":"echo x"}`)
	if a.Digest() == b.Digest() || len(a.Digest()) != 32 {
		t.Error("the script does not change the digest")
	}
}
