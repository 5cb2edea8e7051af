package script_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// show is the helper program, which ends each text that it is given with NUL.
// It is a script, since there are thousands of calls, and a raced test binary
// takes a while to begin.
const show = "#!/bin/sh\n[ $# = 0 ] || printf '%s\\0' \"$@\"\n"

// helpers is the folder of show.
var helpers string

// TestMain makes show before anything is started: a program that is written
// while another one starts may still be open there, and can't be run then.
func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bellhop-script-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		helpers = dir
		err = os.WriteFile(filepath.Join(dir, "show"), []byte(show), 0o700)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the helper program can't be made:", err)
		return 1
	}
	return m.Run()
}

var params = []bellhop.Param{
	{Name: "x", Type: bellhop.TypeString}, {Name: "y", Type: bellhop.TypeString, Dash: true},
	{Name: "words", Type: bellhop.TypeList}, {Name: "more", Type: bellhop.TypeList},
	{Name: "f", Type: bellhop.TypeString, As: bellhop.AsFile},
}

func compile(text string) (script.Program, []bellhop.JobFault) {
	return script.Compile(bellhop.JobSource{Script: text, Params: params})
}
