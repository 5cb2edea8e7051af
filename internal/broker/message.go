package broker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/payload"
)

// maxKey is the longest part of a key that is kept as it is, in bytes; of a
// longer one, its hash.
const maxKey = 200

// judge says what a message wants. An error says that it is invalid; wanted is
// false when it is not for this broker. once: nothing tells it from another.
func judge(b *bellhop.Broker, m *bellhop.Message) (want bellhop.Invocation, wanted, once bool, err error) {
	if n := m.Size(); n > b.MaxSize {
		return want, false, false, bellhop.Errorf(bellhop.Invalid, "the message has %d bytes, and %d are taken (max_size)", n, b.MaxSize)
	}
	p := payload.Fields(m.Fields)
	if m.Fields == nil {
		kind := m.Type
		if b.Text {
			kind = "text/plain"
		}
		if p, err = payload.Read(kind, m.Body); err != nil {
			return want, false, false, err
		}
	}
	if p.Meets(b.When) != "" {
		return want, false, false, nil
	}
	p = p.Of(m)
	if want.Args, err = p.Fill(b.Args); err != nil {
		return want, false, false, err
	}
	want.Key, once, err = key(b, m, p)
	return want, true, once, err
}

// key is the same for the same request, however often it is delivered.
func key(b *bellhop.Broker, m *bellhop.Message, p payload.Payload) (_ string, once bool, err error) {
	switch {
	case b.Key != "":
		k, err := p.Key(b.Key)
		if err == nil && strings.TrimSpace(k) == "" {
			err = bellhop.Errorf(bellhop.Invalid, "its key is empty")
		}
		return b.Principal() + "/key/" + plain(k), false, err
	case m.ID != "":
		return b.Principal() + "/id/" + plain(m.ID), false, nil
	}
	return b.Principal() + "/once/" + rand.Text(), true, nil
}

// plain is a key that every store can keep.
func plain(k string) string {
	if len(k) <= maxKey && utf8.ValidString(k) && !strings.ContainsFunc(k, func(r rune) bool { return r < ' ' }) {
		return k
	}
	sum := sha256.Sum256([]byte(k))
	return "~" + hex.EncodeToString(sum[:])
}

// handle makes runs of messages and settles them. An error that is not halt
// says that the subscription is of no use any more.
func (c *Consumer) handle(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message) error {
	b := &c.opt.Broker
	invalid := make([]error, len(ms))
	var wants []bellhop.Invocation
	var of []int // which message each is of
	for i := range ms {
		want, wanted, once, err := judge(b, &ms[i])
		if wanted && err == nil {
			wants, of = append(wants, want), append(of, i)
			c.warnOnce(once)
		}
		if invalid[i] = err; err != nil && b.OnInvalid == bellhop.OnInvalidStop {
			ms = ms[:i+1] // what comes behind it stays as well
			break
		}
	}
	if err := c.take(ctx, sub, ms, wants, of, invalid); err != nil {
		return err
	}
	return c.settle(ctx, sub, ms, invalid)
}

func (c *Consumer) warnOnce(once bool) {
	if once && !c.warned {
		c.warned = true
		c.opt.Log.Warn("messages have nothing to know them by, so that one that is delivered twice runs twice; give them a message id, or the broker a key")
	}
}

// take asks for runs until each is written down or found invalid. While the
// store is away, the messages stay here, unacknowledged.
func (c *Consumer) take(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message, wants []bellhop.Invocation, of []int, invalid []error) error {
	away := false
	for failures := 0; len(wants) > 0; failures++ {
		faults, err := c.ask(ctx, sub, ms, wants)
		if err != nil {
			return err
		}
		var later error
		left := 0
		for n, fault := range faults {
			switch bellhop.CodeOf(fault) {
			case "", bellhop.Conflict: // written down, or asked for already
			case bellhop.Unavailable, bellhop.Internal:
				wants[left], of[left] = wants[n], of[n]
				left++
				later = fault
			default:
				invalid[of[n]] = fault
			}
		}
		wants, of = wants[:left], of[:left]
		if left == 0 {
			break
		}
		away = true
		c.ill(slog.LevelWarn, bellhop.Errorf(bellhop.Unavailable, "what messages ask for can't be written down, so they are held: %w", later))
		if err := c.hold(ctx, sub, ms, c.after(failures)); err != nil {
			return err
		}
	}
	if away {
		c.well()
	}
	return nil
}

// ask asks once. The broker is told meanwhile that the messages are held. What
// was begun before a stop is waited for, so that it can be acknowledged.
func (c *Consumer) ask(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message, wants []bellhop.Invocation) ([]error, error) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan []error, 1)
	go func() { done <- c.opt.House.Take(asking, &c.opt.Broker, wants) }()
	stopping := ctx.Done()
	var failed error
	for {
		timer, stop := c.opt.Clock.NewTimer(c.extendEvery())
		select {
		case faults := <-done:
			stop()
			return faults, failed
		case <-stopping:
			stopping = nil
			defer time.AfterFunc(stopTime, cancel).Stop()
		case <-timer:
			if err := c.extend(ctx, sub, ms); err != nil && failed == nil {
				failed = err
			}
		}
		stop()
	}
}

// hold waits, and tells the broker that the messages are held.
func (c *Consumer) hold(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message, d time.Duration) error {
	for d > 0 {
		step := min(d, c.extendEvery())
		if err := c.pause(ctx, step); err != nil {
			return err
		}
		if err := c.extend(ctx, sub, ms); err != nil {
			return err
		}
		d -= step
	}
	return nil
}

func (c *Consumer) extendEvery() time.Duration {
	if d := c.opt.Broker.ClaimAfter / 3; d > 0 {
		return d
	}
	return longestPause
}

func (c *Consumer) extend(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return sub.Extend(ctx, ms)
}

// settle acknowledges what is done with, and deals with what is invalid.
func (c *Consumer) settle(ctx context.Context, sub bellhop.Subscription, ms []bellhop.Message, invalid []error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	done := make([]bellhop.Message, 0, len(ms))
	var failed error // what can't be put aside keeps nothing else here
	for i := range ms {
		fault := invalid[i]
		if fault == nil {
			done = append(done, ms[i])
			continue
		}
		switch c.opt.Broker.OnInvalid {
		case bellhop.OnInvalidStop:
			if failed == nil {
				failed = halt{fault}
			}
		case bellhop.OnInvalidDrop:
			c.invalid("a message is invalid, and was dropped", ms[i].ID, fault)
			done = append(done, ms[i])
		default:
			if failed != nil {
				continue
			}
			if err := sub.DeadLetter(ctx, ms[i], fault.Error()); err != nil {
				failed = stuck{fault, err}
				continue
			}
			c.invalid("a message is invalid, and was put aside", ms[i].ID, fault)
		}
	}
	if len(done) > 0 {
		if err := sub.Ack(ctx, done); err != nil {
			return err
		}
	}
	return failed
}

// invalidEvery is how often the log has an invalid message of one broker.
const invalidEvery = time.Minute

// invalid logs what is wrong with a message: the first, then one a minute, which
// says how many there were that the log does not have.
func (c *Consumer) invalid(what, id string, fault error) {
	now := c.opt.Clock.Now()
	c.mu.Lock()
	untold := c.untold
	tell := c.toldAt.IsZero() || now.Sub(c.toldAt) >= invalidEvery
	if tell {
		c.toldAt, c.untold = now, 0
	} else {
		c.untold++
	}
	c.mu.Unlock()
	if tell {
		c.opt.Log.Warn(what, "message", id, "error", fault, "untold", untold)
	}
}
