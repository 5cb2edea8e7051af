package outside_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

// taking is a stream that a test reads.
type taking struct {
	mu    sync.Mutex
	ids   []string
	texts []string
	beats int
	err   error
	over  bool
	leave context.CancelFunc
}

// take opens a stream.
func take(t *testing.T, c *outside.Chat, last string) *taking {
	ctx, leave := context.WithCancel(t.Context())
	k := &taking{leave: leave}
	t.Cleanup(leave)
	go func() {
		err := c.Stream(ctx, last, func(r *outside.Report) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if r == nil {
				k.beats++
				return nil
			}
			k.ids, k.texts = append(k.ids, r.ID), append(k.texts, r.Text)
			return nil
		})
		k.mu.Lock()
		defer k.mu.Unlock()
		k.err, k.over = err, true
	}()
	synctest.Wait()
	return k
}

// has returns the ids that came, when everything rests.
func (k *taking) has() string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.ids, " ")
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %q, want %q", what, got, want)
	}
}

func ack(t *testing.T, c *outside.Chat, id, ref string) {
	t.Helper()
	if err := c.Ack(t.Context(), id, ref); err != nil {
		t.Errorf("report %s can't be acknowledged: %v", id, err)
	}
}

func TestWhatWaitsComesInOrderAndAgainUntilItIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		h.tell(1, bellhop.ReportOutcome, "")
		h.tell(2, bellhop.ReportOutcome, "")
		k := take(t, c, "")
		is(t, "what came", k.has(), "1 2")
		h.tell(3, bellhop.ReportOutcome, "")
		is(t, "what came", k.has(), "1 2 3")
		ack(t, c, "2", "msg-2")
		ack(t, c, "2", "msg-2") // whose answer was lost
		is(t, "the reference", h.refs()[2], "msg-2")
		k.leave()
		again := take(t, c, "")
		is(t, "what came again", again.has(), "1 3")
		if code := bellhop.CodeOf(c.Ack(t.Context(), "99", "")); code != bellhop.NotFound {
			t.Errorf("a report that is not there is acknowledged with %q", code)
		}
		for _, id := range []string{"", "x", "-1", "0", "99999999999999999999"} {
			if code := bellhop.CodeOf(c.Ack(t.Context(), id, "")); code != bellhop.Invalid {
				t.Errorf("%q is acknowledged with %q", id, code)
			}
		}
		for _, ref := range []string{"a\x00", strings.Repeat("x", 201), "\x1b[2J", "\xff"} {
			if code := bellhop.CodeOf(c.Ack(t.Context(), "1", ref)); code != bellhop.Invalid {
				t.Errorf("reference %q is taken: %q", ref, code)
			}
		}
	})
}

// What a server has sent that died is acknowledged at the next one.
func TestAcknowledgedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.tell(1, bellhop.ReportOutcome, "")
		k := take(t, h.chat(nil), "")
		is(t, "what came", k.has(), "1")
		next := h.chat(nil)
		ack(t, next, "1", "m")
		is(t, "what comes then", take(t, next, "").has(), "")
	})
}

func TestAStreamGoesOnBehindTheLastThatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		for id := range int64(4) {
			h.tell(id+1, bellhop.ReportOutcome, "")
		}
		is(t, "what comes", take(t, c, "2").has(), "3 4")
		is(t, "what comes behind what is not there", take(t, c, "77").has(), "1 2 3 4")
		if code := bellhop.CodeOf(c.Stream(t.Context(), "nonsense", func(*outside.Report) error { return nil })); code != bellhop.Invalid {
			t.Errorf("nonsense is %q", code)
		}
	})
}

func TestANewStreamTakesThePlaceOfTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		h.tell(1, bellhop.ReportOutcome, "")
		old := take(t, c, "")
		now := take(t, c, "")
		old.has()
		if !old.over || bellhop.CodeOf(old.err) != bellhop.Conflict {
			t.Errorf("the old one: %v, %v", old.over, old.err)
		}
		is(t, "what comes by the new one", now.has(), "1")
		h.tell(2, bellhop.ReportOutcome, "")
		is(t, "what comes by the old one", old.has(), "1")
		is(t, "what comes by the new one", now.has(), "1 2")
	})
}

// A source that acknowledges nothing is not sent without end.
func TestSoManyAreNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		for id := range int64(700) {
			h.tell(id+1, bellhop.ReportOutcome, "")
		}
		k := take(t, c, "")
		count := func() int { return len(strings.Fields(k.has())) }
		if count() != 200 {
			t.Fatalf("%d came", count())
		}
		late := h.tell(701, bellhop.ReportOutcome, "")
		if _, err := c.Deliver(t.Context(), late); bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "as many as it may") {
			t.Errorf("a delivery waits with the others: %v", err)
		}
		for id := range 99 {
			ack(t, c, strconv.Itoa(id+1), "")
		}
		if count() != 200 { // not one by one
			t.Errorf("then %d came", count())
		}
		ack(t, c, "100", "")
		if count() != 300 {
			t.Errorf("then %d came", count())
		}
		for range 10 {
			for _, id := range strings.Fields(k.has()) {
				if _, done := h.refs()[mustID(t, id)]; !done {
					ack(t, c, id, "")
				}
			}
		}
		if got := strings.Fields(k.has()); len(got) != 701 || got[700] != "701" {
			t.Errorf("%d came, the last of them %s", len(got), got[len(got)-1])
		}
	})
}

