package ui

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

func (h *Handler) schedulesRoutes() {
	h.get("/schedules", h.schedules)
	h.post("/schedules/{service}/{name}/{what}", h.actSchedule)
	h.post("/later/{id}/take-back", h.takeBack)
}

// scheduleChanges are what a page may do to a schedule.
var scheduleChanges = map[string]bellhop.Action{
	"pause": bellhop.ActionPauseSchedule, "resume": bellhop.ActionResumeSchedule, "run": bellhop.ActionRunSchedule,
}

// actSchedule changes a schedule, or asks now for what it asks for.
func (h *Handler) actSchedule(v *view) error {
	action, ok := scheduleChanges[v.r.PathValue("what")]
	if !ok {
		return bellhop.Errorf(bellhop.NotFound, "a schedule can't be made to %.40q", v.r.PathValue("what"))
	}
	a, err := v.do(v.key(), bellhop.Invocation{Action: action, Schedule: strings.ToLower(v.r.PathValue("service") + "/" + v.r.PathValue("name"))})
	if err != nil {
		return err
	}
	to := "/schedules"
	if a.Accepted != nil {
		to = "/runs/" + a.Accepted.Run.String()
	}
	return v.did(v.page.style().AnswerText(a), to)
}

// schedulesData is what happens by the clock.
type schedulesData struct {
	States []bellhop.ScheduleState
	Later  []bellhop.Later // to come, the next first
	Failed []bellhop.Later // what came to nothing, the newest first
}

func (h *Handler) schedules(v *view) error {
	a, err := v.do("", bellhop.Invocation{Action: bellhop.ActionSchedules})
	if err != nil {
		return err
	}
	d := schedulesData{States: a.Schedules.States}
	for _, l := range a.Schedules.Later {
		if l.Failed != "" {
			d.Failed = append(d.Failed, l)
		} else {
			d.Later = append(d.Later, l)
		}
	}
	slices.SortStableFunc(d.States, func(a, b bellhop.ScheduleState) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(d.Failed, func(a, b bellhop.Later) int { return b.At.Compare(a.At) })
	return v.show("Schedules", schedulesPage(v.page, d))
}

// takeBack has something not be asked for later.
func (h *Handler) takeBack(v *view) error {
	a, err := v.do(v.key(), bellhop.Invocation{Action: bellhop.ActionUnschedule, Later: v.r.PathValue("id")})
	if err != nil {
		return err
	}
	return v.did(v.page.style().AnswerText(a), "/schedules")
}
