package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

// param makes a parameter from "name", "name:type" or "name=default".
func param(text string) bellhop.Param {
	if name, def, ok := strings.Cut(text, "="); ok {
		v := bellhop.Text(def)
		return bellhop.Param{Name: name, Type: bellhop.TypeString, Default: &v}
	}
	name, kind, ok := strings.Cut(text, ":")
	if !ok {
		kind = "string"
	}
	return bellhop.Param{Name: name, Type: bellhop.ParamType(kind)}
}

func job(service, name string, params ...bellhop.Param) bellhop.Job {
	return bellhop.Job{Service: service, Name: name, Params: params}
}

// command makes an entry; pos counts up by service so that faults can be told
// apart.
func command(service, pattern, jobName string, line int) bellhop.Entry {
	return bellhop.Entry{
		Service: service, Name: "e" + fmt.Sprint(line), Pattern: pattern, Action: bellhop.ActionRun, Job: jobName,
		Pos: bellhop.Position{File: "bellhop.yaml", Line: line, Col: 9},
	}
}

// simple makes a service "s" with one command per pattern, numbered e1, e2,
// ... Each has a job with the pattern's parameters.
func simple(patterns ...string) *bellhop.Catalog {
	s := bellhop.Service{Name: "s", Pos: bellhop.Position{File: "bellhop.yaml", Line: 1, Col: 3}}
	for i, p := range patterns {
		var params []bellhop.Param
		for _, w := range strings.Fields(p) {
			if inner, ok := strings.CutPrefix(w, "["); ok {
				name, list := strings.CutSuffix(strings.TrimSuffix(inner, "]"), "...")
				kind := bellhop.TypeString
				if list {
					kind = bellhop.TypeList
				}
				params = append(params, bellhop.Param{Name: name, Type: kind, Dash: true})
			}
		}
		name := fmt.Sprintf("j%d", i+1)
		s.Jobs = append(s.Jobs, job("s", name, params...))
		s.Entries = append(s.Entries, command("s", p, name, i+1))
	}
	return &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{s}}
}

// example is the configuration of the manual's examples.
func example() *bellhop.Catalog {
	helloTo := command("example", "say hello [name]", "hello_to", 12)
	helloTo.Help = "Says hello to [name]"
	hello := command("example", "say hello", "hello", 11)
	hello.Help, hello.Delay, hello.Aliases = "Says hello", 1e9, []string{"greet me"}
	python := command("example", "do python [some_arg]", "do_python", 13)
	python.Help = "Runs a script"
	env := bellhop.Param{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging", "production"}, Help: "where to"}
	cancel := command("deploys", "deploy cancel", "deploy", 23)
	cancel.Action = bellhop.ActionCancel
	cancelOne := command("deploys", "deploy cancel [env]", "deploy", 24)
	cancelOne.Action, cancelOne.Running = bellhop.ActionCancel, true
	restart := command("deploys", "", "restart", 25)
	restart.Regex, restart.Help = `(?i)restart (?P<host>\S+)( (?P<times>\d+) times)?`, "Restarts a host"
	times := bellhop.Text("1")
	list := command("inventory", "servers in group [group]", "list", 31)
	ping := command("inventory", "ping [hosts...]", "ping", 32)
	return &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{
		{
			Name: "example", Description: "Examples", Pos: bellhop.Position{File: "bellhop.yaml", Line: 10, Col: 3},
			Jobs:    []bellhop.Job{job("example", "hello"), job("example", "hello_to", param("name")), job("example", "do_python", param("some_arg:int"))},
			Entries: []bellhop.Entry{hello, helloTo, python},
		},
		{
			Name: "deploys", Description: "Brings the site\nto its machines", Restricted: true, Pos: bellhop.Position{File: "bellhop.yaml", Line: 20, Col: 3},
			Jobs: []bellhop.Job{job("deploys", "deploy", env), job("deploys", "restart", param("host"), bellhop.Param{Name: "times", Type: bellhop.TypeInt, Default: &times, Min: "1", Max: "9"})},
			Entries: []bellhop.Entry{
				command("deploys", "deploy [env]", "deploy", 21), command("deploys", "deploy [env] now", "deploy", 22), cancel, cancelOne, restart,
			},
		},
		{
			Name: "inventory", NoPrefix: true, Pos: bellhop.Position{File: "bellhop.yaml", Line: 30, Col: 3},
			Jobs:    []bellhop.Job{job("inventory", "list", param("group")), job("inventory", "ping", param("hosts:list"))},
			Entries: []bellhop.Entry{list, ping},
		},
	}}
}

func mustRouter(t testing.TB, cat *bellhop.Catalog) *router.Router {
	t.Helper()
	r, faults := router.New(cat)
	for _, f := range faults {
		t.Error(f)
	}
	if r == nil {
		t.Fatal("no router")
	}
	return r
}
