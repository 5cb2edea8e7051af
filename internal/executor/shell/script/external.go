package script

import (
	"path"
	"regexp"
	"strings"
)

// kind says what a program makes of its arguments and its standard input.
type kind uint8

const (
	plain      kind = iota
	codeArgs        // takes code, or a command, in its arguments
	codeBoth        // and in its standard input
	wrapper         // starts the program that its arguments name
	interprets      // runs a script file, or else its standard input
	query           // jq and its kind: code, and --arg NAME VALUE
	subcommand      // docker, git: depends on the first operand
)

// kindOf knows programs by their base name without a version. What is not
// listed is plain: its arguments are its own affair.
func kindOf(name string) kind {
	switch name {
	case "bash", "sh", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "fish", "csh", "tcsh", "rbash", "pwsh", "powershell",
		"python", "pypy", "perl", "ruby", "jruby", "node", "nodejs", "bun", "php", "lua", "luajit", "tclsh", "wish", "expect", "rscript", "julia", "guile", "elixir", "groovy", "osascript":
		return interprets
	case "ssh", "autossh", "sshpass", "mosh", "rsh", "remsh", "rlogin", "plink", "pssh", "pdsh", "clush", "dsh", "xargs", "parallel", "at", "batch", "crontab",
		"psql", "mysql", "mariadb", "sqlite", "sqlite3", "mongo", "mongosh", "sqlcmd", "sqlplus", "cqlsh", "duckdb", "clickhouse-client", "bq", "influx",
		"bc", "dc", "ed", "ex", "vi", "vim", "nvim", "emacs", "m4", "gdb", "lldb", "gnuplot", "octave", "jshell", "ghci", "irb", "ipython", "deno", "rscript-e", "sftp", "ftp", "lftp", "telnet", "r":
		return codeBoth
	case "awk", "gawk", "mawk", "nawk", "original-awk", "sed", "gsed", "scp", "rsync", "make", "gmake", "bmake", "cmake", "ninja", "just", "task", "rake", "ansible", "ansible-console", "salt", "fab",
		"eval", "source", ".", "trap", "alias", "let", "tmux", "screen", "byobu", "entr", "watchexec", "npx", "vagrant", "systemd-run", "script", "expr", "envsubst", "socat", "ncat", "watch", "hyperfine", "find2perl":
		return codeArgs
	case "env", "command", "builtin", "exec", "nohup", "sudo", "doas", "su", "runuser", "timeout", "gtimeout", "nice", "ionice", "chrt", "taskset", "setsid", "stdbuf", "unbuffer", "time",
		"flock", "chroot", "unshare", "nsenter", "setpriv", "strace", "ltrace", "valgrind", "busybox", "toybox", "proot", "fakeroot", "xvfb-run", "dbus-run-session", "start-stop-daemon",
		"daemonize", "gosu", "su-exec", "tini", "dumb-init", "direnv", "caffeinate", "arch", "linux32", "linux64", "setarch", "softlimit", "chpst", "pkexec", "newgrp", "sg", "catchsegv", "rlwrap", "cgexec", "firejail", "bwrap", "ssh-agent", "faketime", "coproc":
		return wrapper
	case "jq", "yq", "gojq", "jaq":
		return query
	case "git", "docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "find", "gfind", "fd", "fdfind":
		return subcommand
	}
	return plain
}

var version = regexp.MustCompile(`[-.]?[0-9][0-9.]*(\.exe)?$`)

// programName is a program's base name in lower case, and without version.
func programName(name string) string {
	base := strings.ToLower(path.Base(name))
	if kindOf(base) != plain {
		return base
	}
	if short := version.ReplaceAllString(base, ""); short != "" {
		return short
	}
	return base
}

