package tracing_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/bellhop-io/bellhop/internal/tracing"
)

func TestFromEnvironment(t *testing.T) {
	const e = "OTEL_EXPORTER_OTLP_"
	for name, c := range map[string]struct {
		env   string // NAME=VALUE lines
		url   string // "" = none
		fault string // in the error
	}{
		"nothing":                {"", "", ""},
		"a collector":            {e + "ENDPOINT=http://localhost:4318", "http://localhost:4318/v1/traces", ""},
		"with a slash":           {e + "ENDPOINT=http://localhost:4318/", "http://localhost:4318/v1/traces", ""},
		"below a path":           {e + "ENDPOINT=https://example.com/otlp", "https://example.com/otlp/v1/traces", ""},
		"traces elsewhere":       {e + "ENDPOINT=http://a\n" + e + "TRACES_ENDPOINT=http://b/x", "http://b/x", ""},
		"switched off":           {e + "ENDPOINT=http://a\nOTEL_SDK_DISABLED=true", "", ""},
		"no traces":              {e + "ENDPOINT=http://a\nOTEL_TRACES_EXPORTER=none", "", ""},
		"no scheme":              {e + "ENDPOINT=localhost:4318", "", e + "ENDPOINT is not an address"},
		"a scheme of others":     {e + "ENDPOINT=ftp://a", "", e + "ENDPOINT is not an address"},
		"no host":                {e + "ENDPOINT=http://", "", e + "ENDPOINT is not an address"},
		"not a URL":              {e + "TRACES_ENDPOINT=http://a:x", "", e + "TRACES_ENDPOINT is not an address"},
		"HTTP with protobuf":     {e + "ENDPOINT=http://a\n" + e + "PROTOCOL=http/protobuf", "http://a/v1/traces", ""}, // what others of the host say; collectors take both
		"gRPC":                   {e + "ENDPOINT=http://a\n" + e + "PROTOCOL=grpc", "", "only HTTP with JSON"},
		"a timeout":              {e + "ENDPOINT=http://a\n" + e + "TIMEOUT=1500", "http://a/v1/traces", ""},
		"a timeout of its own":   {e + "ENDPOINT=http://a\n" + e + "TRACES_TIMEOUT=0", "", e + "TRACES_TIMEOUT is not a number"},
		"headers that are none":  {e + "ENDPOINT=http://a\n" + e + "HEADERS=hunter2", "", e + "HEADERS is not a list"},
		"a header with a line":   {e + "ENDPOINT=http://a\n" + e + "HEADERS=a=b%0d%0ac", "", e + "HEADERS is not a list"},
		"a header with no name":  {e + "ENDPOINT=http://a\n" + e + "HEADERS==hunter2", "", e + "HEADERS is not a list"},
		"a header badly escaped": {e + "ENDPOINT=http://a\n" + e + "HEADERS=a=%zzhunter2", "", e + "HEADERS is not a list"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for line := range strings.SplitSeq(c.env, "\n") {
				k, v, _ := strings.Cut(line, "=")
				env[k] = v
			}
			s, ok, err := tracing.FromEnvironment(func(k string) string { return env[k] })
			if s.URL != c.url && ok || ok != (c.url != "") {
				t.Errorf("it sends to %q (%t)", s.URL, ok)
			}
			if (err == nil) != (c.fault == "") || err != nil && (!strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("the error is %v, want %q", err, c.fault)
			}
			if want := map[bool]time.Duration{true: 1500 * time.Millisecond, false: 10 * time.Second}[env[e+"TIMEOUT"] != ""]; ok && s.Timeout != want {
				t.Errorf("the timeout is %s", s.Timeout)
			}
		})
	}
	s, _, _ := tracing.FromEnvironment(func(k string) string {
		return map[string]string{e + "ENDPOINT": "http://a", e + "HEADERS": "Authorization=Bearer%20x, X-Scope = a=b ,"}[k]
	})
	if s.Headers.Get("Authorization") != "Bearer x" || s.Headers.Get("X-Scope") != "a=b" || len(s.Headers) != 2 {
		t.Errorf("the headers are %v", s.Headers)
	}
}

var form = regexp.MustCompile(`(?s)^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$`)

// FuzzTraceparent reads what anybody may send.
func FuzzTraceparent(f *testing.F) {
	for _, s := range []string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", "", "00-", strings.Repeat("0", 500),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := tracing.From(http.Header{"Traceparent": {text}})
		if !got.IsValid() {
			return
		}
		if !form.MatchString(text) || !strings.Contains(text, got.TraceID().String()) || !strings.Contains(text, got.SpanID().String()) || got.TraceState().Len() != 0 {
			t.Errorf("%q is read as %v", text, got)
		}
	})
}

// FuzzHeaders never gives what net/http would not send.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"a=b", "a=b,c=d%20e", "=", ",", "a", "a=%0a", "ä=b", "a b=c", "host=x"} {
		f.Add(s)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, text string) {
		h, ok := tracing.Headers(text)
		if !ok || len(text) > 1000 {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil && strings.Contains(err.Error(), "invalid header") {
			t.Errorf("%q gives %v: %v", text, h, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	})
}

func TestTraceparent(t *testing.T) {
	const ok = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		values []string
		want   bool
	}{
		"one": {[]string{ok}, true}, "none": {nil, false}, "two": {[]string{ok, ok}, false}, "too long for its version": {[]string{ok + "-x"}, false},
		"a later version": {[]string{"01" + ok[2:] + "-x"}, true}, "no version": {[]string{"ff" + ok[2:]}, false}, "upper case": {[]string{strings.ToUpper(ok)}, false},
		"no trace": {[]string{"00-" + strings.Repeat("0", 32) + ok[35:]}, false}, "no span": {[]string{ok[:36] + strings.Repeat("0", 16) + "-01"}, false},
	} {
		h := http.Header{"Traceparent": c.values, "Tracestate": {"a=b"}}
		if got := tracing.From(h); got.IsValid() != c.want || c.want && (got.TraceID() != (trace.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c}) || got.TraceState().Len() != 0) {
			t.Errorf("%s: it is read as %v", name, got)
		}
	}
}
