package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func report(session string) bellhop.Report {
	return bellhop.Report{ID: 1, Ask: bellhop.Ask{Origin: bellhop.Origin{Session: session}}}
}

func TestDeliverWaitsUntilItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := session.New(bellhop.SystemClock{})
		s := h.Attach("a")
		defer s.Close()
		result := make(chan error, 1)
		go func() { _, err := h.Deliver(t.Context(), report("a")); result <- err }()
		d, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("delivered before it was read: %v", err)
		default:
		}
		d.Read(true)
		d.Read(false) // only the first counts
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsNotReadIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := session.New(bellhop.SystemClock{})
		if _, err := h.Deliver(t.Context(), report("nobody")); !errors.Is(err, bellhop.ErrGone) {
			t.Errorf("no session: %v", err)
		}
		for name, end := range map[string]func(*session.Session, session.Delivery){
			"refused": func(_ *session.Session, d session.Delivery) { d.Read(false) },
			"closed":  func(s *session.Session, _ session.Delivery) { s.Close(); s.Close() },
			"taken over": func(*session.Session, session.Delivery) {
				h.Attach("a").Close()
			},
		} {
			s := h.Attach("a")
			result := make(chan error, 1)
			go func() { _, err := h.Deliver(t.Context(), report("a")); result <- err }()
			d, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			end(s, d)
			if err := <-result; !errors.Is(err, bellhop.ErrGone) {
				t.Errorf("%s: %v", name, err)
			}
			s.Close()
			if _, err := s.Next(t.Context()); !errors.Is(err, bellhop.ErrGone) {
				t.Errorf("%s: next of an ended session: %v", name, err)
			}
		}
	})
}

func TestReadAtTheLastMomentCounts(t *testing.T) {
	for range 200 { // the two ends race
		h := session.New(bellhop.SystemClock{})
		s := h.Attach("a")
		result := make(chan error, 1)
		go func() { _, err := h.Deliver(context.Background(), report("a")); result <- err }()
		d, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d.Read(true)
		s.Close()
		if err := <-result; err != nil {
			t.Fatalf("a report that was read and then its session closed: %v", err)
		}
	}
}

func TestASessionOfTheLastLifeMayComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := session.New(bellhop.SystemClock{})
		if h.Ended("before") {
			t.Error("a session of before the start is over at once: its `ask` may be reconnecting")
		}
		s := h.Attach("now")
		if h.Ended("now") {
			t.Error("a live session is over")
		}
		s.Close()
		if !h.Ended("now") {
			t.Error("a session that was closed here is not over")
		}
		time.Sleep(time.Minute)
		if !h.Ended("before") {
			t.Error("a session that did not come back is not over after a minute")
		}
	})
}

func TestReadTooLateIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := session.New(bellhop.SystemClock{})
		s := h.Attach("a")
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		result := make(chan error, 1)
		go func() { _, err := h.Deliver(ctx, report("a")); result <- err }()
		d, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("delivered without being read: %v", err)
		}
		if d.Read(true) {
			t.Error("read after nobody waited for it any more, and nobody is told")
		}
	})
}

func TestAnOldConnectionThatEndsLeavesTheNewOneLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := session.New(bellhop.SystemClock{})
		old := h.Attach("a")
		s := h.Attach("a")
		defer s.Close()
		old.Close()
		if h.Ended("a") {
			t.Error("the session is over, though it came back")
		}
		go func() {
			if d, err := s.Next(t.Context()); err == nil {
				d.Read(true)
			}
		}()
		if _, err := h.Deliver(t.Context(), report("a")); err != nil {
			t.Errorf("not delivered to the connection that came back: %v", err)
		}
	})
}