// external says why a program may not be given these arguments, and where; ""
// when it may. stdin says that its standard input may hold a value.
func external(command string, at int, args []arg, stdin bool) (int, string) {
	name := programName(command)
	k := kindOf(name)
	hurt, hostileArgs := firstHostile(args)
	if stdin {
		if message := readsCode(name, k, args); message != "" {
			return at, message
		}
	}
	if !hostileArgs {
		return 0, ""
	}
	switch k {
	case codeArgs, codeBoth:
		return hurt.cause, "can't be given to " + name + ", which takes code in its arguments"
	case wrapper:
		return hurt.cause, "can't be given to " + name + ", which starts what its arguments name; leave " + name + " out, or put it into a script file"
	case interprets:
		if i := scriptAt(name, args); i < 0 || i >= indexOf(args, hurt) {
			return hurt.cause, "can be given to " + name + " only after a script file that is named there, without -c, -e, -m or their like before it"
		}
		return 0, ""
	case query:
		for i, a := range args {
			if a.lvl == hostile && !(i >= 2 && args[i-1].fixed && isArgOption(args[i-2])) {
				return a.cause, "can be given to " + name + " only as --arg NAME VALUE; anywhere else it could be code"
			}
		}
		return 0, ""
	case subcommand:
		if message := family(name, args, hurt); message != "" {
			return hurt.cause, message
		}
	}
	if at, message := launched(name, args); message != "" {
		return at, message
	}
	if strings.Contains(strings.TrimPrefix(command, "/"), "/") && command[0] != '/' {
		return 0, "" // ./a program of the job's own
	}
	return commandOption(name, args)
}

// commandOption finds a value given to an option by which programs from
// elsewhere take a command.
func commandOption(name string, args []arg) (int, string) {
	for i, a := range args {
		if a.lvl != hostile {
			continue
		}
		option := a.head
		if i > 0 && args[i-1].fixed && !strings.HasPrefix(option, "-") {
			option = args[i-1].text
		}
		option, _, _ = strings.Cut(option, "=")
		switch strings.TrimLeft(option, "-") {
		case "exec", "execute", "eval", "command", "cmd", "to-command", "use-compress-program", "checkpoint-action", "rsh", "rsh-command", "init-command", "remote-command", "shell-command",
			"upload-pack", "receive-pack", "preprocessor", "pre", "pager", "editor", "diff-program", "compress-program", "proxycommand", "rmt-command", "info-script", "new-volume-script":
			if strings.HasPrefix(option, "-") {
				return a.cause, "can't be given to " + name + " " + option + ", which takes a command"
			}
		case "I", "F":
			if name == "tar" || name == "gtar" || name == "bsdtar" {
				return a.cause, "can't be given to " + name + " " + option + ", which takes a command"
			}
		}
	}
	return 0, ""
}

func indexOf(args []arg, a arg) int {
	for i := range args {
		if args[i].at == a.at {
			return i
		}
	}
	return -1
}

func isArgOption(a arg) bool {
	return a.fixed && (a.text == "--arg" || a.text == "--argjson" || a.text == "--rawfile" || a.text == "--slurpfile")
}

// harmless gives the one-letter options of an interpreter that take no value
// and no code, and leave the first operand the script file.
func harmless(name string) string {
	switch name {
	case "bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "rbash":
		return "aefuvxnC"
	case "python", "pypy":
		return "uBEIOsSvqb"
	case "perl":
		return "wWTt"
	case "ruby", "jruby":
		return "wW"
	}
	return ""
}

// scriptAt returns the index of the script file that an interpreter is to run,
// -1 when there is none or it can't be known.
func scriptAt(name string, args []arg) int {
	for i, a := range args {
		if a.lvl == hostile || a.many {
			return -1
		}
		if !a.fixed {
			if a.tail != "" && strings.Contains(a.tail, "/") { // "$DIR/job.py"
				return i
			}
			return -1
		}
		switch {
		case a.text == "" || a.text == "-" || a.text == "--":
			return -1
		case strings.HasPrefix(a.text, "/dev/"), strings.HasPrefix(a.text, "/proc/"):
			return -1
		case a.text[0] != '-' && a.text[0] != '+':
			return operandAt(name, i)
		}
		if a.text[0] == '+' || strings.Trim(a.text[1:], harmless(name)) != "" {
			return -1
		}
	}
	return -1
}

// operandAt leaves out interpreters whose first operand may be a subcommand.
func operandAt(name string, i int) int {
	switch name {
	case "bun", "powershell", "elixir", "osascript":
		return -1
	}
	return i
}

// readsCode says why a program may not have a value as standard input.
func readsCode(name string, k kind, args []arg) string {
	switch k {
	case codeBoth:
		return "can't be the input of " + name + ", which takes code there"
	case interprets:
		if scriptAt(name, args) >= 0 || len(args) > 0 && args[0].fixed && (args[0].text == "-c" || args[0].text == "-e") && name != "expect" {
			return ""
		}
		return "can't be the input of " + name + " unless a script file is named there: " + name + " would run it"
	case plain, query, codeArgs:
		if k == plain || k == query || name != "watch" {
			return nestedReader(name, args, k == plain)
		}
	case wrapper, subcommand:
		return nestedReader(name, args, false)
	}
	return ""
}

