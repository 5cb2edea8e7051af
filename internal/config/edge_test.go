package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/config"
)

func TestFiles(t *testing.T) {
	good := "services: {ex: {jobs: {a: {run: echo}}}}\n"
	for name, c := range map[string]struct{ text, want string }{
		"byte order mark":               {"\uFEFF" + good, ""},
		"carriage returns":              {"bot: x\r\nservices:\r\n  ex:\r\n    jobs:\r\n      a:\r\n        run: |\r\n          echo\r\n", ""},
		"fault after crlf":              {"bot: x\r\n\r\nbto: y\r\n", `bellhop.yaml:3:1: unknown key "bto"`},
		"place after a byte order mark": {"\uFEFFstore: '${NOPE}'\n", "bellhop.yaml:1:9: store: the environment"},
		"UTF-16":                        {"\xff\xfeb\x00", "bellhop.yaml:1:1: the file is UTF-16; save it as UTF-8"},
		"not UTF-8":                     {"bot: x\nlog: é\xff\n", "bellhop.yaml:2:7: byte 0xff is not UTF-8"},
		"control character":             {"bot: x\nlog: \x01\n", "bellhop.yaml:2:6: the control character U+0001"},
		"NUL":                           {"bot: \x00\n", "bellhop.yaml:1:6: the control character U+0000"},
		"empty":                         {"", "bellhop.yaml:1:1: the file is empty"},
		"null":                          {"---\n~\n", "bellhop.yaml:2:1: the file is empty"},
		"explicit document":             {"---\n" + good, ""},
		"document end":                  {good + "...\n", ""},
		"two documents":                 {"---\nbot: x\n---\nbot: y\n", "bellhop.yaml:3:1: a second document"},
		"directive":                     {"%YAML 1.2\n---\nbot: x\n", "bellhop.yaml:1:1: lines that begin with %"},
		"lone carriage return":          {"bot: x\rlog: y\n", "bellhop.yaml:1:7: the character U+000D ends a line"},
		"line separator":                {"bot: x y\n", "bellhop.yaml:1:7: the character U+2028 ends a line"},
		"unclosed at the end":           {"runner: {slots: 1\n", "bellhop.yaml:1:9: the { that begins here"},
		"larger than 10 MiB":            {good + strings.Repeat("# filler\n", 1200000), "bellhop.yaml:1:1: the file is larger than 10 MiB"},
		"empty parts":                   {"services:\n  ex:\n    jobs:\n    commands:\n    env:\nchats:\ninclude:\nlog:\n", ""},
		"value without a value":         {"bot: ~\n", "bellhop.yaml:1:6: bot has no value"},
		"column after umlauts":          {"services: {ex: {description: äöü, jbos: {}}}\n", `bellhop.yaml:1:35: unknown key "jbos"`},
		"mapping as a key":              {"{a: 1}: b\n", "bellhop.yaml:1:1: a key must be a plain word, not a mapping"},
		"very long key":                 {strings.Repeat("k", 5000) + ": 1\n", "bellhop.yaml:1:1: "},
		"deep brackets":                 {"bot: " + strings.Repeat("[", 20000) + "\n", "bellhop.yaml:1:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := load(t, c.text)
			got := lines(faults)
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || len(faults) > 1 {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAliasesAndMerges(t *testing.T) {
	bomb := "services:\n  ex:\n    jobs:\n      a: {run: x, params: {p: {enum: &a [" + strings.Repeat("x, ", 100) + "]}}}\n"
	wide := "services:\n  ex:\n    jobs:\n      a0: &a {run: x, env: {" + envs(1000) + "}}\n"
	for i := range 500 {
		wide += fmt.Sprintf("      b%d: *a\n", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"alias":              {"services: {ex: {jobs: {a: &a {run: x}, b: *a}}}", ""},
		"fault only once":    {"services: {ex: {jobs: {a: &a {run: x, rnu: y}, b: *a}}}", `bellhop.yaml:1:39: unknown key "rnu" in job "a"`},
		"merge":              {"services: {ex: {jobs: {a: &a {run: x}, b: {<<: *a, help: y}}}}", ""},
		"merge of a list":    {"services: {ex: {jobs: {a: &a {run: x}, c: &c {run: z, help: z}, b: {<<: [*a, *c]}}}}", ""},
		"merge of a text":    {"services: {ex: {jobs: {b: {<<: x, run: y}}}}", "bellhop.yaml:1:32: << merges a mapping"},
		"merges itself":      {"services: {ex: {jobs: {b: &b {run: x, <<: *b}}}}", "bellhop.yaml:1:27: << merges go deeper"},
		"alias in itself":    {"services: &s {ex: *s}", `bellhop.yaml:1:15: unknown key "ex" in service "ex"`},
		"wide bomb":          {wide, "bellhop.yaml:4:"},
		"duplicates in enum": {bomb, "bellhop.yaml:4:"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, faults := load(t, c.text)
			got := lines(faults)
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || name == "fault only once" && strings.Count(got, "\n") > 1 {
				t.Errorf("got %.500q, want %q", got, c.want)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func envs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "V%d: x, ", i)
	}
	return b.String()
}

func TestExpansion(t *testing.T) {
	env := map[string]string{"A": "alpha", "DANGER": "x, bot: y\nstore: ${A} $$", "EMPTY": ""}
	value := func(written string) (string, string) {
		dir := write(t, map[string]string{"bellhop.yaml": "services: {ex: {env: {V: " + written + "}, jobs: {a: {run: x}}}}\n"})
		cfg, faults, err := config.Load(filepath.Join(dir, "bellhop.yaml"), options(env))
		if err != nil {
			t.Fatal(err)
		}
		if len(faults) > 0 {
			return "", strings.ReplaceAll(lines(faults), dir+string(filepath.Separator), "")
		}
		return cfg.Catalog.Services[0].Jobs[0].Env["V"], ""
	}
	for name, c := range map[string]struct{ written, want, fault string }{
		"variable":               {`"${A}"`, "alpha", ""},
		"within text":            {`"<${A}${A}>"`, "<alphaalpha>", ""},
		"plain scalar":           {`a-$A`, "a-$A", ""},
		"dollars":                {`"$$ $${A} $5 $"`, "$ ${A} $5 $", ""},
		"empty variable":         {`"${EMPTY}"`, "", ""},
		"value is only data":     {`"${DANGER}"`, env["DANGER"], ""},
		"unset":                  {`"ab${NOPE}"`, "", "bellhop.yaml:1:29: V: the environment variable NOPE is not set"},
		"unset after escape":     {`"\u00e4\t${NOPE}"`, "", "bellhop.yaml:1:35: V: the environment variable NOPE"},
		"unset in single quotes": {`'it''s ${NOPE}'`, "", "bellhop.yaml:1:33: V: the environment variable NOPE"},
		"two unset":              {`"${NOPE}${NADA}"`, "", "bellhop.yaml:1:27: V: the environment variable NOPE is not set; set it where `bellhop` is started, or write $${NOPE} for the text itself\nbellhop.yaml:1:34: V: the environment variable NADA"},
		"not closed":             {`"${A"`, "", "bellhop.yaml:1:27: V: ${ is not followed"},
		"no name":                {`"${A-b}"`, "", "bellhop.yaml:1:27: V: ${ is not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, fault := value(c.written)
			if got != c.want || !strings.HasPrefix(fault, c.fault) || c.fault == "" && fault != "" {
				t.Errorf("got %q, %q; want %q, %q", got, fault, c.want, c.fault)
			}
		})
	}
}

// What a shell or an expression reads is never touched.
func TestNoExpansionInCode(t *testing.T) {
	cfg := mustLoad(t, `services:
  ex:
    jobs:
      a: {run: 'echo "${HOME} $$ ${SET}" {n}', params: {n: {default: "${SET}"}, p: {pattern: "${SET}$$"}, e: {enum: ["${SET}"]}}}
    commands:
      - {command: "pay ${SET}", aliases: ["$$"], job: a, args: {n: "$${SET}"}}
      - {regex: "${SET}$$", job: a}
`)
	got := fmt.Sprint(string(cfg.Catalog.Services[0].Jobs[0].Spec), cfg.Catalog.Services[0].Entries)
	for _, want := range []string{`${HOME} $$ ${SET}`, "pay ${SET}", "[$$]", "$${SET}", "${SET}$$"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if strings.Contains(got, "environment") {
		t.Errorf("a variable was replaced in %s", got)
	}
}

func TestInclude(t *testing.T) {
	job := "services: {%s: {jobs: {a: {run: x}}}}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
		names string
	}{
		"globs, in order": {map[string]string{"bellhop.yaml": "include: [conf.d/*.yaml, more.yaml]\n" + fmt.Sprintf(job, "z"),
			"conf.d/b.yaml": fmt.Sprintf(job, "b"), "conf.d/a.yaml": fmt.Sprintf(job, "a"), "more.yaml": fmt.Sprintf(job, "m"), "conf.d/no.yml": "x"}, "", "z a b m"},
		"relative to the file that names them": {map[string]string{"bellhop.yaml": "include: [sub/one.yaml]\n",
			"sub/one.yaml": "include: [two.yaml]\n", "sub/two.yaml": fmt.Sprintf(job, "two")}, "", "two"},
		"settings elsewhere":        {map[string]string{"bellhop.yaml": "include: [s.yaml]\nlog: {level: debug}\n", "s.yaml": "log: {format: json}\nlease: 5s\n"}, "", ""},
		"the same file twice":       {map[string]string{"bellhop.yaml": "include: [a.yaml, '*a.yaml']\n", "a.yaml": fmt.Sprintf(job, "a")}, "", "a"},
		"glob that matches nothing": {map[string]string{"bellhop.yaml": "include: ['none/*.yaml']\n"}, "", ""},
		"folder matched by a glob":  {map[string]string{"bellhop.yaml": "include: ['d/*']\n", "d/sub/x": ""}, "", ""},
		"no list":                   {map[string]string{"bellhop.yaml": "include: a.yaml\n"}, `bellhop.yaml:1:10: include must be a list`, ""},
		"bad glob":                  {map[string]string{"bellhop.yaml": "include: ['a[']\n"}, `bellhop.yaml:1:11: include: "a[" is not a glob`, ""},
		"folder":                    {map[string]string{"bellhop.yaml": "include: [d]\n", "d/x": ""}, `bellhop.yaml:1:11: include: d is a folder; write "d/*.yaml"`, ""},
		"faults of all files": {map[string]string{"bellhop.yaml": "include: [a.yaml, b.yaml]\nx1: 1\n", "a.yaml": "x2: 1\n", "b.yaml": "x: [\n"},
			"bellhop.yaml:2:1: unknown key \"x1\" in the file; known keys: bot, store, keep, timezone, include, lease, grace, runner, log, people, access, chats, web, sources, services\n" +
				"a.yaml:1:1: unknown key \"x2\" in the file; known keys: bot, store, keep, timezone, include, lease, grace, runner, log, people, access, chats, web, sources, services\nb.yaml:", ""},
		"circle of two": {map[string]string{"bellhop.yaml": "include: [a.yaml]\n", "a.yaml": "include: [bellhop.yaml]\n"}, `a.yaml:1:11: include: "bellhop.yaml" takes in bellhop.yaml`, ""},
		"setting twice": {map[string]string{"bellhop.yaml": "include: [a.yaml]\nlog: {level: debug}\n", "a.yaml": "log: {level: info}\n"}, "a.yaml:1:14: level is given twice; it stands in bellhop.yaml:2 already", ""},
		"chat twice":    {map[string]string{"bellhop.yaml": "include: [a.yaml]\nchats: {ssh: {}}\n", "a.yaml": "chats: {ssh: {}}\n"}, `a.yaml:1:9: "ssh" is defined twice; it stands in bellhop.yaml:2 already`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, faults := loadFiles(t, c.files)
			got := lines(faults)
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			if c.want != "" {
				return
			}
			var names []string
			for _, s := range cfg.Catalog.Services {
				names = append(names, s.Name)
			}
			if strings.Join(names, " ") != c.names {
				t.Errorf("services %v, want %s", names, c.names)
			}
		})
	}
}

func TestIncludeFromAFolderWithGlobSigns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*c")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"bellhop.yaml": "include: [x*.yaml]\n", "x1.yaml": "bot: found\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, faults, err := config.Load(filepath.Join(dir, "bellhop.yaml"), options(nil))
	if err != nil || len(faults) > 0 || cfg.Catalog.Bot != "found" {
		t.Errorf("%v %v %v", cfg, faults, err)
	}
}

// BAD stands in every kind of scalar; the place that is told is where BAD is.
func TestPlacesInScripts(t *testing.T) {
	for name, run := range map[string]string{
		"plain":                  `echo BAD`,
		"plain after umlauts":    `echo äö BAD`,
		"single quotes":          `'it''s BAD'`,
		"double quotes":          `"a \"q\" \u00e4\t BAD"`,
		"with an anchor":         `&x echo BAD`,
		"with a tag":             `!!str echo BAD`,
		"on the next line":       "\n          echo BAD",
		"literal":                "|\n          one\n\n            two\n          three BAD\n",
		"literal, blank first":   "|\n\n\n          three BAD\n",
		"literal with indent":    "|2\n            three BAD\n          four\n",
		"literal with a comment": "| # why\n          one\n          two BAD\n",
		"folded":                 ">-\n          one\n          two BAD\n\n          three\n",
		"plain over lines":       "one\n          two BAD\n          three",
		"in a list":              `[echo, "x BAD"]`,
		"in a block list":        "\n          - echo\n          - |\n            one\n            BAD\n",
		"literal after crlf":     "|\r\n          one\r\n          two BAD\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := "services:\n  ex:\n    jobs:\n      a:\n        run: " + run + "\n        help: BADs\n"
			line, col := 0, 0
			for i, l := range strings.Split(text, "\n") {
				if before, _, ok := strings.Cut(l, "BAD"); ok && line == 0 {
					line, col = i+1, len([]rune(before))+1
				}
			}
			_, faults := load(t, text)
			want := fmt.Sprintf("bellhop.yaml:%d:%d: BAD is bad\n", line, col)
			if got := lines(faults); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Load keeps nothing between calls and gives each its own.
func TestLoadIsPure(t *testing.T) {
	a, _ := loadFull(t, full(t))
	before := a.Digest()
	b, _ := loadFull(t, full(t))
	b.Catalog.Services[0].Jobs[1].Env["REGION"] = "changed"
	b.Catalog.Services[0].Jobs[1].Params[0].Enum[0] = "changed"
	if a.Digest() != before {
		t.Error("a change of one configuration changed another")
	}
}

func TestTenThousandCommands(t *testing.T) {
	var text strings.Builder
	text.WriteString("services:\n  ex:\n    jobs:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "      job%d: {run: \"echo {a} {b}\", report: {stdout: true}, timeout: 5m}\n", i)
	}
	text.WriteString("    commands:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "      - {command: \"do thing %d [a]\", job: job%d, args: {b: x}, help: Does it}\n", i, i%1000)
	}
	begin := time.Now()
	cfg := mustLoad(t, text.String())
	took := time.Since(begin)
	t.Logf("10,000 commands, %d bytes: %v", text.Len(), took)
	if n := len(cfg.Catalog.Services[0].Entries); n != 10_000 || took > time.Minute {
		t.Errorf("%d entries in %v", n, took)
	}
}
