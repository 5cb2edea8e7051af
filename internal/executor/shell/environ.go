package shell

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// defaultPath is PATH for a server that has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a process finds in its environment, by name.
type environment map[string]string

// baseEnvironment is what every process gets: of the server's own environment
// PATH, HOME, LANG and TZ, and no more.
func baseEnvironment(o Options) environment {
	env := environment{
		"PATH":       cmp.Or(os.Getenv("PATH"), defaultPath),
		"PYTHONPATH": filepath.Join(o.Home, "workspace"),
	}
	for _, name := range []string{"HOME", "LANG", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	return env
}

// environ returns the environment of an attempt. A job's env: may replace what
// is built in, except names that begin with BELLHOP_; its secret:NAME becomes
// the secret's value, here and nowhere else. args holds the
// BELLHOP_ARG_ entries; bin, unless "", goes before PATH and PYTHONPATH.
func (a *attempt) environ(args []string, bin string) environ {
	job := &a.task.Job
	env := maps.Clone(a.e.base)
	env["WRITEABLE_DIR"] = a.writeable()
	if a.task.Traceparent != "" {
		env["TRACEPARENT"] = a.task.Traceparent
	}
	for name, value := range job.Env {
		if !strings.HasPrefix(name, "BELLHOP_") && name != "" && !strings.ContainsAny(name, "=\x00") {
			if secret, ok := bellhop.SecretName(value); ok {
				value = a.task.Secrets[secret]
			}
			env[name] = value
		}
	}
	if bin != "" {
		env["PATH"] = join(bin, env["PATH"])
		env["PYTHONPATH"] = join(bin, env["PYTHONPATH"])
	}
	// The mark stands first: it is what processes are found by.
	list := append(a.mark.Environ(),
		"BELLHOP_SERVICE="+job.Service, "BELLHOP_JOB="+job.Name, "BELLHOP_PRINCIPAL="+a.task.Principal)
	if a.task.Callback != "" {
		list = append(list, "BELLHOP_CALLBACK="+a.task.Callback)
	}
	list = append(list, args...)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return environ{list: list, path: env["PATH"]}
}

// checkSecrets fails when a secret that the job names was not handed over: a
// program that finds an empty password may go on without one.
func (a *attempt) checkSecrets() error {
	for _, name := range a.task.Job.SecretNames() {
		if _, ok := a.task.Secrets[name]; !ok {
			return fmt.Errorf("secret %s was not handed to the runner; set it: bellhop secret set %[1]s", name)
		}
	}
	return nil
}

// environ is an environment as a process is given it.
type environ struct {
	list []string
	path string // its PATH
}

func join(first, rest string) string {
	if rest == "" {
		return first
	}
	return first + string(filepath.ListSeparator) + rest
}

// writeable is the folder that the service may write to.
func (a *attempt) writeable() string {
	return filepath.Join(a.e.opt.Home, "writeable", a.task.Job.Service)
}
