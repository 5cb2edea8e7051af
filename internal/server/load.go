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
	table *router.Router
}

// Load reads and checks a configuration file, its jobs' scripts and its
// commands' patterns included. With any fault there is no Loaded.
func Load(path string) (*Loaded, []bellhop.Fault, error) { return load(path, nil) }

// LoadToTry is Load where variables that are not set stand for their names:
// to try out what takes no secret.
func LoadToTry(path string) (*Loaded, []bellhop.Fault, error) {
	return load(path, func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		return "not set: " + name, true
	})
}

func load(path string, getenv func(string) (string, bool)) (*Loaded, []bellhop.Fault, error) {
	var table *router.Router
	cfg, faults, err := config.Load(path, config.Options{
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
	return &Loaded{Config: cfg, table: table}, nil, nil
}