// nestedReader looks for a program among the arguments that would run its
// standard input. A plain program is taken to start none, unless an argument
// is a whole shell.
func nestedReader(name string, args []arg, isPlain bool) string {
	for i, a := range args {
		if !a.fixed {
			continue
		}
		inner := programName(a.text)
		switch k := kindOf(inner); {
		case isPlain && !shellName(inner):
		case k == interprets && scriptAt(inner, args[i+1:]) < 0, k == codeBoth && !isPlain:
			return "can't be the input of " + name + " with " + inner + ", which takes code there"
		}
	}
	if name == "make" || name == "gmake" || name == "su" || name == "chroot" || name == "nsenter" || name == "unshare" {
		return "can't be the input of " + name + ", which may take code there"
	}
	return ""
}

func shellName(name string) bool {
	switch name {
	case "bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "fish":
		return true
	}
	return false
}

// family judges programs that take code or commands under some of their
// subcommands or options.
func family(name string, args []arg, hurt arg) string {
	words := map[string]bool{}
	for _, a := range args[:indexOf(args, hurt)] {
		if !a.fixed {
			words["?"] = true
		}
		words[a.text] = true
		if option, _, ok := strings.Cut(a.text, "="); ok {
			words[option] = true
		}
	}
	switch name {
	case "find", "gfind", "fd", "fdfind":
		for _, a := range args {
			if a.fixed && (strings.HasPrefix(a.text, "-exec") || strings.HasPrefix(a.text, "-ok") || a.text == "-x" || a.text == "-X" || a.text == "--exec" || a.text == "--exec-batch") {
				return "can't be given to " + name + " with " + a.text + ", which starts commands"
			}
			if a.lvl == hostile && a.many {
				return "is a list, which could give " + name + " an -exec"
			}
		}
		return ""
	case "git":
		if len(args) == 0 || !args[0].fixed || strings.HasPrefix(args[0].text, "-") && args[0].text != "-C" {
			return "can be given to git only after a subcommand that follows git itself"
		}
		for _, bad := range []string{"?", "-c", "config", "bisect", "filter-branch", "submodule", "rebase", "difftool", "mergetool", "send-email", "daemon", "archive", "grep", "--upload-pack", "--receive-pack", "--exec", "--exec-path", "--config-env", "--config", "-u", "ls-remote"} {
			if words[bad] {
				return "can't be given to git with " + strings.ReplaceAll(bad, "?", "a subcommand known only when it runs") + ", which may start commands"
			}
		}
		return gitNeedsVerb(args, hurt)
	}
	for _, bad := range []string{"exec", "run", "debug", "create", "ssh", "attach", "plugin", "config", "?"} {
		if words[bad] {
			return "can't be given to " + name + " " + strings.ReplaceAll(bad, "?", "with a word known only when it runs") + ", which starts commands"
		}
	}
	if len(words) == 0 {
		return "can't be the subcommand of " + name
	}
	return ""
}

// gitNeedsVerb refuses a value in the place of the subcommand, where an alias
// could be named.
func gitNeedsVerb(args []arg, hurt arg) string {
	verb := 0
	if args[0].text == "-C" {
		verb = 2
	}
	if indexOf(args, hurt) < verb {
		return ""
	}
	if verb >= len(args) || !args[verb].fixed || strings.HasPrefix(args[verb].text, "-") {
		return "can be given to git only after a subcommand that follows git itself"
	}
	return ""
}

// launched finds a shell or interpreter among the arguments of any program
// (chroot DIR sh -c ..., docker exec NAME bash -c ...) that is handed code.
func launched(name string, args []arg) (int, string) {
	for i, a := range args {
		if !a.fixed {
			continue
		}
		inner := programName(a.text)
		if kindOf(inner) != interprets && inner != "eval" && inner != "xargs" {
			continue
		}
		for j := i + 1; j < len(args); j++ {
			if !args[j].fixed || len(args[j].text) < 2 || args[j].text[0] != '-' || !strings.ContainsAny(args[j].text, "cemE") {
				continue
			}
			if hurt, ok := firstHostile(args[j:]); ok {
				return hurt.cause, "can't be given to " + name + " with " + inner + " " + args[j].text + ", which takes code in its arguments"
			}
		}
	}
	return 0, ""
}
