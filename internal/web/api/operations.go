package api

import (
	"net/http"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Parts of operations that several have.
var (
	keyHeader = parameter{name: headerKey, about: "A value of the client's own. The same again, within 7 days, is the same request, whatever became of the first answer.", needed: true}
	events1   = "text/event-stream"
)

// operations are the endpoints of the public API, by their patterns.
func operations() map[string]operation {
	all := map[string]operation{}
	for _, group := range []map[string]operation{askOperations(), runOperations(), lookOperations(), webhookOperations(), manageOperations(), yamlOperations(), sourceOperations()} {
		for pattern, op := range group {
			all[pattern] = op
		}
	}
	return all
}

func askOperations() map[string]operation {
	return map[string]operation{
		"POST /v1/{service}/{job}": {
			about: "Have a job done", more: "With wait, the answer is the result when the run ends in time.",
			query:  []parameter{{name: "wait", about: "How long to wait for the end, 5m at most, such as 30s."}},
			header: []parameter{keyHeader}, body: bellhop.Args{},
			answers: []answers{
				{status: http.StatusOK, about: "It has ended.", body: result{}},
				{status: http.StatusAccepted, about: "It is on its way; Location is where to look.", body: struct {
					Run object `json:"run"`
				}{}},
			},
		},
		"POST /v1/runs": {
			about: "Ask for a run, by the name of its job or in words", header: []parameter{keyHeader}, body: askBody{}, needed: true,
			answers: ok("What it came to.", answer{}),
		},
		"POST /v1/runs/{id}/retry": {
			about: "Have a run that has ended done again, with other arguments where some are given", header: []parameter{keyHeader}, body: retryBody{},
			answers: ok("The new run.", answer{}),
		},
	}
}

func runOperations() map[string]operation {
	vote := func(what string) operation {
		return operation{about: what + " a run that is held", header: []parameter{keyHeader}, body: voteBody{}, answers: ok("What was decided.", answer{})}
	}
	return map[string]operation{
		"GET /v1/runs": {
			about: "List runs, newest first, in pages",
			query: []parameter{
				{name: "service", about: "Of this service."}, {name: "job", about: "Of this job."},
				{name: "state", about: "In one of these states.", schema: []bellhop.State{}},
				{name: "since", about: "Made at or after.", schema: time.Time{}}, {name: "until", about: "Made before.", schema: time.Time{}},
				{name: "verdict", about: "With one of these verdicts.", schema: []bellhop.Verdict{}},
				{name: "source", about: "Asked for there: slack, ssh, web, api, schedule, webhook, broker."},
				{name: "arg", about: "NAME=PREFIX: with an argument that begins so; =PREFIX or PREFIX: any. Runs by source and argument are found of jobs that one may have done whatever the arguments, or with mine."},
				{name: "mine", about: "Asked for by oneself.", schema: false}, {name: "before", about: "next of the page before.", schema: bellhop.RunID(0)},
				{name: "limit", about: "Runs of a page, 1000 at most.", schema: 0},
			},
			more:    "With verdict, source or arg, a page may have fewer runs than its limit though there are more: next says how far was searched.",
			answers: ok("A page.", page{}),
		},
		"GET /v1/runs/{id}": {about: "Show one run", answers: ok("The run.", object{})},
		"GET /v1/runs/{id}/output": {
			about: "Show what a run wrote", more: "As events with Accept: text/event-stream, each with a Chunk as its data, then end; else as it is.",
			query: []parameter{
				{name: "follow", about: "Go on until the run has ended.", schema: false}, {name: "stream", about: "stdout or stderr alone; not of events."},
			},
			header: []parameter{{name: "Last-Event-ID", about: "The last event that came: what follows it is sent."}},
			answers: []answers{
				{status: http.StatusOK, about: "The output.", body: "", media: "text/plain"},
			},
		},
		"GET /v1/runs/{id}/why":      {about: "Tell why a run has not started", answers: ok("The reason.", answer{})},
		"POST /v1/runs/{id}/cancel":  {about: "Cancel a run", header: []parameter{keyHeader}, answers: ok("What became of it.", answer{})},
		"POST /v1/runs/{id}/approve": vote("Approve"),
		"POST /v1/runs/{id}/deny":    vote("Deny"),
	}
}

func lookOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/openapi.json": {about: "This document", answers: ok("The document.", map[string]any{})},
		"GET /v1/services":     {about: "List the services, jobs and commands that one may use", answers: ok("The services.", serviceList{})},
		"GET /v1/schedules":    {about: "List what happens by the clock", answers: ok("The schedules, and what is asked for later.", bellhop.Schedules{})},
		"GET /v1/status":       {about: "Show what happens now", answers: ok("What runs, what waits, and what is kept back.", status{})},
		"GET /v1/suppressions": {
			about: "List suppressions and pauses", query: []parameter{{name: "service", about: "Of this service."}, {name: "job", about: "Of this job."}},
			answers: ok("Those that are open or to come.", suppressions{}),
		},
		"GET /v1/watch": {
			about: "Be told of runs as they change", more: "Events named run, each with a RunInDetail as its data: those that are active first.",
			header:  []parameter{{name: "Last-Event-ID", about: "The last event that came: runs that were made behind it are sent."}},
			answers: []answers{{status: http.StatusOK, about: "The events.", body: "", media: events1}},
		},
		"GET /v1/why": {
			about:   "Tell whether a line would be allowed, and by which rule",
			query:   []parameter{{name: "text", about: "What would be asked.", needed: true}, {name: "as", about: "By whom; for admins."}},
			answers: ok("Whether, and why.", answer{}),
		},
		"GET /v1/version": {about: "Show the version of the server", answers: ok("Version and time zone.", publicVersion{})},
	}
}

