package shell

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/bellhop-io/bellhop"
)

// command is what an attempt starts.
type command struct {
	argv  []string
	env   environ
	dir   string
	stdin *os.File // nil = nothing to read
}

func (c *command) close() {
	if c.stdin != nil {
		_ = c.stdin.Close()
	}
}

// prepare makes folders and files, and puts the command together.
func (a *attempt) prepare(ctx context.Context) (*command, error) {
	if err := a.checkSecrets(); err != nil {
		return nil, err
	}
	dir, err := a.workingDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.writeable(), 0o755); err != nil {
		return nil, fmt.Errorf("WRITEABLE_DIR could not be made: %w", err)
	}
	bin := ""
	if a.spec.ScriptURL != "" {
		if bin, err = a.fetchScript(ctx); err != nil {
			return nil, err
		}
	}
	files, err := a.valueFiles()
	if err != nil {
		return nil, err
	}
	line, err := a.spec.Program.Command(a.task.Job.Params, a.task.Args, files)
	if err != nil {
		return nil, err
	}
	cmd := &command{argv: line.Argv, env: a.environ(line.Env, bin), dir: dir}
	if len(cmd.argv) == 0 {
		return nil, fmt.Errorf("%s %s has nothing to run; load the configuration again", a.task.Job.Service, a.task.Job.Name)
	}
	if line.Stdin != nil {
		if cmd.stdin, err = a.stdin(*line.Stdin); err != nil {
			return nil, err
		}
	}
	return cmd, nil
}

// workingDir returns the folder that the process starts in. The one that every
// service has is made; one that was named must be there.
func (a *attempt) workingDir() (string, error) {
	if a.spec.Dir == "" {
		dir := filepath.Join(a.e.opt.Home, "workspace", a.task.Job.Service)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("the workspace could not be made: %w", err)
		}
		return dir, nil
	}
	dir := a.spec.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.e.opt.Home, dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("folder %s can't be entered (%w); make it, or correct the job's dir:", dir, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder; correct the job's dir:", dir)
	}
	return dir, nil
}

// valueFiles writes the arguments of parameters that say `as: file`, and
// returns their paths by parameter.
func (a *attempt) valueFiles() (map[string]string, error) {
	var files map[string]string
	for _, p := range a.task.Job.Params {
		v, ok := a.task.Args[p.Name]
		if p.As != bellhop.AsFile || !ok {
			continue
		}
		file, err := a.valueFile("arg-"+p.Name, v.String())
		if err != nil {
			return nil, err
		}
		if files == nil {
			files = map[string]string{}
		}
		files[p.Name] = file
	}
	return files, nil
}

// valueFile writes a value into the run's own folder, for this user alone.
func (a *attempt) valueFile(name, value string) (string, error) {
	folder, err := a.ownFolder()
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		return "", fmt.Errorf("an argument could not be written into the run's own folder: %w", err)
	}
	return file, nil
}

// stdin returns text opened for reading. It is a file without a name, so a
// process that does not read it holds nothing up.
func (a *attempt) stdin(text string) (*os.File, error) {
	file, err := a.valueFile("stdin", text)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("standard input could not be read back: %w", err)
	}
	_ = os.Remove(file)
	return f, nil
}

// fetchScript puts the script of script_url into a folder of the run's own and
// returns the folder.
func (a *attempt) fetchScript(ctx context.Context) (string, error) {
	folder, err := a.ownFolder()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(folder, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return "", fmt.Errorf("the run's own folder could not be made: %w", err)
	}
	script, warning, err := a.e.fetcher.script(ctx, a.task.Job.Service, a.task.Job.Name, a.spec.ScriptURL, a.spec.SHA256)
	if err != nil {
		return "", err
	}
	if warning != "" {
		a.warnings = append(a.warnings, warning)
	}
	name, err := scriptName(a.spec.ScriptURL)
	if err != nil {
		return "", err
	}
	if err := writeProgram(filepath.Join(bin, name), script); err != nil {
		return "", fmt.Errorf("the fetched script could not be written: %w", err)
	}
	return bin, nil
}

// writeProgram writes a file that will be executed. Nothing is forked
// meanwhile: a child has what its parent has open until its own exec, and the
// kernel does not start a file that is open for writing anywhere (ETXTBSY,
// golang/go#22315).
func writeProgram(file string, data []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(file, data, 0o700)
}
