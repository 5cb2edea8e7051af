package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
)

// compiler is a small honest stand-in for the shell's: it finds the names in
// braces, and a place that says BAD.
type compiler struct{}

func (compiler) Compile(src bellhop.JobSource) (bellhop.CompiledJob, []bellhop.JobFault) {
	texts, first := src.Argv, 0
	if src.Argv == nil {
		texts, first = []string{src.Script}, -1
	}
	var c bellhop.CompiledJob
	var faults []bellhop.JobFault
	seen := map[string]bool{}
	for i, t := range texts {
		for _, m := range regexp.MustCompile(`\{([a-z][a-z0-9_.]*)\}`).FindAllStringSubmatch(t, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				c.Names = append(c.Names, m[1])
			}
		}
		for n, l := range strings.Split(t, "\n") {
			if col := strings.Index(l, "BAD"); col >= 0 {
				faults = append(faults, bellhop.JobFault{Item: first + i, Line: n + 1, Col: utf8.RuneCountInString(l[:col]) + 1, Message: "BAD is bad"})
			}
		}
	}
	if len(faults) > 0 {
		return bellhop.CompiledJob{}, faults
	}
	c.Spec, _ = json.Marshal(src)
	return c, faults
}

func options(env map[string]string) config.Options {
	return config.Options{
		Getenv:    func(k string) (string, bool) { v, ok := env[k]; return v, ok },
		Compilers: map[string]bellhop.Compiler{"shell": compiler{}},
		Cron: func(text string) error { // the true one is internal/schedule's
			if strings.HasPrefix(text, "61") || text == "" {
				return fmt.Errorf("%q is bad", text)
			}
			return nil
		},
	}
}

// write puts files into a folder of the test's own.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load reads text as bellhop.yaml.
func load(t testing.TB, text string) (*config.Config, []bellhop.Fault) {
	t.Helper()
	return loadFiles(t, map[string]string{"bellhop.yaml": text})
}

func loadFiles(t testing.TB, files map[string]string) (*config.Config, []bellhop.Fault) {
	t.Helper()
	dir := write(t, files)
	t.Chdir(dir)
	cfg, faults, err := config.Load("bellhop.yaml", options(map[string]string{"SET": "from the environment", "PORT": "2200"}))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return cfg, faults
}

// mustLoad fails the test unless text is a good configuration.
func mustLoad(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, faults := load(t, text)
	for _, f := range faults {
		t.Errorf("unexpected fault: %s", f)
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

func lines(faults []bellhop.Fault) string {
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}
