package shell

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// spec is a job's definition as it is stored.
type spec struct {
	Program   script.Program `json:"program"`
	Dir       string         `json:"dir,omitempty"`
	ScriptURL string         `json:"script_url,omitempty"`
	SHA256    string         `json:"sha256,omitempty"`
}

// Compiler implements bellhop.Compiler for the jobs of this executor.
type Compiler struct{}

var _ bellhop.Compiler = Compiler{}

// Compile checks a job. Whether programs and folders that it names are there is
// not looked at, since they may come later; the shell must be there.
//
// dir is relative to the configuration's folder and stays within it, or
// absolute. It is fixed text.
func (Compiler) Compile(src bellhop.JobSource) (bellhop.CompiledJob, []bellhop.JobFault) {
	prog, faults := script.Compile(src)
	whole := func(message string) {
		faults = append(faults, bellhop.JobFault{Item: -2, Line: 1, Col: 1, Message: message})
	}
	if fault := checkShell(src); fault != "" {
		whole(fault)
	}
	if fault := checkDir(src.Dir); fault != "" {
		whole(fault)
	}
	for _, fault := range checkURL(src) {
		whole(fault)
	}
	if len(faults) > 0 {
		return bellhop.CompiledJob{}, faults
	}
	b, err := json.Marshal(spec{Program: prog, Dir: src.Dir, ScriptURL: src.ScriptURL, SHA256: strings.ToLower(src.SHA256)})
	if err != nil {
		whole("the job can't be written down: " + err.Error())
		return bellhop.CompiledJob{}, faults
	}
	return bellhop.CompiledJob{Spec: b, Names: prog.Names}, nil
}

func checkShell(src bellhop.JobSource) string {
	if src.Script == "" || src.Shell == "sh" {
		return ""
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	if _, err := lookProgram("bash", path, ""); err != nil {
		return "bash, which runs `run:` lines, was not found on PATH; install it, or say `shell: sh`"
	}
	return ""
}

func checkDir(dir string) string {
	switch {
	case strings.ContainsRune(dir, 0):
		return "dir holds a NUL character; remove it"
	case dir == "" || filepath.IsAbs(dir) || filepath.IsLocal(dir):
		return ""
	}
	return "dir " + dir + " leads out of the configuration's folder; write the whole path, beginning with /"
}

func checkURL(src bellhop.JobSource) (faults []string) {
	if src.ScriptURL != "" {
		if _, err := scriptName(src.ScriptURL); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if src.SHA256 == "" {
		return faults
	}
	if src.ScriptURL == "" {
		faults = append(faults, "sha256 stands without a script_url; add one, or take it out")
	}
	if len(src.SHA256) != 64 || strings.Trim(strings.ToLower(src.SHA256), "0123456789abcdef") != "" {
		faults = append(faults, "sha256 is not 64 hexadecimal digits; sha256sum FILE prints them")
	}
	return faults
}
