//go:build chaos

package server

import (
	"os"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/fault"
)

// clock is the machine's, stepped as the environment says.
func clock() bellhop.Clock { return fault.Clock{Path: os.Getenv("BELLHOP_FAULT_CLOCK")} }

// faulty returns the store with the faults that the environment asks for.
func faulty(s *bellhop.Store) *bellhop.Store { return fault.Store(s, fault.Environment()) }
