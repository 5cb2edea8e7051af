package metrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/metrics"
)

// TestManualListsThem compares the manual's table with what there is.
func TestManualListsThem(t *testing.T) {
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, d := range metrics.New(metrics.Options{}).List() {
		labels := ""
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "`"
		}
		want = append(want, "| `"+d.Name+"` | "+d.Type+" | "+labels+" | "+d.Help+" |")
	}
	_, table, _ := strings.Cut(string(b), "| metric | type | labels | what |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if table != strings.Join(want, "\n") {
		t.Errorf("the table in docs/metrics.md is\n%s\nand is to be\n%s", table, strings.Join(want, "\n"))
	}
}

var inQuery = regexp.MustCompile(`\b(?:bellhop|go|process)_[a-z0-9_]+`)

// TestDashboardAsksForWhatThereIs parses the dashboard and looks for each
// metric of its expressions.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	b, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{"go_goroutines": true, "process_resident_memory_bytes": true, "process_cpu_seconds_total": true}
	used := map[string]bool{}
	for _, d := range metrics.New(metrics.Options{}).List() {
		if there[d.Name] = true; d.Type == "histogram" {
			there[d.Name+"_bucket"], there[d.Name+"_count"], there[d.Name+"_sum"] = true, true, true
		}
	}
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			names := inQuery.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q: %q asks for none of Bellhop's metrics", p.Title, target.Expr)
			}
			for _, n := range names {
				if used[n] = true; !there[n] {
					t.Errorf("panel %q asks for %s, which is not there", p.Title, n)
				}
			}
		}
	}
	for _, d := range metrics.New(metrics.Options{}).List() {
		if d.Name != "bellhop_build_info" && !used[d.Name] && !used[d.Name+"_bucket"] {
			t.Errorf("no panel shows %s", d.Name)
		}
	}
	if board.Title == "" || !slices.ContainsFunc(board.Panels, func(p struct {
		Title   string
		Type    string
		Targets []struct{ Expr string }
	}) bool {
		return strings.Contains(p.Title, "Refusals")
	}) {
		t.Error("is this the dashboard?")
	}
}
