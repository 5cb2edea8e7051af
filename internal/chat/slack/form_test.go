package slack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

func TestAFormIsNoLongerThanALine(t *testing.T) {
	t.Parallel()
	values := map[string]map[string]field{}
	var q bellhop.Question
	for i := range 100 {
		p := bellhop.Param{Name: fmt.Sprintf("p%d", i), Type: bellhop.TypeString}
		text := strings.Repeat("x", 100)
		q.Missing = append(q.Missing, p)
		values[p.Name] = map[string]field{input: {Value: &text}}
	}
	if form, faults := readForm(q, values); len(form) != maxFields || len(faults) != 0 {
		t.Errorf("%d of %d fields, faults %v", len(form), maxFields, faults)
	}
	for name := range values {
		text := strings.Repeat("x", chat.MaxLine/10)
		values[name] = map[string]field{input: {Value: &text}}
	}
	if form, faults := readForm(q, values); len(form) != 10 || !strings.Contains(faults["p10"], "longer than 1,048,576 bytes") {
		t.Errorf("%d fields, faults %v", len(form), faults)
	}
	code := strings.Repeat("4", 1000)
	values[confirm] = map[string]field{input: {Value: &code}}
	if _, faults := readForm(bellhop.Question{Kind: bellhop.AskCode}, values); faults[confirm] == "" {
		t.Error("a code of 1,000 digits is taken")
	}
}
