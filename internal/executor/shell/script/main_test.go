package script_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// TestMain makes the test binary the helper program too: with SCRIPT_HELPER
// set it prints what it was given, each text in angle brackets of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SCRIPT_HELPER") == "" {
		os.Exit(m.Run())
	}
	for _, a := range os.Args[1:] {
		fmt.Printf("%s\x00", a)
	}
}

var params = []bellhop.Param{
	{Name: "x", Type: bellhop.TypeString}, {Name: "y", Type: bellhop.TypeString, Dash: true},
	{Name: "words", Type: bellhop.TypeList}, {Name: "more", Type: bellhop.TypeList},
	{Name: "f", Type: bellhop.TypeString, As: bellhop.AsFile},
}

func compile(text string) (script.Program, []bellhop.JobFault) {
	return script.Compile(bellhop.JobSource{Script: text, Params: params})
}
