//go:build chaos

package fault

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// At passes a point.
func At(p Point) { _ = Environment().At(p) }

// Environment is the plan that the environment holds. What can't be understood
// ends the program: a test would wait for faults that never come.
var Environment = sync.OnceValue(func() *Plan {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("BELLHOP_FAULT_SEED"), "0"), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "BELLHOP_FAULT_SEED:", err)
		os.Exit(2)
	}
	plan, err := Parse(os.Getenv("BELLHOP_FAULT"), seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "BELLHOP_FAULT:", err)
		os.Exit(2)
	}
	return plan
})
