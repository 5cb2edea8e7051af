package runner_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/runner"
)

// TestSecretsAreMaskedBeforeTheyAreKept prints a secret in pieces, minutes
// apart, on both channels, and as an outcome.
func TestSecretsAreMaskedBeforeTheyAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const value = "hunter2-hunter2"
		c := claim(1, bellhop.Job{})
		c.Task.Secrets = map[string]string{"token": value}
		d := newDispatcher(c, claim(2, bellhop.Job{}))
		r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			for i := range len(value) {
				sink.Write(bellhop.Stdout, []byte{value[i]})
				sink.Write(bellhop.Stderr, []byte("."))
				time.Sleep(time.Minute)
			}
			sink.Write(bellhop.Stdout, []byte("\nAuthorization: Basic "+base64.StdEncoding.EncodeToString([]byte(value))+"\nhunter2-hunter"))
			sink.Write(bellhop.Stderr, []byte(value))
			return bellhop.Outcome{
				End: bellhop.EndFailed, Error: value + " is wrong", Warnings: []string{"mind " + value}, Result: json.RawMessage(`{"t":"` + value + `"}`),
			}
		}, 2)
		defer stopNow(r)
		time.Sleep(time.Minute / 2)
		d.mu.Lock()
		if got := text(d.chunks[1], bellhop.Stdout); got != "" {
			t.Errorf("its beginning is shown: %q", got)
		}
		d.mu.Unlock()
		<-d.ended
		<-d.ended
		if got, want := text(d.chunks[1], bellhop.Stdout), "***\nAuthorization: Basic ***\nhunter2-hunter"; got != want {
			t.Errorf("stdout is %q, want %q", got, want)
		}
		if got, want := text(d.chunks[1], bellhop.Stderr), strings.Repeat(".", len(value))+"***"; got != want {
			t.Errorf("stderr is %q, want %q", got, want)
		}
		out := d.finished[1]
		if out.Error != "*** is wrong" || out.Warnings[0] != "mind ***" || string(out.Result) != `{"t":"***"}` {
			t.Errorf("ended as %+v, result %s", out, out.Result)
		}
		if out := d.finished[2]; out.Error != value+" is wrong" { // which names no secret
			t.Errorf("the other one ended as %+v", out)
		}
	})
}

// TestSecretsOfOtherJobsAreMasked: a job that names no secret may have come by
// one all the same.
func TestSecretsOfOtherJobsAreMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			sink.Write(bellhop.Stdout, []byte("found hunter2-hunter2\n"))
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1, func(o *runner.Options) { o.Hidden = func() []string { return []string{"hunter2-hunter2"} } })
		defer stopNow(r)
		<-d.ended
		if got := text(d.chunks[1], bellhop.Stdout); got != "found ***\n" {
			t.Errorf("stdout is %q", got)
		}
	})
}
