package e2e_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes lists the living processes whose environment may be read. It looks
// for itself, not by the product's own means.
func processes() []leftover {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var out []leftover
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, err := os.ReadFile(dir + "/environ")
		if err != nil || len(environ) == 0 {
			continue // gone, a zombie, or somebody else's
		}
		env := make(map[string]string)
		for _, kv := range strings.Split(string(environ), "\x00") {
			if k, v, ok := strings.Cut(kv, "="); ok {
				if _, twice := env[k]; !twice {
					env[k] = v
				}
			}
		}
		line, _ := os.ReadFile(dir + "/cmdline")
		out = append(out, leftover{pid: pid, env: env, line: strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))})
	}
	return out
}
