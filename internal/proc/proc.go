// Package proc finds the processes of runs by what their environment carries,
// and ends processes and process groups without ever ending a stranger that
// was given the number of a dead one.
//
// Finding works on Linux, for processes whose environment this user may read
// (one's own; every one for root). Elsewhere nothing is found, and groups are
// ended without a look at their start time.
package proc

import (
	"fmt"
	"strconv"
	"strings"
)

// The variables by which processes of runs are known.
const (
	EnvStore    = "BELLHOP_STORE"    // Store.ID of the server's store
	EnvInstance = "BELLHOP_INSTANCE" // one life of a server
	EnvRun      = "BELLHOP_RUN"      // RunID as people say it
	EnvLease    = "BELLHOP_LEASE"    // number of the lease
)

// Mark is what a process carries in its environment. As a filter, empty fields
// match anything.
type Mark struct {
	Store    string
	Instance string
	Run      string
	Lease    string
}

// Environ returns the variables that carry m, empty ones left out.
func (m Mark) Environ() []string {
	var env []string
	for _, v := range [...][2]string{{EnvStore, m.Store}, {EnvInstance, m.Instance}, {EnvRun, m.Run}, {EnvLease, m.Lease}} {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// Matches reports whether what a process carries agrees with m in every field
// that m sets.
func (m Mark) Matches(carried Mark) bool {
	return (m.Store == "" || m.Store == carried.Store) &&
		(m.Instance == "" || m.Instance == carried.Instance) &&
		(m.Run == "" || m.Run == carried.Run) &&
		(m.Lease == "" || m.Lease == carried.Lease)
}

// ReadMark reads a Mark from an environment as the kernel keeps it: entries
// that end with NUL. Of a name that stands there twice, the first counts.
func ReadMark(environ string) Mark {
	var m Mark
	for len(environ) > 0 {
		var entry string
		entry, environ, _ = strings.Cut(environ, "\x00")
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, "BELLHOP_") {
			continue
		}
		var field *string
		switch name {
		case EnvStore:
			field = &m.Store
		case EnvInstance:
			field = &m.Instance
		case EnvRun:
			field = &m.Run
		case EnvLease:
			field = &m.Lease
		default:
			continue
		}
		if *field == "" {
			*field = value
		}
	}
	return m
}

// Process is a process as it was seen once.
type Process struct {
	PID     int
	Parent  int
	Group   int
	Session int
	State   byte   // as in proc(5): R, S, D, T, Z, X ...
	Start   uint64 // clock ticks between boot and its start
	Mark    Mark   // of its environment; zero when that can't be read
}

// Dead reports whether nothing but its exit status is left of the process.
func (p Process) Dead() bool { return p.State == 'Z' || p.State == 'X' }

// parseStat reads /proc/PID/stat. The name of the program stands in brackets
// and may itself hold brackets, spaces and newlines.
func parseStat(stat string) (Process, error) {
	bad := fmt.Errorf("process status %.60q is not in the form of proc(5)", stat)
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return Process{}, bad
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stat[:open]))
	f := strings.Fields(stat[end+1:])
	if err != nil || pid <= 0 || len(f) < 20 || len(f[0]) != 1 {
		return Process{}, bad
	}
	p := Process{PID: pid, State: f[0][0]}
	for _, n := range [...]struct {
		to *int
		s  string
	}{{&p.Parent, f[1]}, {&p.Group, f[2]}, {&p.Session, f[3]}} {
		if *n.to, err = strconv.Atoi(n.s); err != nil {
			return Process{}, bad
		}
	}
	if p.Start, err = strconv.ParseUint(f[19], 10, 64); err != nil {
		return Process{}, bad
	}
	return p, nil
}

// Group names a process group so that another one with the same number is not
// taken for it.
type Group struct {
	ID    int    // number of the group and of its first process
	Start uint64 // of that process; 0 = unknown, which only stands where proc(5) is missing
}

// Handle returns the group as an executor records it: pgid:ID:START.
func (g Group) Handle() string {
	return "pgid:" + strconv.Itoa(g.ID) + ":" + strconv.FormatUint(g.Start, 10)
}

// ParseHandle reads what Handle writes. Groups 0 and 1 are refused: a signal to
// them would reach one's own group, or everything.
func ParseHandle(s string) (Group, error) {
	bad := fmt.Errorf("handle %.60q does not name a process group; it has the form pgid:NUMBER:START", s)
	kind, rest, _ := strings.Cut(s, ":")
	id, start, ok := strings.Cut(rest, ":")
	if kind != "pgid" || !ok {
		return Group{}, bad
	}
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil || n < 2 {
		return Group{}, bad
	}
	t, err := strconv.ParseUint(start, 10, 64)
	if err != nil {
		return Group{}, bad
	}
	g := Group{ID: int(n), Start: t}
	if g.Handle() != s { // signs, leading zeros
		return Group{}, bad
	}
	return g, nil
}
