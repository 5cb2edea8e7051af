package tracing

import (
	"encoding/json"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The JSON form of OTLP (opentelemetry-proto, trace/v1): ids are hex, numbers
// of 64 bits strings, enums numbers, empty fields left out.
type (
	exportRequest struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resourceOf   `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resourceOf struct {
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	scopeSpans struct {
		Scope scope      `json:"scope"`
		Spans []spanJSON `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	spanJSON struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		Parent     string     `json:"parentSpanId,omitempty"`
		Flags      uint32     `json:"flags"`
		Name       string     `json:"name"`
		Kind       int        `json:"kind"`
		Start      string     `json:"startTimeUnixNano"`
		End        string     `json:"endTimeUnixNano"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Links      []linkJSON `json:"links,omitempty"`
		Status     *status    `json:"status,omitempty"`
	}
	linkJSON struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		Flags      uint32     `json:"flags"`
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	status struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	anyValue struct {
		String *string  `json:"stringValue,omitempty"`
		Bool   *bool    `json:"boolValue,omitempty"`
		Int    string   `json:"intValue,omitempty"`
		Double *float64 `json:"doubleValue,omitempty"`
	}
)

// encode words spans of one provider. They are of one resource and one scope.
func encode(spans []sdk.ReadOnlySpan) ([]byte, error) {
	r := resourceSpans{ScopeSpans: []scopeSpans{{}}}
	for i, s := range spans {
		if i == 0 {
			r.Resource.Attributes = encodeAll(s.Resource().Attributes())
			r.ScopeSpans[0].Scope = scope{s.InstrumentationScope().Name, s.InstrumentationScope().Version}
		}
		r.ScopeSpans[0].Spans = append(r.ScopeSpans[0].Spans, encodeSpan(s))
	}
	return json.Marshal(exportRequest{[]resourceSpans{r}})
}

func encodeSpan(s sdk.ReadOnlySpan) spanJSON {
	sc := s.SpanContext()
	out := spanJSON{
		TraceID: sc.TraceID().String(), SpanID: sc.SpanID().String(), Flags: flags(sc, s.Parent().IsRemote()), Name: s.Name(), Kind: int(s.SpanKind()),
		Start: nanos(s.StartTime()), End: nanos(s.EndTime()), Attributes: encodeAll(s.Attributes()),
	}
	if p := s.Parent(); p.SpanID().IsValid() {
		out.Parent = p.SpanID().String()
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, linkJSON{l.SpanContext.TraceID().String(), l.SpanContext.SpanID().String(), flags(l.SpanContext, l.SpanContext.IsRemote()), encodeAll(l.Attributes)})
	}
	switch s.Status().Code { // OTLP numbers them otherwise than the SDK
	case codes.Ok:
		out.Status = &status{Code: 1}
	case codes.Error:
		out.Status = &status{Code: 2, Message: s.Status().Description}
	}
	return out
}

// flags are those of W3C, with the two bits of OTLP that say whether what they
// are about is from elsewhere.
func flags(sc trace.SpanContext, remote bool) uint32 {
	const known, is = 1 << 8, 1 << 9
	f := uint32(sc.TraceFlags()) | known
	if remote {
		f |= is
	}
	return f
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func encodeAll(list []attribute.KeyValue) (out []keyValue) {
	for _, kv := range list {
		out = append(out, keyValue{string(kv.Key), encodeValue(kv.Value)})
	}
	return out
}

func encodeValue(v attribute.Value) (a anyValue) {
	switch v.Type() {
	case attribute.BOOL:
		b := v.AsBool()
		a.Bool = &b
	case attribute.INT64:
		a.Int = strconv.FormatInt(v.AsInt64(), 10)
	case attribute.FLOAT64:
		f := v.AsFloat64()
		a.Double = &f
	default:
		s := v.String()
		a.String = &s
	}
	return a
}
