package api

import (
	"context"
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// schedules answers GET /v1/schedules with what happens by the clock.
func (h *Handler) schedules(w http.ResponseWriter, r *http.Request, c caller) error {
	a, err := h.front.Do(r.Context(), c.person, c.source, c.session, "", bellhop.Invocation{Action: bellhop.ActionSchedules})
	if err != nil {
		return err
	}
	return reply(w, listed(a.Schedules))
}

// schedule serves what is done with one schedule.
func (h *Handler) schedule(action bellhop.Action) endpoint {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		return h.do(w, r, c, bellhop.Invocation{Action: action, Schedule: r.PathValue("service") + "/" + r.PathValue("name")})
	}
}

// listed has lists where there is nothing.
func listed(s *bellhop.Schedules) bellhop.Schedules {
	return bellhop.Schedules{States: append([]bellhop.ScheduleState{}, s.States...), Later: append([]bellhop.Later{}, s.Later...)}
}

// Schedules lists what happens by the clock, and what is asked for later.
func (c *Client) Schedules(ctx context.Context) (bellhop.Schedules, error) {
	return reading[bellhop.Schedules](ctx, c, "/v1/schedules")
}
