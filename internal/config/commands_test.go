package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
)

func TestFaultsOfCommandsComeWithTheOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	text := `services:
  mixed:
    jobs:
      a: {run: echo, tiemout: 5m}
      b: {run: "echo {x}"}
      c:
        run: |
          echo one
          echo BAD
    commands:
      - {command: of a faulty job, job: a}
      - {command: "of a sound one [x]", job: b}
      - {command: with an unknown argument, job: b, args: {x: 1, z: 2}}
      - {command: faulty itself, job: b, dleay: 1s}
      - {command: of a faulty script, job: c}
      - {command: "of all until [until]", action: suppress}
  sound:
    jobs: {b: {run: echo}}
    commands: [{command: one, job: b}]
logg: {}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var given []string
	_, faults, err := config.Load(path, config.Options{
		Compilers: map[string]bellhop.Compiler{"shell": compiler{}},
		Commands: func(cat *bellhop.Catalog) []bellhop.Fault {
			for _, s := range cat.Services {
				for _, e := range s.Entries {
					given = append(given, e.Pattern)
				}
			}
			return []bellhop.Fault{{Pos: cat.Services[1].Entries[0].Pos, Message: "clash"}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(given, ", "); got != "of a sound one [x], with an unknown argument, of all until [until], one" {
		t.Errorf("given the commands %q, want those without a fault and about such jobs", got)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Pos.Line)
	}
	if want := []int{4, 9, 13, 14, 19, 20}; !slices.Equal(lines, want) {
		t.Errorf("faults %v, want those of lines %v", faults, want)
	}
}

// Times that the configuration fixes are read when it is checked, each by
// itself and with its place.
func TestFixedTimesAreRead(t *testing.T) {
	dir := write(t, map[string]string{"bellhop.yaml": `services:
  s:
    jobs: {b: {run: echo}}
    commands:
      - {command: one, action: suppress, args: {from: "never", until: "06:00"}}
      - {command: two, action: suppress, job: b, args: {from: "23:00", until: "yesterday"}}
      - {command: "three [until]", action: suppress, args: {from: "23:00"}}
      - {command: four, action: suppress, args: {until: ""}}
`})
	t.Chdir(dir)
	opts := options(nil)
	opts.Times = func(from, until string) error {
		if from == "never" || until == "yesterday" || from != "" && until != "" || from == "" && until == "" {
			return bellhop.Errorf(bellhop.Invalid, "bad: %q, %q", from, until)
		}
		return nil
	}
	_, faults, err := config.Load("bellhop.yaml", opts)
	if err != nil {
		t.Fatal(err)
	}
	const want = `bellhop.yaml:5:55: args: bad: "never", ""
bellhop.yaml:6:79: args: bad: "", "yesterday"
bellhop.yaml:8:57: args: until is one time, such as 18:30, a date, or a duration such as 2h
`
	if got := lines(faults); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
