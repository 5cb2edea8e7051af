package config

import (
	"strings"
	"testing"
)

func TestMissedNoneMeansSkip(t *testing.T) {
	options := []string{"one", "skip", "all"}
	for val, want := range map[string]string{"none": "skip", "None": "skip", "onee": "one"} {
		if got := notOneOf("missed", val, options); !strings.HasSuffix(got, `; did you mean "`+want+`"?`) {
			t.Errorf("%s: %s", val, got)
		}
	}
}
