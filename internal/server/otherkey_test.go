package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestAKeyThatComesWithAnotherRequest is told of the run that it made, and does
// nothing; the same request, however it is written, is answered as it was.
func TestAKeyThatComesWithAnotherRequest(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(`
web: {listen: %q}
services:
  example:
    jobs:
      add: {run: echo, params: {n: {type: int}, to: {default: all}}}
      other: {run: echo, params: {n: {type: int}, to: {default: all}}}
    commands: [{command: "add [n]", args: {to: all}, job: add}]
`, addr))
	token, err := client(t, s).CreateToken(t.Context(), bellhop.Token{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for _, c := range []struct {
		name, key, path, body string
		status                int
	}{
		{"the first", "k", "example/add", `{"n": 1}`, 200},
		{"again", "k", "example/add", `{"n": 1}`, 200},
		{"written otherwise", "k", "runs", `{"service": "Example", "job": "add", "args": {"n": "01", "to": "all"}}`, 200},
		{"other arguments", "k", "example/add", `{"n": 2}`, 422},
		{"others than it takes by itself", "k", "example/add", `{"n": 1, "to": "bob"}`, 422},
		{"another job", "k", "example/other", `{"n": 1}`, 422},
		{"a retry", "k", "runs/000001/retry", ``, 422},
		{"another key", "o", "example/other", `{"n": 1}`, 200},
		{"words", "w", "runs", `{"text": "example add 1"}`, 200},
		{"words again", "w", "runs", `{"text": "example  add 01"}`, 200},
		{"other words", "w", "runs", `{"text": "example add 2"}`, 422},
		{"retry", "r", "runs/000001/retry", ``, 200},
		{"retry again", "r", "runs/000001/retry", ``, 200},
		{"with other arguments", "r", "runs/000001/retry", `{"args": {"n": "2"}}`, 422},
		{"of another run", "r", "runs/000002/retry", ``, 422},
	} {
		status, body := ask(c.key, c.path+wait(c.path), c.body)
		if status != c.status {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
		if status == 422 && (!strings.Contains(body, `"detail":"the key of this request was used before, for 00000`) || !strings.Contains(body, `"code":"conflict"`)) {
			t.Errorf("%s: %s", c.name, body)
		}
	}
	runs, err := client(t, s).Runs(t.Context(), bellhop.RunSearch{}, false)
	if err != nil || len(runs.Runs) != 4 {
		t.Errorf("%d runs, %v", len(runs.Runs), err)
	}
}

// wait has what is asked for by its name done before it is answered.
func wait(path string) string {
	if strings.HasPrefix(path, "runs") {
		return ""
	}
	return "?wait=30s"
}
