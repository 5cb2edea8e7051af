package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is said now into testdata/mistakes.txt")

// TestMistakes holds the exact words for what a newcomer gets wrong. The file
// has cases of "== name", the configuration, "-- says", and the faults.
func TestMistakes(t *testing.T) {
	const golden = "testdata/mistakes.txt"
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	cases := strings.Split("\n"+string(data), "\n== ")[1:]
	if len(cases) < 40 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		name, rest, _ := strings.Cut(c, "\n")
		text, want, _ := strings.Cut(rest, "-- says\n")
		got := ""
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"bellhop.yaml": ""}
			file := "bellhop.yaml"
			for l := range strings.Lines(text) {
				if rest, ok := strings.CutPrefix(l, "-- file "); ok {
					file = strings.TrimSpace(rest)
					continue
				}
				files[file] += strings.ReplaceAll(l, "→", "\t")
			}
			cfg, faults := loadFiles(t, files)
			if (cfg == nil) != (len(faults) > 0) {
				t.Errorf("configuration %v with %d faults", cfg, len(faults))
			}
			got = lines(faults)
			if strings.TrimSpace(got) != strings.TrimSpace(want) && !*update {
				t.Errorf("says\n%s\nwant\n%s", got, want)
			}
		})
		now.WriteString("== " + name + "\n" + text + "-- says\n" + got)
		if !strings.HasSuffix(now.String(), "\n\n") {
			now.WriteString("\n")
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
