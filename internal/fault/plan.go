package fault

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/bellhop-io/bellhop"
)

// Action is what happens at a point.
type Action string

// The actions.
const (
	Kill  Action = "kill"
	Stop  Action = "stop"
	Error Action = "error"
)

// methods are those that Store passes points at, before and after.
var methods = []string{"submit", "claim", "extend", "finish", "cancel", "lost", "expire", "output", "due", "settle", "hold", "unhold", "vote", "lapse", "forget"}

// fault is one thing that is to happen.
type fault struct {
	action Action
	nth    int     // at this passing; 0 = by chance
	chance float64 // of each passing, 0 to 1
}

// Plan says what happens where. It may be used by many goroutines.
type Plan struct {
	mu     sync.Mutex
	random *rand.Rand
	faults map[Point][]fault
	passed map[Point]int
	hit    map[Point]int
	signal func(syscall.Signal) // to this process
}

// Parse reads a plan as the package's comment says.
func Parse(text string, seed uint64) (*Plan, error) {
	p := &Plan{
		random: rand.New(rand.NewPCG(seed, 0)), faults: make(map[Point][]fault), passed: make(map[Point]int), hit: make(map[Point]int),
		signal: func(s syscall.Signal) { _ = syscall.Kill(os.Getpid(), s) },
	}
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		point, f, err := parseOne(one)
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Invalid, "fault %q: %w", one, err)
		}
		p.faults[point] = append(p.faults[point], f)
	}
	return p, nil
}

func parseOne(text string) (Point, fault, error) {
	name, rest, ok := strings.Cut(text, "=")
	i := strings.IndexAny(rest, "@%")
	if !ok || i < 0 {
		return "", fault{}, fmt.Errorf("expected POINT=ACTION@N or POINT=ACTION%%P")
	}
	point, f := Point(name), fault{action: Action(rest[:i])}
	inside := point == CommitBefore || point == CommitAfter
	method, when, _ := strings.Cut(name, ".")
	if !inside && (!slices.Contains(methods, method) || when != "before" && when != "after") {
		return "", fault{}, fmt.Errorf("there is no such point; the points are commit, %s, each with .before or .after", strings.Join(methods, ", "))
	}
	switch {
	case f.action != Kill && f.action != Stop && f.action != Error:
		return "", fault{}, fmt.Errorf("the actions are kill, stop, error")
	case inside && f.action == Error:
		return "", fault{}, fmt.Errorf("a commit does not fail by half; use an error at a method")
	}
	var err error
	if rest[i] == '@' {
		f.nth, err = strconv.Atoi(rest[i+1:])
	} else {
		f.chance, err = strconv.ParseFloat(rest[i+1:], 64)
		f.chance /= 100
	}
	if err == nil && (f.nth < 0 || f.chance < 0 || f.chance > 1 || f.nth == 0 && f.chance == 0) {
		err = fmt.Errorf("%s is out of range", rest[i:])
	}
	return point, f, err
}

// At passes a point: it returns an error, ends or stops this process, or does
// nothing at all, as the plan says.
func (p *Plan) At(point Point) error {
	f, ok := p.pass(point)
	if !ok {
		return nil
	}
	switch f.action {
	case Kill:
		p.signal(syscall.SIGKILL)
	case Stop:
		p.signal(syscall.SIGSTOP)
	case Error:
		return bellhop.Errorf(bellhop.Unavailable, "the store is unavailable: a fault at %s was asked for", point)
	}
	return nil
}

func (p *Plan) pass(point Point) (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed[point]++
	for _, f := range p.faults[point] {
		if f.nth == p.passed[point] || f.nth == 0 && p.random.Float64() < f.chance {
			p.hit[point]++
			return f, true
		}
	}
	return fault{}, false
}

// Hits is how many faults happened at a point.
func (p *Plan) Hits(point Point) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit[point]
}