// What was given up is in nobody's way any more.
func TestWhatIsGivenUpMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		for id := range int64(200) {
			h.tell(id+1, bellhop.ReportOutcome, "")
		}
		k := take(t, c, "")
		for id := range int64(200) {
			h.giveUp(id + 1)
		}
		k.has()
		h.tell(201, bellhop.ReportOutcome, "")
		if got := strings.Fields(k.has()); len(got) != 201 || got[200] != "201" {
			t.Errorf("%d came", len(got))
		}
	})
}

// While a source acknowledges nothing, nobody waits for it.
func TestAStalledSourceHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		k := take(t, c, "")
		r, began := h.tell(1, bellhop.ReportOutcome, ""), time.Now()
		if _, err := c.Deliver(t.Context(), r); bellhop.CodeOf(err) != bellhop.Unavailable || time.Since(began) != 20*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		began = time.Now()
		if _, err := c.Deliver(t.Context(), h.tell(2, bellhop.ReportOutcome, "")); bellhop.CodeOf(err) != bellhop.Unavailable || time.Since(began) != 0 {
			t.Errorf("another, after %s: %v", time.Since(began), err)
		}
		is(t, "what came all the same", k.has(), "1 2")
		ack(t, c, "1", "")
		done := make(chan error, 1)
		go func() { _, err := c.Deliver(t.Context(), h.tell(3, bellhop.ReportOutcome, "")); done <- err }()
		is(t, "what came", k.has(), "1 2 3")
		ack(t, c, "3", "")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func mustID(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDeliverWaitsForTheAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		k := take(t, c, "")
		r := h.tell(1, bellhop.ReportOutcome, "")
		type result struct {
			ref string
			err error
		}
		got := make(chan result, 1)
		go func() { ref, err := c.Deliver(t.Context(), r); got <- result{ref, err} }()
		is(t, "what came", k.has(), "1")
		select {
		case x := <-got:
			t.Fatalf("delivered before it was acknowledged: %+v", x)
		default:
		}
		ack(t, c, "1", "m-1")
		if x := <-got; x.ref != "m-1" || x.err != nil {
			t.Errorf("%+v", x)
		}
		if ref, err := c.Deliver(t.Context(), r); ref != "m-1" || err != nil { // which the reporter had taken before
			t.Errorf("%q, %v", ref, err)
		}
		is(t, "what came", k.has(), "1")
	})
}

// What is not acknowledged for a minute is sent again by the same stream, when
// it is tried again.
func TestATryAgainIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		k := take(t, c, "")
		r := h.tell(1, bellhop.ReportOutcome, "")
		for range 8 { // as the reporter tries
			if _, err := c.Deliver(t.Context(), r); bellhop.CodeOf(err) != bellhop.Unavailable {
				t.Error(err)
			}
			time.Sleep(10 * time.Second)
		}
		is(t, "what came", k.has(), "1 1 1")
		if k.beats < 6 {
			t.Errorf("in two minutes the stream said %d times that it is there", k.beats)
		}
	})
}

func TestDeliverToASourceThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		if _, err := c.Deliver(t.Context(), h.tell(1, bellhop.ReportOutcome, "")); bellhop.CodeOf(err) != bellhop.Unavailable || errors.Is(err, bellhop.ErrGone) {
			t.Errorf("an outcome: %v", err)
		}
		if _, err := c.Deliver(t.Context(), h.tell(2, bellhop.ReportProgress, "half")); !errors.Is(err, bellhop.ErrGone) {
			t.Errorf("progress: %v", err)
		}
		k := take(t, c, "")
		r := h.tell(3, bellhop.ReportOutcome, "")
		left := make(chan error, 1)
		go func() { _, err := c.Deliver(t.Context(), r); left <- err }()
		k.has()
		k.leave()
		if err := <-left; bellhop.CodeOf(err) != bellhop.Unavailable {
			t.Errorf("when the stream ends: %v", err)
		}
	})
}

// What can't be written down is not acknowledged.
func TestAnAcknowledgementIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		h.tell(1, bellhop.ReportOutcome, "")
		take(t, c, "")
		h.fails = bellhop.Errorf(bellhop.Unavailable, "the disk is full")
		if err := c.Ack(t.Context(), "1", ""); bellhop.CodeOf(err) != bellhop.Unavailable {
			t.Error(err)
		}
		h.fails = nil
		ack(t, c, "1", "")
	})
}

// What says nothing is delivered without the source.
func TestNothingToTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.rule = bellhop.ReportRule{}
		c := h.chat(nil)
		h.tell(1, bellhop.ReportOutcome, "")
		is(t, "what came", take(t, c, "").has(), "")
		if _, done := h.refs()[1]; !done {
			t.Error("it was not delivered")
		}
	})
}

func TestPostedReportsHaveNoStream(t *testing.T) {
	c := newHouse().chat(func(o *outside.Options) { o.URL = "http://127.0.0.1:1/" })
	if err := c.Stream(t.Context(), "", func(*outside.Report) error { return nil }); bellhop.CodeOf(err) != bellhop.Conflict {
		t.Error(err)
	}
}

// What is acknowledged before it is sent, at another server, is not sent.
func TestAcknowledgedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		c := h.chat(nil)
		for id := range int64(3) {
			h.tell(id+1, bellhop.ReportOutcome, "")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var came []string
		err := c.Stream(ctx, "", func(r *outside.Report) error {
			if r == nil {
				return nil
			}
			if came = append(came, r.ID); r.ID == "1" {
				ack(t, c, "2", "")
			} else {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || strings.Join(came, " ") != "1 3" {
			t.Errorf("%v came, and then %v", came, err)
		}
	})
}
