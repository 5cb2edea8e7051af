package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// todo stands in for ports that are being written.
type todo struct{}

func (todo) PutHold(context.Context, string, bellhop.Hold) (bellhop.Hold, error) {
	return bellhop.Hold{}, nil
}
func (todo) EndHolds(context.Context, string, bellhop.HoldFilter, string, time.Time) ([]bellhop.Hold, error) {
	return nil, nil
}
func (todo) Holds(context.Context, bellhop.HoldFilter, time.Time) ([]bellhop.Hold, error) {
	return nil, nil
}
func (todo) Old(context.Context, bellhop.RunID, int) ([]bellhop.OldRun, bellhop.RunID, error) {
	return nil, 0, nil
}
func (todo) Forget(context.Context, []bellhop.RunID, []bellhop.RunID) (int, error) { return 0, nil }
func (todo) ForgetKeys(context.Context, time.Time, string, int) (string, error)     { return "", nil }
func (todo) ForgetHolds(context.Context, time.Time) error                           { return nil }
func (todo) OutputSize(context.Context) (int64, error)                              { return 0, nil }
func (todo) Shrink(context.Context) (bool, error)                                   { return false, nil }
func (todo) Beat(context.Context, string, time.Duration) error                      { return nil }
func (todo) Lead(context.Context, string, string, time.Duration) (bool, error)      { return true, nil }
func (todo) Activate(context.Context, bellhop.Activation) error                     { return nil }
func (todo) Activated(context.Context) (bellhop.Activation, error) {
	return bellhop.Activation{}, nil
}
func (todo) Alive(context.Context) ([]string, error) { return nil, nil }

// Expire is being written.
func (d *db) Expire(context.Context, time.Time, int, string) ([]bellhop.RunID, time.Time, error) {
	return nil, time.Time{}, nil
}
