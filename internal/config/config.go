// Package config reads bellhop.yaml and the files it includes, checks all of
// it, and gives either a configuration that can be run or every fault at once,
// each with file, line and column.
//
// The Go types in model.go are the one description of the file: the decoder
// and the JSON Schema are both made from them by reflection.
package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// DefaultFile is the file that is read when none is named.
const DefaultFile = "bellhop.yaml"

// Options are what loading needs from outside.
type Options struct {
	// Getenv answers ${VAR}; nil = the process's environment.
	Getenv func(string) (string, bool)
	// Compilers check what is an executor's own in a job, by the executor's
	// name. "shell" is needed as soon as the configuration has a job.
	Compilers map[string]bellhop.Compiler
	// Commands, unless nil, checks how the commands of a catalog are asked for:
	// their patterns, and that no two clash. It is given the jobs and
	// commands in which no other fault was found, so that all faults come at
	// once.
	Commands func(*bellhop.Catalog) []bellhop.Fault
	// Times, unless nil, says whether the texts of a window's ends can be
	// read; "" = that end is not fixed.
	Times func(from, until string) error
	// Cron, unless nil, says what is wrong with the expression of a schedule.
	Cron func(text string) error
}

// Config is a checked configuration, defaults filled in. Every path in it is
// absolute, except a job's folder, which its executor resolves from Home.
type Config struct {
	Path    string // the file that was asked for
	Home    string // its folder
	Files   []string
	Catalog *bellhop.Catalog
	Store   Store
	// Location is the configured time zone, else the machine's.
	Location *time.Location `json:"-"`
	Timezone string         // as written; "" = the machine's
	Runner   Runner
	Lease    time.Duration
	Grace    time.Duration
	Log      Log
	Web      *Web        // nil = no HTTP server
	Chats    []Chat      // in the order of the file
	Sources  []Source    // in the order of the file
	Secrets  []SecretUse // every place that names one, in the order of reading

	// texts are those of the files, so that services of the store can be added to
	// what was read. Passwords may be in them: what prints a Config shows where a
	// pointer goes, and no more.
	texts *[]fileText
}

// Runner bounds the work of this server.
type Runner struct {
	Slots     int           // processes at a time
	KillAfter time.Duration // between SIGTERM and SIGKILL
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// Chat is one text front end. Exactly one field besides the first three is
// set, the one that Kind names.
type Chat struct {
	Name  string // of its own; identities begin with it
	Kind  string // ssh, slack
	Pos   bellhop.Position
	SSH   *SSH
	Slack *Slack
}

// SSH is a chat that OpenSSH clients speak to.
type SSH struct {
	Listen         string // host:port
	AuthorizedKeys string // "" = none
	TrustedUserCA  string // "" = none
	HostKey        string
}

// Load reads the file at path ("" = DefaultFile) and what it includes. With
// any fault the Config is nil, and the faults are in the order of the files
// and of the lines in them. The error is for a file that can't be read at all.
// Loading changes nothing outside what it returns.
func Load(path string, opts Options) (*Config, []bellhop.Fault, error) {
	if path == "" {
		path = DefaultFile
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, bellhop.Errorf(bellhop.Unavailable, "the current folder is gone: %w", err)
	}
	data, err := readMain(path)
	if err != nil {
		return nil, nil, err
	}
	l := newLoader(opts)
	l.readFile(path, abs, data)
	return l.build(abs)
}

// build makes a configuration of all that was read, for the file that was asked
// for.
func (l *loader) build(abs string) (*Config, []bellhop.Fault, error) {
	opts := l.opts
	b := &builder{loader: l, home: filepath.Dir(abs), harmless: map[bellhop.Position]bool{}}
	cfg, err := b.config(&l.raw)
	if err != nil {
		return nil, nil, err
	}
	if opts.Commands != nil {
		l.faults.list = append(l.faults.list, opts.Commands(b.sound(cfg.Catalog))...)
	}
	if faults := l.faults.sorted(l.names); len(faults) > 0 {
		return nil, l.hide(faults), nil
	}
	cfg.Path, cfg.Home, cfg.Files, cfg.Secrets, cfg.texts = abs, b.home, l.paths, l.secrets, &l.texts
	return cfg, nil, nil
}

// Digest is equal for configurations that mean the same, whatever their
// comments and layout, and whatever the store's password is: 16 hex digits.
func (c *Config) Digest() string {
	plain := *c
	plain.Catalog = &bellhop.Catalog{Digest: c.Catalog.Digest}
	plain.Chats, plain.Secrets = slices.Clone(c.Chats), nil
	for i := range plain.Chats {
		plain.Chats[i].Pos = bellhop.Position{}
	}
	return digest(plain)[:16]
}

// catalogDigest is equal for catalogs that offer the same in the same words:
// 32 hex digits. The places in files do not count, nor do folders, so that
// servers with the same configuration agree.
func catalogDigest(cat *bellhop.Catalog, timezone string) string {
	type job struct {
		Digest, Help string
		Allow        []bellhop.Rule
		Approve      *bellhop.Approve
	}
	type service struct {
		bellhop.Service
		Jobs []job
	}
	var services []service
	for _, s := range cat.Services {
		plain := service{Service: s}
		plain.Service.Jobs, plain.Pos = nil, bellhop.Position{}
		for _, j := range s.Jobs {
			plain.Jobs = append(plain.Jobs, job{j.Digest(), j.Help, j.Allow, j.Approve})
		}
		plain.Entries = slices.Clone(s.Entries)
		for i := range plain.Entries {
			plain.Entries[i].Pos = bellhop.Position{}
		}
		services = append(services, plain)
	}
	return digest([]any{cat.Bot, timezone, cat.Keep, cat.Keep.MaxOutput, services, cat.Access, cat.Sources})
}

func digest(plain any) string {
	text, err := json.Marshal(plain)
	if err != nil { // plain data throughout
		panic("config: a configuration that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// faultList gathers what is wrong, at most maxFaults of it.
type faultList struct {
	list []bellhop.Fault
}

// maxFaults bounds what is listed: more help nobody.
const maxFaults = 1000

func (f *faultList) add(pos bellhop.Position, message string) {
	if len(f.list) < maxFaults {
		pos.Line, pos.Col = max(pos.Line, 1), max(pos.Col, 1)
		f.list = append(f.list, bellhop.Fault{Pos: pos, Message: message})
	}
}

// has reports whether a fault at pos is known.
func (f *faultList) has(pos bellhop.Position) bool {
	return slices.ContainsFunc(f.list, func(known bellhop.Fault) bool { return known.Pos == pos })
}

// sorted orders the faults by file, in the order of files, then by place, each
// once: a node that aliases repeat is faulty only once.
func (f *faultList) sorted(files []string) []bellhop.Fault {
	slices.SortStableFunc(f.list, func(a, b bellhop.Fault) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.Pos.File), slices.Index(files, b.Pos.File)),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return slices.Compact(f.list)
}
