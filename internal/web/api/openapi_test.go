package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

func publicHandler() *Handler {
	return NewPublic(nil, func(*http.Request) (bellhop.Person, error) { return bellhop.Person{}, nil }, nil, slog.New(slog.DiscardHandler))
}

// TestEveryEndpointIsDocumented, and nothing else is.
func TestEveryEndpointIsDocumented(t *testing.T) {
	patterns, all := publicHandler().patterns, operations()
	for _, p := range patterns {
		if _, ok := all[p]; !ok {
			t.Errorf("%s is not in the OpenAPI document; describe it in operations.go", p)
		}
	}
	for p, op := range all {
		if !slices.Contains(patterns, p) {
			t.Errorf("%s is in the OpenAPI document and is no endpoint", p)
		}
		if op.about == "" || len(op.answers) == 0 {
			t.Errorf("%s does not say what it does or answers", p)
		}
	}
}

// TestTheDocumentIsOpenAPI holds the document against the standard's own
// schema, by a validator that others wrote.
func TestTheDocumentIsOpenAPI(t *testing.T) {
	doc := publicHandler().document()
	var parsed struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, methods := range parsed.Paths {
		for method, op := range methods {
			if ids[op.ID] {
				t.Errorf("%s %s has the id %s of another", method, path, op.ID)
			}
			ids[op.ID] = true
		}
	}
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal("npm is not on PATH; install it with Node")
		}
		t.Skip("npm is not on PATH; with it, a public validator looks at the document")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "validate.js"} {
		text, err := os.ReadFile(filepath.Join("testdata", "openapi", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ENOTFOUND") || strings.Contains(string(out), "EAI_AGAIN") {
			t.Skipf("npm's registry can't be reached: %s", out)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	check := exec.CommandContext(t.Context(), "node", "validate.js")
	check.Dir, check.Stdin = dir, bytes.NewReader(doc)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("the OpenAPI document is not valid: %v\n%s", err, out)
	}
}
