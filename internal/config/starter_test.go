package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/config"
)

func TestStarterIsAGoodConfiguration(t *testing.T) {
	files := map[string]string{}
	for name, data := range config.Starter() {
		files[name] = string(data)
	}
	cfg, faults := loadFiles(t, files)
	if len(faults) > 0 {
		t.Fatalf("faults:\n%s", lines(faults))
	}
	s, ok := cfg.Catalog.Service("example")
	if !ok || len(s.Jobs) != 3 || len(s.Entries) != 3 {
		t.Fatalf("service = %+v", s)
	}
}

// Even what is commented out is right.
func TestStarterCommentsAreGood(t *testing.T) {
	text := string(config.Starter()["bellhop.yaml"])
	for _, l := range []string{"timezone: Europe/London", "include: [services/*.yaml]", "chats:", "  ssh: {listen"} {
		if !strings.Contains(text, "\n# "+l) {
			t.Fatalf("no comment %q", l)
		}
		text = strings.Replace(text, "\n# "+l, "\n"+l, 1)
	}
	cfg := mustLoad(t, text)
	if len(cfg.Chats) != 1 || cfg.Timezone != "Europe/London" {
		t.Errorf("chats %v, time zone %q", cfg.Chats, cfg.Timezone)
	}
}

func TestStarterJobRuns(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal("python3 is not on PATH: apt-get install python3")
		}
		t.Skip("python3 is not on PATH: apt-get install python3")
	}
	files := map[string]string{}
	for name, data := range config.Starter() {
		files[name] = string(data)
	}
	dir := write(t, files)
	cmd := exec.Command(python, "do_job.py", "--some-arg", "5")
	cmd.Dir = filepath.Join(dir, "workspace", "example")
	out := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=" + filepath.Join(dir, "workspace"), "WRITEABLE_DIR=" + out, "BELLHOP_PRINCIPAL=alice"}
	got, err := cmd.CombinedOutput()
	want := "Greeted alice 5 times; the last one was: Hello alice, number 5\nAll of it is in greetings.txt.\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if data, _ := os.ReadFile(filepath.Join(out, "greetings.txt")); strings.Count(string(data), "\n") != 5 {
		t.Errorf("greetings.txt holds %q", data)
	}
}
