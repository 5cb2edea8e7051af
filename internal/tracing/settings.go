package tracing

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Settings say where spans go.
type Settings struct {
	URL     string
	Headers http.Header
	Timeout time.Duration // of one request
}

// usualTimeout is how long one request may take unless the environment says.
const usualTimeout = 10 * time.Second

// FromEnvironment reads the variables of OpenTelemetry. ok is false when they
// ask for no traces; an error names the variable that is at fault, and never
// what it holds.
func FromEnvironment(get func(string) string) (s Settings, ok bool, err error) {
	if strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") || get("OTEL_TRACES_EXPORTER") == "none" {
		return s, false, nil
	}
	first := func(name string) (value, from string) {
		const prefix = "OTEL_EXPORTER_OTLP_"
		if v := get(prefix + "TRACES_" + name); v != "" {
			return v, prefix + "TRACES_" + name
		}
		return get(prefix + name), prefix + name
	}
	at, from := first("ENDPOINT")
	if at == "" {
		return s, false, nil
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return s, false, bellhop.Errorf(bellhop.Invalid, "%s is not an address such as http://localhost:4318", from)
	}
	if !strings.Contains(from, "TRACES") {
		u = u.JoinPath("v1", "traces")
	}
	s.URL, s.Timeout = u.String(), usualTimeout
	if protocol, from := first("PROTOCOL"); protocol != "" && !strings.HasPrefix(protocol, "http/") {
		return s, false, bellhop.Errorf(bellhop.Invalid, "%s asks for %.20q, and only HTTP with JSON is spoken; name a collector's address for OTLP over HTTP (port 4318)", from, protocol)
	}
	if text, from := first("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 || ms > 600_000 {
			return s, false, bellhop.Errorf(bellhop.Invalid, "%s is not a number of milliseconds from 1 to 600000", from)
		}
		s.Timeout = time.Duration(ms) * time.Millisecond
	}
	text, from := first("HEADERS")
	if s.Headers, ok = headers(text); !ok {
		return s, false, bellhop.Errorf(bellhop.Invalid, "%s is not a list such as name=value,name=value", from)
	}
	return s, true, nil
}

// headers reads name=value,name=value, the values percent-encoded.
func headers(text string) (http.Header, bool) {
	h := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !isToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, false
		}
		h.Set(name, value)
	}
	return h, true
}

// isToken reports whether a text may name a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}
