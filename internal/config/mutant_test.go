package config_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop/internal/config"
)

// check loads text and says what must never be.
func check(t testing.TB, dir, text string) (valid bool) {
	t.Helper()
	path := filepath.Join(dir, "bellhop.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cfg, faults, err := config.Load(path, options(map[string]string{"STORE": "x", "PORT": "2200"}))
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v for %q", took, text)
	}
	if err != nil {
		t.Errorf("a file that can be read gave the error %v", err)
	}
	if (cfg == nil) == (len(faults) == 0) {
		t.Errorf("configuration %v with %d faults", cfg != nil, len(faults))
	}
	lineCount := strings.Count(text, "\n") + 1
	for _, f := range faults {
		if f.Pos.File != path || f.Pos.Line < 1 || f.Pos.Line > lineCount || f.Pos.Col < 1 || strings.TrimSpace(f.Message) == "" || !utf8.ValidString(f.Message) {
			t.Errorf("fault %q at %+v of %d lines", f.Message, f.Pos, lineCount)
		}
	}
	return cfg != nil
}

// TestThousandMutants spoils a good configuration in a thousand ways, the same
// at every run.
func TestThousandMutants(t *testing.T) {
	dir := t.TempDir()
	good := full(t)
	if !check(t, dir, good) {
		t.Fatal("the configuration that is spoilt is no good itself")
	}
	valid := 0
	for i := range 1000 {
		text := mutate(rand.New(rand.NewPCG(7, uint64(i))), good)
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("mutant %d: panic %v\n%s", i, r, text)
				}
			}()
			if check(t, dir, text) {
				valid++
			}
		}()
		if t.Failed() {
			t.Fatalf("mutant %d:\n%s", i, text)
		}
	}
	t.Logf("%d of 1,000 mutants are good configurations still", valid)
	if valid > 500 {
		t.Errorf("%d of 1,000 mutants do no harm", valid)
	}
}

func mutate(r *rand.Rand, text string) string {
	for range 1 + r.IntN(3) {
		ls := strings.Split(text, "\n")
		i, j := r.IntN(len(ls)), r.IntN(len(ls))
		switch r.IntN(9) {
		case 0:
			ls = append(ls[:i], ls[i+1:]...)
		case 1:
			ls = append(ls[:i], append([]string{ls[i]}, ls[i:]...)...)
		case 2:
			ls[i], ls[j] = ls[j], ls[i]
		case 3:
			ls[i] = strings.Repeat(" ", r.IntN(5)) + ls[i]
		case 4:
			ls[i] = strings.TrimPrefix(ls[i], strings.Repeat(" ", 1+r.IntN(4)))
		case 5:
			ls[i] = insert(r, ls[i], spoilers[r.IntN(len(spoilers))])
		case 6:
			if k := strings.Index(ls[i], ": "); k >= 0 {
				ls[i] = ls[i][:k+2] + spoilers[r.IntN(len(spoilers))]
			}
		case 7:
			if len(ls[i]) > 0 {
				k := r.IntN(len(ls[i]))
				ls[i] = ls[i][:k] + ls[i][k+1:]
			}
		case 8:
			ls = ls[:i]
		}
		text = strings.Join(ls, "\n")
		if text == "" {
			return "\n"
		}
	}
	return text
}

func insert(r *rand.Rand, s, what string) string {
	k := r.IntN(len(s) + 1)
	return s[:k] + what + s[k:]
}

var spoilers = []string{"{", "}", "[", "]", "\t", ":", ": ", "- ", "&a ", "*a", "*env", "!x ", "|", ">", "\"", "'", "#", " #", "<<: ", "? ", "---\n", "%", "@", "`", "\r",
	"\x00", "\xff", "\u2028", "\uFEFF", "é", "null", "~", "-1", "1e999", "99999999999999999999", "0x", "true", "5m", "${", "${NOPE}", "${PORT}", "secret:x", "{a}", "[a]", "a: b", "BAD", strings.Repeat("x", 3000)}

func FuzzLoad(f *testing.F) {
	good, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(string(config.Starter()["bellhop.yaml"]))
	mistakes, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(mistakes), "\n== ") {
		_, rest, _ := strings.Cut(c, "\n")
		text, _, _ := strings.Cut(rest, "-- says\n")
		f.Add(text)
	}
	for _, s := range spoilers {
		f.Add(s)
		f.Add(fmt.Sprintf("services: {ex: {jobs: {a: {run: %s}}}}", s))
		f.Add(fmt.Sprintf("services:\n  ex:\n    env:\n      A: %s\n", s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return // what lies around it is not this test's
		}
		check(t, dir, text)
	})
}
