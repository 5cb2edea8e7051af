package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// What a caller that waits for a result gets at most.
const (
	maxWait   = 5 * time.Minute
	maxResult = 1 << 20 // bytes of each of stdout and stderr
)

// ofJob is the invocation of a job by its name. What is asked for twice is two
// runs: programs say what they mean by their keys.
func (h *Handler) ofJob(r *http.Request, c caller, b askBody) (bellhop.Invocation, error) {
	service, job := strings.ToLower(b.Service), strings.ToLower(b.Job)
	args, err := h.front.Bind(r.Context(), c.person, service, job, b.Args)
	return bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: job, Args: args, OnRepeat: bellhop.OnRepeatQueue}, err
}

// result is a run that has ended, with what it wrote.
type result struct {
	Run    object `json:"run"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Cut    bool   `json:"cut,omitempty"` // there is more of one of them, at /output
}

// askJob answers POST /v1/SERVICE/JOB, whose body is the job's arguments: with
// the result when the run ends within `wait`, else with the run that is on its
// way (202).
func (h *Handler) askJob(w http.ResponseWriter, r *http.Request, c caller) error {
	wait := time.Duration(0)
	if s := r.URL.Query().Get("wait"); s != "" {
		d, err := bellhop.ParseDuration(s)
		if err != nil || d < 0 || d > maxWait {
			return bellhop.Errorf(bellhop.Invalid, "wait is %.40q; it takes a duration up to 5m, such as 30s", s)
		}
		wait = d
	}
	body := askBody{Service: r.PathValue("service"), Job: r.PathValue("job")}
	if r.ContentLength != 0 {
		args, err := readBody[bellhop.Args](r)
		if err != nil {
			return err
		}
		body.Args = args
	}
	inv, err := h.ofJob(r, c, body)
	if err != nil {
		return err
	}
	a, err := h.front.Do(r.Context(), c.person, c.source, c.session, r.Header.Get(headerKey), inv)
	if err != nil {
		return err
	}
	got, ended, err := h.result(r.Context(), c, a.Accepted.Run, wait)
	if bellhop.CodeOf(err) == bellhop.NotFound && a.Accepted.How == bellhop.Repeated { // keys are kept for longer than some runs
		return &web.Problem{Status: http.StatusGone, Code: bellhop.NotFound, Detail: "this was asked for before under the same key: it was run " + a.Accepted.Run.String() + ", and is not kept any more; nothing was done again"}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/runs/"+a.Accepted.Run.String())
	if !ended {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		return json.NewEncoder(w).Encode(map[string]object{"run": got.Run})
	}
	return reply(w, got)
}

// result waits for the end of a run, and gathers what it wrote.
func (h *Handler) result(ctx context.Context, c caller, id bellhop.RunID, wait time.Duration) (got result, ended bool, err error) {
	if wait > 0 {
		if err := h.await(ctx, c, id, wait); err != nil {
			return got, false, err
		}
	}
	run, err := h.front.Run(ctx, c.person, id)
	got.Run = toObject(run)
	if err != nil || wait == 0 || !run.State.Terminal() {
		return got, false, err
	}
	var out, errs strings.Builder
	err = h.front.Output(ctx, c.person, id, 0, 0, false, func(k bellhop.Chunk) error {
		to := &out
		if k.Channel == bellhop.Stderr {
			to = &errs
		}
		room := max(0, maxResult-to.Len())
		got.Cut = got.Cut || len(k.Data) > room
		to.Write(k.Data[:min(len(k.Data), room)])
		return nil
	})
	got.Stdout, got.Stderr = strings.ToValidUTF8(out.String(), "\ufffd"), strings.ToValidUTF8(errs.String(), "\ufffd")
	if bellhop.CodeOf(err) == bellhop.NotFound { // it is not kept any more, of a run that ended long ago
		err = nil
	}
	return got, true, err
}

// maxWaiting is how many requests may wait at a time. Others are answered at
// once, as when nothing ended in time.
const maxWaiting = 1000

// await returns when a run has ended, or wait has passed. It holds none of the
// output.
func (h *Handler) await(ctx context.Context, c caller, id bellhop.RunID, wait time.Duration) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxWaiting {
		return nil
	}
	until, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := h.front.Output(until, c.person, id, math.MaxInt32, math.MaxInt64, true, func(bellhop.Chunk) error { return nil })
	if until.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}
