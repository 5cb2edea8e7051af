package payload_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/payload"
)

const pull = `{"action":"closed","number":7,"pull_request":{"merged":true,"base":{"ref":"release/1.2"},"title":null,"labels":[{"name":"x"}]},"tags":["a","b"],"ratio":1.10}`

func parse(t testing.TB, text string) payload.Payload {
	t.Helper()
	p, err := payload.Read("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConditions(t *testing.T) {
	yes, no := true, false
	is := func(path string, any ...string) bellhop.Condition { return bellhop.Condition{Path: path, Any: any} }
	for _, tt := range []struct {
		cond bellhop.Condition
		want string
	}{
		{is("action", "closed"), ""},
		{is("action", "opened", "closed"), ""},
		{is("action", "opened"), `action is "closed"`},
		{is("action", "Closed"), `action is "closed"`},
		{is("pull_request.merged", "true"), ""},
		{is("number", "7"), ""},
		{is("ratio", "1.10"), ""}, // as written
		{is("ratio", "1.1"), `ratio is "1.10"`},
		{is("pull_request.title", ""), ""},
		{is("pull_request.labels.0.name", "x"), ""},
		{is("pull_request.labels.1.name", "x"), "pull_request.labels.1.name is not there"},
		{is("tags", "b"), ""},
		{is("tags", "c"), `tags is "[\"a\",\"b\"]"`},
		{is("nothing.at.all", "x"), "nothing.at.all is not there"},
		{bellhop.Condition{Path: "action", Any: []string{"opened"}, Not: true}, ""},
		{bellhop.Condition{Path: "action", Any: []string{"closed"}, Not: true}, `action is "closed"`},
		{bellhop.Condition{Path: "nothing", Any: []string{"x"}, Not: true}, ""},
		{bellhop.Condition{Path: "pull_request.base.ref", Glob: "release/*"}, ""},
		{bellhop.Condition{Path: "pull_request.base.ref", Glob: "rel*"}, ""},
		{bellhop.Condition{Path: "pull_request.base.ref", Glob: "main"}, `pull_request.base.ref is "release/1.2"`},
		{bellhop.Condition{Path: "pull_request.title", Exists: &yes}, ""},
		{bellhop.Condition{Path: "pull_request.body", Exists: &yes}, "pull_request.body is not there"},
		{bellhop.Condition{Path: "pull_request.body", Exists: &no}, ""},
	} {
		if got := parse(t, pull).Meets([]bellhop.Condition{tt.cond}); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.cond, got, tt.want)
		}
	}
	if got := parse(t, pull).Meets([]bellhop.Condition{is("action", "closed"), is("number", "8")}); got != `number is "7"` {
		t.Errorf("of several, one: %q", got)
	}
}

func TestArguments(t *testing.T) {
	args, err := parse(t, pull).Fill(bellhop.Args{
		"a": bellhop.Text("{event.pull_request.base.ref}"), "b": bellhop.Text("no {event.number}: {event.tags} {event.pull_request.title}."),
		"c": bellhop.List("x", "{event.action}"), "d": bellhop.Text("{event.tags}"), "e": bellhop.Text("{other} {event.open"), "f": bellhop.Text("$(id) `id`"),
		"g": bellhop.Text("{event.pull_request.base}"), "h": bellhop.Text("{event.action}{event.number}"),
	})
	want := bellhop.Args{
		"a": bellhop.Text("release/1.2"), "b": bellhop.Text(`no 7: ["a","b"] .`), "c": bellhop.List("x", "closed"), "d": bellhop.List("a", "b"),
		"e": bellhop.Text("{other} {event.open"), "f": bellhop.Text("$(id) `id`"), "g": bellhop.Text(`{"ref":"release/1.2"}`), "h": bellhop.Text("closed7"),
	}
	if err != nil || !args.Equal(want) {
		t.Errorf("%v, %v, want %v", args, err, want)
	}
	_, err = parse(t, pull).Fill(bellhop.Args{"sha": bellhop.Text("{event.after}")})
	if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "sha wants event.after") {
		t.Error(err)
	}
	// What an event holds is never looked at for templates again.
	args, err = parse(t, `{"a":"{event.b}","b":"secret"}`).Fill(bellhop.Args{"x": bellhop.Text("<{event.a}>")})
	if err != nil || args["x"].Text != "<{event.b}>" {
		t.Errorf("%v, %v", args, err)
	}
}

