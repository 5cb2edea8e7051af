package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
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
	read, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var out, errs strings.Builder
	if wait > 0 {
		err = h.front.Output(read, c.person, id, 0, 0, true, func(k bellhop.Chunk) error {
			to := &out
			if k.Channel == bellhop.Stderr {
				to = &errs
			}
			room := max(0, maxResult-to.Len())
			got.Cut = got.Cut || len(k.Data) > room
			to.Write(k.Data[:min(len(k.Data), room)])
			return nil
		})
		if err != nil && (read.Err() == nil || ctx.Err() != nil) && !errors.Is(err, context.DeadlineExceeded) {
			return got, false, err
		}
	}
	run, err := h.front.Run(ctx, c.person, id)
	got.Run, got.Stdout, got.Stderr = toObject(run), strings.ToValidUTF8(out.String(), "\ufffd"), strings.ToValidUTF8(errs.String(), "\ufffd")
	return got, wait > 0 && run.State.Terminal(), err
}