func manageOperations() map[string]operation {
	hold := func(about string) operation {
		return operation{about: about, header: []parameter{keyHeader}, body: Holding{}, needed: true, answers: ok("What is kept back now.", answer{})}
	}
	schedule := func(about, answered string) operation {
		return operation{about: about, header: []parameter{keyHeader}, answers: ok(answered, answer{})}
	}
	return map[string]operation{
		"POST /v1/schedules/{service}/{name}/pause":  schedule("Have a schedule ask for nothing until somebody resumes it", "How it stands."),
		"POST /v1/schedules/{service}/{name}/resume": schedule("Let a schedule go on with its next time", "How it stands."),
		"POST /v1/schedules/{service}/{name}/run":    schedule("Ask now for what a schedule asks for, by one's own rights", "The run."),
		"POST /v1/suppress":                          hold("Keep runs back until a time"),
		"POST /v1/unsuppress":                        hold("End suppressions"),
		"POST /v1/pause":                             hold("Keep runs back until somebody resumes them"),
		"POST /v1/resume":                            hold("End pauses"),
		"GET /v1/audit": {
			about: "Read the audit trail, newest first, in pages", more: "For admins.",
			query: []parameter{
				{name: "who", about: "Of this principal."}, {name: "service", about: "About this service."}, {name: "job", about: "About this job."},
				{name: "run", about: "About this run.", schema: bellhop.RunID(0)}, {name: "refused", about: "Refusals alone.", schema: false},
				{name: "since", about: "At or after.", schema: time.Time{}}, {name: "until", about: "Before.", schema: time.Time{}},
				{name: "chain", about: "Of this server's life, from its beginning on."}, {name: "after", about: "next of the page before.", schema: int64(0)},
				{name: "limit", about: "Records of a page, 1000 at most.", schema: 0},
			},
			answers: ok("A page.", AuditPage{}),
		},
		"GET /v1/audit/verify": {about: "Verify the audit trail", more: "For admins. It reads all of it.", answers: ok("What was found.", AuditCheck{})},
		"POST /v1/reload":      {about: "Read the configuration again", more: "For admins. With a fault in it, the old one stays.", answers: ok("What it has now.", Reloaded{})},
		"GET /v1/tokens":       {about: "List tokens", more: "For admins.", answers: ok("The tokens, without what proves them.", tokenList{})},
		"POST /v1/tokens": {
			about: "Make a token", more: "For admins. What proves it is told once.", body: bellhop.Token{}, needed: true, answers: ok("What proves it.", tokenMade{}),
		},
		"DELETE /v1/tokens/{name}": {about: "End a token", more: "For admins.", answers: ok("It is not valid any more.", struct{}{})},
	}
}

func yamlOperations() map[string]operation {
	match := parameter{name: "If-Match", about: "The version that must be there, as the ETag of an answer has it."}
	return map[string]operation{
		"POST /v1/yaml": {
			about: "Keep a service in the store and make it active", more: "For admins. It is checked with all others first; the same text again changes nothing.",
			header: []parameter{match, {name: "If-None-Match", about: "*: it must not be there yet."}}, body: "", media: mediaYAML, needed: true,
			answers: ok("The version that it has.", YAML{}),
		},
		"GET /v1/yaml": {about: "List the services that the store keeps", more: "For admins.", answers: ok("The services.", yamlList{})},
		"GET /v1/yaml/{service}": {
			about: "Show the YAML of a service that the store keeps", more: "For admins.",
			query:   []parameter{{name: "version", about: "Of this version; default: the newest.", schema: int64(0)}},
			answers: []answers{{status: http.StatusOK, about: "The YAML.", body: "", media: mediaYAML}},
		},
		"GET /v1/yaml/{service}/history": {about: "List the versions of a service, newest first", more: "For admins.", answers: ok("The versions.", yamlHistory{})},
		"DELETE /v1/yaml/{service}": {
			about: "Take a service out of the store", more: "For admins. Its runs stay.", header: []parameter{match}, answers: ok("The version that removes it.", YAML{}),
		},
	}
}
