package server

import (
	"os"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
	"github.com/bellhop-io/bellhop/internal/router"
	"github.com/bellhop-io/bellhop/internal/schedule"
)

// Loaded is a configuration that was checked as a whole.
type Loaded struct {
	*config.Config
	table  *router.Router
	getenv func(string) (string, bool) // nil = the process's
}

// Load reads and checks a configuration file, its jobs' scripts and its
// commands' patterns included. With any fault there is no Loaded.
func Load(path string) (*Loaded, []bellhop.Fault, error) { return loadFile(path, nil) }

// LoadToTry is Load where variables that are not set stand for their names:
// to try out what takes no secret.
func LoadToTry(path string) (*Loaded, []bellhop.Fault, error) {
	return loadFile(path, func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		return "not set: " + name, true
	})
}

func loadFile(path string, getenv func(string) (string, bool)) (*Loaded, []bellhop.Fault, error) {
	return load(getenv, func(o config.Options) (*config.Config, []bellhop.Fault, error) { return config.Load(path, o) })
}

// with is the configuration of the same files, as they were read then, and of
// these services of the store, judged together.
func (l *Loaded) with(docs []config.Document) (*Loaded, []bellhop.Fault, error) {
	return load(l.getenv, func(o config.Options) (*config.Config, []bellhop.Fault, error) { return l.Config.WithStored(docs, o) })
}

func load(getenv func(string) (string, bool), from func(config.Options) (*config.Config, []bellhop.Fault, error)) (*Loaded, []bellhop.Fault, error) {
	var table *router.Router
	cfg, faults, err := from(config.Options{
		Getenv:    getenv,
		Compilers: map[string]bellhop.Compiler{"shell": shell.Compiler{}},
		Commands: func(cat *bellhop.Catalog) (faults []bellhop.Fault) {
			table, faults = router.New(cat)
			return faults
		},
		Times: engine.CheckTimes,
		Cron: func(text string) error {
			_, err := schedule.Parse(text)
			return err
		},
	})
	if err != nil || len(faults) > 0 {
		return nil, faults, err
	}
	return &Loaded{Config: cfg, table: table, getenv: getenv}, nil, nil
}
