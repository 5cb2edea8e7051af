package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unknownKey words what to do about a key that is not among fields.
func unknownKey(key string, fields []field, c *scope) string {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	text := fmt.Sprintf("unknown key %s in %s", shorten(key), c)
	if planned(key) {
		return text + ": it is planned, but this version of Bellhop does not have it yet; remove it"
	}
	if near := nearest(key, known); near != "" {
		return text + fmt.Sprintf("; did you mean %q?", near)
	}
	if other := synonym(key); slices.Contains(known, other) {
		return text + fmt.Sprintf("; did you mean %q?", other)
	}
	return text + "; known keys: " + strings.Join(known, ", ")
}

// planned reports whether key is one that the design announces.
func planned(key string) bool {
	switch key {
	case "collectors", "bus", "secrets", "intents", "streams", "nodes", "plugins",
		"result", "steps",
		"labels", "function", "container", "process", "plugin", "node", "when":
		return true
	}
	return false
}

// synonym returns what a key from elsewhere is called here.
func synonym(key string) string {
	switch strings.ToLower(key) {
	case "cmd", "script", "exec", "execute", "shell_command":
		return "run"
	case "pattern", "match", "text", "trigger", "say":
		return "command"
	case "environment", "variables", "vars":
		return "env"
	case "cwd", "workdir", "working_directory", "workspace", "directory", "folder":
		return "dir"
	case "desc", "description", "doc", "usage":
		return "help"
	case "help", "about", "title":
		return "description"
	case "parameters", "inputs", "options", "arguments", "args":
		return "params"
	case "params", "with":
		return "args"
	case "tz", "time_zone":
		return "timezone"
	case "database", "db":
		return "store"
	case "address", "addr", "bind", "port":
		return "listen"
	case "values", "choices", "one_of":
		return "enum"
	case "regexp":
		return "regex"
	case "retention", "expire", "ttl":
		return "keep"
	case "on_error", "on_fail", "failure":
		return "on_failure"
	case "next", "after", "followed_by", "follow", "on_success":
		return "then"
	case "tasks":
		return "jobs"
	case "private", "internal":
		return "restricted"
	}
	return ""
}

// nearest returns the option that word is most likely a misspelling of, "" for
// none. Letter case, - and _ make no difference.
func nearest(word string, options []string) string {
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, bestDistance := "", 0
	for _, o := range options {
		limit := 1 + min(utf8.RuneCountInString(word), len(o))/4
		if utf8.RuneCountInString(word) < 3 || len(o) < 3 {
			limit = 0
		}
		if len(word) > 64 {
			continue
		}
		if strings.HasPrefix(fold(word), fold(o)) || len(word) >= 3 && strings.HasPrefix(fold(o), fold(word)) {
			limit = len(word) + len(o) // an abbreviation, or written out
		}
		if dist := distance(fold(word), fold(o)); dist <= limit && (best == "" || dist < bestDistance) {
			best, bestDistance = o, dist
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

// shorten quotes a word of the file for a message, at most 40 letters of it.
func shorten(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return fmt.Sprintf("%.40q...", s)
	}
	return strconv.Quote(s)
}
