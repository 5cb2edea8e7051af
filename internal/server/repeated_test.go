package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// TestARepeatedKeyAfterItsOutputWasForgotten is answered with the run, which
// says so; and after the run itself was, with a word that it was done. Never is
// it done again.
func TestARepeatedKeyAfterItsOutputWasForgotten(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(`
web: {listen: %q}
services:
  example:
    jobs:
      brief: {run: "echo hello; echo aside >&2", keep: {output: 1s, runs: never}}
      gone: {run: echo hello, keep: {output: 1s, runs: 1s}}
`, addr))
	token, err := client(t, s).CreateToken(t.Context(), bellhop.Token{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Run struct {
			ID              string
			State           string
			OutputForgotten bool `json:"output_forgotten"`
		}
		Stdout, Detail, Code string
		Status               int
	}
	ask := func(job string) (int, answer) {
		t.Helper()
		r, err := http.NewRequest("POST", "http://"+addr+"/v1/example/"+job+"?wait=30s", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", job)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var a answer
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatal(string(b), err)
		}
		return resp.StatusCode, a
	}
	for _, job := range []string{"gone", "brief"} {
		if status, a := ask(job); status != 200 || a.Stdout != "hello\n" || a.Run.OutputForgotten {
			t.Fatalf("%s: %d %+v", job, status, a)
		}
	}
	var status int
	var a answer
	until := func(job string, over func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && !over(); {
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			status, a = ask(job)
		}
	}
	until("gone", func() bool { return a.Detail != "" })
	if status != http.StatusGone || a.Code != "not_found" || !strings.Contains(a.Detail, "000001, and is not kept any more") {
		t.Errorf("the run is gone: %d %+v", status, a)
	}
	until("brief", func() bool { return a.Run.OutputForgotten })
	if status != 200 || a.Run.ID != "000002" || a.Run.State != "succeeded" || !a.Run.OutputForgotten || a.Stdout != "" {
		t.Errorf("its output is gone: %d %+v", status, a)
	}
	if page, err := client(t, s).Runs(t.Context(), bellhop.RunSearch{}, false); err != nil || len(page.Runs) != 1 {
		t.Errorf("there are %d runs, %v", len(page.Runs), err)
	}
}
