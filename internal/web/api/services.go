package api

import (
	"net/http"

	"github.com/bellhop-io/bellhop"
)

// Service is a service as far as somebody may use it.
type Service struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Restricted  bool      `json:"restricted,omitempty"` // to those whom the configuration knows
	Jobs        []Job     `json:"jobs"`
	Commands    []Command `json:"commands"`
}

// Job is a job that somebody may have done, with some arguments at least.
type Job struct {
	Name     string          `json:"name"`
	Help     string          `json:"help,omitempty"`
	Executor string          `json:"executor"`
	Params   []bellhop.Param `json:"params"`
	Approved bool            `json:"approved,omitempty"` // others approve it first, at least with some arguments
	Digest   string          `json:"digest"`             // of its definition
}

// Command is what somebody may say.
type Command struct {
	Pattern string         `json:"pattern,omitempty"`
	Regex   string         `json:"regex,omitempty"`
	Aliases []string       `json:"aliases,omitempty"`
	Help    string         `json:"help,omitempty"`
	Action  bellhop.Action `json:"action"`
	Job     string         `json:"job,omitempty"`
}

// serviceList is what GET /v1/services answers.
type serviceList struct {
	Services []Service `json:"services"`
}

func (h *Handler) services(w http.ResponseWriter, r *http.Request, c caller) error {
	all, err := h.front.Services(r.Context(), c.person)
	if err != nil {
		return err
	}
	got := serviceList{Services: make([]Service, len(all))}
	for i := range all {
		got.Services[i] = toService(&all[i])
	}
	return reply(w, got)
}

func toService(s *bellhop.Service) Service {
	out := Service{Name: s.Name, Description: s.Description, Restricted: s.Restricted, Jobs: []Job{}, Commands: []Command{}}
	for i := range s.Jobs {
		j := &s.Jobs[i]
		out.Jobs = append(out.Jobs, Job{
			Name: j.Name, Help: j.Help, Executor: j.Executor, Params: append([]bellhop.Param{}, j.Params...), Approved: j.Approve != nil, Digest: j.Digest(),
		})
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		out.Commands = append(out.Commands, Command{Pattern: e.Pattern, Regex: e.Regex, Aliases: e.Aliases, Help: e.Help, Action: e.Action, Job: e.Job})
	}
	return out
}
