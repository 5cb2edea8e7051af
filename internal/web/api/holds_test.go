package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// doing is a server that notes what is to be done, and the key it came under.
type doing struct {
	api.Front
	inv bellhop.Invocation
	key string
	err error
}

func (d *doing) Do(_ context.Context, _ bellhop.Person, _, _, key string, inv bellhop.Invocation) (bellhop.Answer, error) {
	d.inv, d.key = inv, key
	return bellhop.Answer{Action: inv.Action, Holds: []bellhop.Hold{{ID: 3, Service: "s"}}}, d.err
}

func request(t *testing.T, f api.Front, method, path, body string) (*http.Response, string) {
	t.Helper()
	return keyed(t, f, "k", method, path, body)
}

// keyed makes a request under a key; "" = none.
func keyed(t *testing.T, f api.Front, key, method, path, body string) (*http.Response, string) {
	t.Helper()
	s := serve(t, f, t.Context())
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestRequestsBecomeInvocations(t *testing.T) {
	staging := bellhop.Args{"env": bellhop.Text("staging")}
	for name, c := range map[string]struct {
		path, body string
		want       bellhop.Invocation
	}{
		"suppress":      {"/v1/suppress", `{"service":"s","job":"j","args":{"env":"staging"},"from":"22:00","until":"06:00"}`, bellhop.Invocation{Action: bellhop.ActionSuppress, Service: "s", Job: "j", Args: staging, From: "22:00", Until: "06:00"}},
		"pause":         {"/v1/pause", `{"service":"s"}`, bellhop.Invocation{Action: bellhop.ActionPause, Service: "s"}},
		"resume":        {"/v1/resume", `{"service":"s","job":"j"}`, bellhop.Invocation{Action: bellhop.ActionResume, Service: "s", Job: "j"}},
		"unsuppress":    {"/v1/unsuppress", `{"service":"s"}`, bellhop.Invocation{Action: bellhop.ActionUnsuppress, Service: "s"}},
		"by its number": {"/v1/unsuppress", `{"number":3}`, bellhop.Invocation{Action: bellhop.ActionUnsuppress, Hold: 3}},
		"retry":         {"/v1/runs/000007/retry", ``, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 7}},
		"retry, {}":     {"/v1/runs/000007/retry", `{}`, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 7}},
		"retry, others": {"/v1/runs/000007/retry", `{"args":{"env":"staging"}}`, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 7, Args: staging}},
		"cancel":        {"/v1/runs/000007/cancel", ``, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &doing{}
			resp, body := request(t, f, "POST", c.path, c.body)
			if resp.StatusCode != 200 || !reflect.DeepEqual(f.inv, c.want) || f.key != "k" {
				t.Errorf("%d %s: %+v, key %q; want %+v", resp.StatusCode, body, f.inv, f.key, c.want)
			}
		})
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	for path, bodies := range map[string][]string{
		"/v1/suppress":          {``, `{}`, `{"service":"s"}`, `{"until":"18:00"}`, `{"service":"s","until":"18:00","number":3}`},
		"/v1/unsuppress":        {`{}`, `{"number":-1}`, `{"number":3,"service":"s"}`, `{"service":"s","until":"18:00"}`},
		"/v1/pause":             {`{}`, `{"service":"s","from":"18:00"}`, `{"number":3}`, `{"servce":"s"}`},
		"/v1/runs/000007/retry": {`x`, `{"arguments":{}}`, `{"args":{"a":null}}`},
	} {
		for _, body := range bodies {
			f := &doing{}
			if resp, got := request(t, f, "POST", path, body); resp.StatusCode != 400 || !strings.Contains(got, `"code":"invalid"`) || f.inv.Action != "" {
				t.Errorf("%s %s: %d %s", path, body, resp.StatusCode, got)
			}
		}
	}
}

func TestWhatHoldsNeedsAKey(t *testing.T) {
	for _, path := range []string{"/v1/pause", "/v1/resume", "/v1/suppress", "/v1/unsuppress"} {
		f := &doing{}
		resp, body := keyed(t, f, "", "POST", path, `{"service":"s"}`)
		if resp.StatusCode != 400 || !strings.Contains(body, "Idempotency-Key is missing") || f.inv.Action != "" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

func TestSuppressionsAreListed(t *testing.T) {
	f := &doing{}
	_, body := request(t, f, "GET", "/v1/suppressions?service=s&job=j", "")
	var got struct{ Holds []bellhop.Hold }
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Holds) != 1 || got.Holds[0].ID != 3 {
		t.Errorf("%s, %v", body, err)
	}
	if f.inv.Action != bellhop.ActionSuppressions || f.inv.Service != "s" || f.inv.Job != "j" {
		t.Errorf("%+v", f.inv)
	}
}

// Sources that can come again are told to.
func TestUnavailableSaysWhenToComeBack(t *testing.T) {
	for code, want := range map[bellhop.Code]string{bellhop.Unavailable: "1", bellhop.Conflict: "", bellhop.Internal: ""} {
		resp, _ := request(t, &doing{err: bellhop.Errorf(code, "x")}, "GET", "/v1/runs/000007/why", "")
		if got := resp.Header.Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After is %q, want %q", code, got, want)
		}
	}
}

// listing lists runs, newest first, from 2,500 on.
type listing struct {
	api.Front
	asked *bellhop.RunFilter
}

func (l listing) Runs(_ context.Context, _ bellhop.Person, f bellhop.RunFilter) (runs []bellhop.Run, err error) {
	*l.asked = f
	first := bellhop.RunID(2500)
	if f.Before != 0 {
		first = f.Before - 1
	}
	for id := first; id > 0 && len(runs) < f.Limit; id-- {
		runs = append(runs, bellhop.Run{ID: id, After: id - 1})
	}
	return runs, nil
}

func TestListsComeInPages(t *testing.T) {
	var f bellhop.RunFilter
	var total, pages int
	next := ""
	for pages = 0; pages == 0 || next != ""; pages++ {
		_, body := request(t, listing{asked: &f}, "GET", "/v1/runs?limit=0&until=2026-01-31T15:04:05Z&before="+next, "")
		var page struct {
			Runs []struct {
				ID    bellhop.RunID
				After bellhop.RunID
			}
			Next string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err, body)
		}
		for _, r := range page.Runs {
			if want := bellhop.RunID(2500 - total); r.ID != want || (want > 1 && r.After != want-1) {
				t.Fatalf("run %d follows %d, want %d", r.ID, r.After, want)
			}
			total++
		}
		next = page.Next
	}
	if total != 2500 || pages != 3 {
		t.Errorf("%d runs on %d pages", total, pages)
	}
	if f.Until.IsZero() {
		t.Error("until was not asked for")
	}
}
