package cli

import (
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
)

// timeoutFlag is the value of --timeout: a duration as everywhere else, days
// included.
type timeoutFlag time.Duration

// Set reads what stands behind the flag.
func (t *timeoutFlag) Set(s string) error {
	d, err := bellhop.ParseDuration(s)
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "--timeout: %w", err)
	}
	if d < 0 {
		return bellhop.Errorf(bellhop.Invalid, "--timeout is %.40q; it takes a duration from 0 up, such as 90s, 1h30m or 2d", s)
	}
	*t = timeoutFlag(d)
	return nil
}

// String is the default that help shows; "" = none.
func (t *timeoutFlag) String() string {
	if *t == 0 {
		return ""
	}
	return time.Duration(*t).String()
}

// Type is what help calls a value.
func (*timeoutFlag) Type() string { return "duration" }

// limitFlag is the value of --limit.
type limitFlag int

// Set reads what stands behind the flag.
func (l *limitFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return bellhop.Errorf(bellhop.Invalid, "--limit is %.40q; it takes a whole number, 0 for all", s)
	}
	*l = limitFlag(n)
	return nil
}

// String is the default that help shows.
func (l *limitFlag) String() string { return strconv.Itoa(int(*l)) }

// Type is what help calls a value.
func (*limitFlag) Type() string { return "int" }
