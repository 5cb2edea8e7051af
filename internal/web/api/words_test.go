package api

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestABodyThatIsNotAsExpected is told of by the names that the client sent,
// not in words of Go's.
func TestABodyThatIsNotAsExpected(t *testing.T) {
	const begin = "the request's body is not the JSON expected here: "
	for body, want := range map[string]string{
		`{"txt": "x"}`:                   `there is no field "txt" here; the API's description (GET /v1/openapi.json) has those that there are`,
		`{"text": 1}`:                    `text is a number; expected a text`,
		`{"text": ["x"]}`:                `text is a list; expected a text`,
		`{"args": "x"}`:                  `args is a text; expected an object`,
		`{"args": {"n": {}}}`:            `an argument is {}; expected a text, a number, true or false, or a list of those`,
		`[]`:                             `it is a list; expected an object`,
		``:                               `it is empty`,
		`{"text": "x"`:                   `it ends too early`,
		`hello`:                          `it stops being JSON at byte 1`,
		`{"text": "x"} {"text": "y"}`:    `something follows it`,
		`{"text": "x", "text": "y"}`:     `"text" stands in it twice`,
		`{"text": "x", "Text": "y"}`:     `"Text" stands in it twice`,
		"{\"text\": \"\xff\"}":           `it is not UTF-8`,
		`{"text": "x", "service": true}`: `service is true or false; expected a text`,
	} {
		_, err := readBody[askBody](httptest.NewRequest("POST", "/v1/runs", strings.NewReader(body)))
		if bellhop.CodeOf(err) != bellhop.Invalid || err.Error() != begin+want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	_, err := readBody[bellhop.Hold](httptest.NewRequest("POST", "/v1/pause", strings.NewReader(`{"id": "x"}`)))
	if err == nil || strings.Contains(err.Error(), "Go") || strings.Contains(err.Error(), "json:") || !strings.Contains(err.Error(), "id is a text; expected a whole number") {
		t.Error(err)
	}
}