func TestBodies(t *testing.T) {
	for _, tt := range []struct{ kind, body, path, want string }{
		{"application/json; charset=utf-8", `{"a":"x"}`, "a", "x"},
		{"application/cloudevents+json", `{"a":"x"}`, "a", "x"},
		{"application/x-www-form-urlencoded", "a=x&b=1&b=2", "a", "x"},
		{"application/x-www-form-urlencoded", "a=x&b=1&b=2", "b.1", "2"},
		{"application/x-www-form-urlencoded", "payload=" + `%7B%22a%22%3A%22x%22%7D`, "a", "x"},
		{"application/x-www-form-urlencoded", ` {"a":"x=1&b"}` + "\n", "a", "x=1&b"}, // curl -d
		{"application/x-www-form-urlencoded", `{"a":"x"`, `{"a":"x"`, ""},
		{"text/plain", "hello", "body", "hello"},
		{"text/plain", `{"a":"x"}`, "body", `{"a":"x"}`},
	} {
		p, err := payload.Read(tt.kind, []byte(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if why := p.Meets([]bellhop.Condition{{Path: tt.path, Any: []string{tt.want}}}); why != "" {
			t.Errorf("%s %s: %s", tt.kind, tt.body, why)
		}
	}
	for _, bad := range []string{"", "{", `{"a":1} x`, `{"a":1}{}`, strings.Repeat("[", 100_000)} {
		if _, err := payload.Read("", []byte(bad)); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// TestFields: a field is as it was written, and a path leads on into its JSON.
func TestFields(t *testing.T) {
	p := payload.Fields(map[string]string{"id": "7", "data": `{ "b": [1.10, {"c":"x"}] }`, "text": "{not JSON"})
	args, err := p.Fill(bellhop.Args{
		"a": bellhop.Text("{event.id}"), "b": bellhop.Text("{event.data}"), "c": bellhop.Text("{event.data.b.1.c}"), "d": bellhop.Text("{event.data.b}"), "e": bellhop.Text("{event.text}!"),
		"f": bellhop.Text("{message.id}"),
	})
	want := bellhop.Args{
		"a": bellhop.Text("7"), "b": bellhop.Text(`{ "b": [1.10, {"c":"x"}] }`), "c": bellhop.Text("x"), "d": bellhop.List("1.10", `{"c":"x"}`), "e": bellhop.Text("{not JSON!"),
		"f": bellhop.Text("{message.id}"), // which no message has filled
	}
	if err != nil || !args.Equal(want) {
		t.Errorf("%v, %v, want %v", args, err, want)
	}
	if why := p.Meets([]bellhop.Condition{{Path: "data.b.0", Any: []string{"1.10"}}, {Path: "id", Glob: "?"}}); why != "" {
		t.Error(why)
	}
	if _, err := p.Fill(bellhop.Args{"a": bellhop.Text("{event.text.x}")}); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Error(err)
	}
}

// TestMessages: templates of brokers know the message, too.
func TestMessages(t *testing.T) {
	p := parse(t, `{"n":1,"m":"{message.id}"}`).Of(&bellhop.Message{ID: "s/1", Subject: "orders.new", Headers: map[string]string{"Nats-Msg-Id": "m1"}})
	for template, want := range map[string]string{
		"{message.id}-{event.n}": "s/1-1", "{event.n}{message.subject}": "1orders.new", "{message.header.Nats-Msg-Id}": "m1",
		"{event.m}": "{message.id}", "{message.open": "{message.open", "{event.open {message.id}": "",
	} {
		if got, err := p.Key(template); got != want {
			t.Errorf("%s: %q, %v; want %q", template, got, err, want)
		}
	}
	if _, err := p.Key("{message.header.none}"); bellhop.CodeOf(err) != bellhop.Invalid || err.Error() != "key wants message.header.none, which this message does not have" {
		t.Error(err)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add("application/json", pull, "pull_request.base.ref", "{event.number}")
	f.Add("application/x-www-form-urlencoded", "a=1&a=2", "a.0", "x{event.a}y{event.")
	f.Add("text/plain", "\xff\x00", "body", "{event.}")
	f.Fuzz(func(t *testing.T, kind, body, path, template string) {
		p, err := payload.Read(kind, []byte(body))
		if err != nil {
			return
		}
		fields := payload.Fields(map[string]string{path: body, "a": kind})
		for _, p := range []payload.Payload{fields, p.Of(&bellhop.Message{ID: body, Headers: map[string]string{path: kind}})} {
			_, _ = p.Key(template)
			p.Meets([]bellhop.Condition{{Path: path + "." + path, Glob: template}})
		}
		yes := true
		p.Meets([]bellhop.Condition{{Path: path, Exists: &yes}, {Path: path, Glob: template}, {Path: path, Any: []string{body}}})
		args, err := p.Fill(bellhop.Args{"x": bellhop.Text(template), "y": bellhop.List(template, path)})
		if err == nil && !strings.Contains(template, "{event.") && args["x"].Text != template {
			t.Errorf("%q became %q", template, args["x"].Text)
		}
	})
}
