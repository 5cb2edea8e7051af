//go:build !chaos

package server

import "github.com/bellhop-io/bellhop"

// clock is the machine's.
func clock() bellhop.Clock { return bellhop.SystemClock{} }

// faulty returns the store as it is: only a build with the tag chaos has
// faults.
func faulty(s *bellhop.Store) *bellhop.Store { return s }
