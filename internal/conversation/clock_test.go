package conversation_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop/internal/conversation"
)

func TestMovingClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c conversation.MovingClock
		begin := c.Now()
		early, _ := c.NewTimer(time.Minute)
		late, _ := c.NewTimer(time.Hour)
		stopped, stop := c.NewTimer(time.Minute)
		stop()
		rings := func(ch <-chan time.Time) bool {
			synctest.Wait()
			select {
			case <-ch:
				return true
			default:
				return false
			}
		}
		if rings(early) {
			t.Error("a timer rings at once")
		}
		c.Move(59 * time.Second)
		if rings(early) {
			t.Error("a timer rings too early")
		}
		c.Move(2 * time.Second)
		if !rings(early) || rings(late) || rings(stopped) {
			t.Error("of three timers, not just the one rings whose time has come")
		}
		time.Sleep(time.Hour - 61*time.Second) // the bubble's, which goes by itself
		if !rings(late) {
			t.Error("the clock does not go by itself")
		}
		if got := c.Now().Sub(begin); got != time.Hour {
			t.Errorf("%s have passed, want 1h", got)
		}
	})
}
