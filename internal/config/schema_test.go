package config_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop/internal/config"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("bellhop.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("bellhop.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON reads YAML the way an editor does before it validates.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Load([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchemaAcceptsWhatLoads(t *testing.T) {
	s := compileSchema(t)
	for name, text := range map[string]string{
		"starter":  string(config.Starter()["bellhop.yaml"]),
		"full":     full(t),
		"empty":    "services:\n",
		"postgres": "store: postgresql://alice:secret@db.example.com:5432/bellhop?sslmode=require\n",
		"variable": "lease: ${SET}\nrunner: {slots: '${PORT}'}\nlog: {level: '${SET}'}\n",
	} {
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the schema refuses, Load refuses; the other way round, Load knows more.
func TestSchemaRefusesWhatDoesNotLoad(t *testing.T) {
	s := compileSchema(t)
	job := func(body string) string { return "services: {ex: {jobs: {a: {run: x, " + body + "}}}}\n" }
	for name, text := range map[string]string{
		"unknown key":        "bto: x\n",
		"unknown job key":    job("rnu: x"),
		"list of services":   "services: [a]\n",
		"bad name":           "services: {Ex: {}}\n",
		"word of an enum":    job("on_crash: retry"),
		"duration":           job("timeout: 30"),
		"flag":               job("report: {stdout: maybe}"),
		"number":             "runner: {slots: 0}\n",
		"size":               job("max_output: 10 megs"),
		"concurrency":        job("concurrency: 0"),
		"concurrency's text": job("concurrency: some"),
		"variable's name":    job("env: {a-b: x}"),
		"Bellhop's variable": job("env: {BELLHOP_RUN: x}"),
		"nested list":        job("params: {p: {default: [[a]]}}"),
		"empty run":          "services: {ex: {jobs: {a: {run: ''}}}}\n",
		"store":              "store: mysql://x/y\n",
		"store's database":   "store: postgres://x\n",
		"priority":           job("priority: 10"),
		"factor":             job("retries: {max: 1, factor: fast}"),
		"exit status":        job("retries: {max: 1, on: [256]}"),
		"age":                "keep: {runs: always}\n",
		"capacity":           "keep: {max_output: 3}\n",
		"empty then":         job("then: []"),
		"then's key":         job("then: {jbo: a}"),
		"then's end":         job("then: {job: a, delay: 1h, on: end}"),
		"on_repeat":          "services: {ex: {jobs: {a: {run: x}}, commands: [{command: a, job: a, on_repeat: drop}]}}\n",
		"hash":               job("script_url: 'https://x/y', sha256: abc"),
	} {
		t.Run(name, func(t *testing.T) {
			if s.Validate(asJSON(t, text)) == nil {
				t.Error("the schema accepts it")
			}
			if _, faults := load(t, text); len(faults) == 0 {
				t.Error("Load accepts it")
			}
		})
	}
}

// Every key has words for editors, and no object takes keys that it does not
// name.
func TestSchemaIsWhole(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if root["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %v", root["$schema"])
	}
	keys := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if properties, ok := m["properties"].(map[string]any); ok {
			if m["additionalProperties"] != false {
				t.Errorf("%s takes unknown keys", path)
			}
			for key, p := range properties {
				keys++
				if d, _ := p.(map[string]any)["description"].(string); len(d) < 10 || !strings.HasSuffix(d, ".") {
					t.Errorf("%s/%s has no good description: %q", path, key, d)
				}
				walk(path+"/"+key, p)
			}
		}
		walk(path+"/*", m["additionalProperties"])
		walk(path+"/*", m["items"])
	}
	walk("", root)
	if keys < 60 {
		t.Errorf("only %d keys", keys)
	}
}
