package outside

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

const (
	// window is how many reports a source may have that it has not acknowledged.
	window = 200
	// stall is how long it may acknowledge none of them before deliveries do not
	// wait for it: whoever is told by others must not wait for them.
	stall = 20 * time.Second
	// resend is after how long one that it has not acknowledged is sent again by
	// the same stream, when it is tried again.
	resend = 50 * time.Second
	// alive is how often a stream says that it is there.
	alive = 15 * time.Second
	// remember is how many acknowledged reports are known, so that an
	// acknowledgement may come twice.
	remember = 1000
	// maxLook is how many waiting reports are looked through for one.
	maxLook = 1000
)

// flight is a report that was sent and not acknowledged, or that a delivery
// waits for.
type flight struct {
	row   bellhop.OutboxRow // once it was sent
	sent  time.Time
	by    *stream       // that sent it; nil = none that is open
	waits int           // deliveries that wait for its end
	done  chan struct{} // closed when it is acknowledged
	ref   string        // then
}

// stream is a connection by which the source takes reports.
type stream struct {
	wake   chan struct{} // there may be something to send
	gone   chan struct{} // closed when another one has taken its place
	n      int           // in flight by it
	moved  time.Time     // when one was acknowledged, or the first was sent
	behind bool          // there is more to send than may be in flight
}

// stalled reports whether nothing is acknowledged for long.
func (s *stream) stalled(now time.Time) bool { return s.n > 0 && now.Sub(s.moved) >= stall }

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// errReplaced ends a stream.
var errReplaced = bellhop.Errorf(bellhop.Conflict, "another stream of this source's reports was opened, and has taken the place of this one; a source has one")

// Stream calls fn for each report to the source, oldest first, until ctx ends
// or another stream takes the place of this one; and with nil from time to
// time. Each is to be acknowledged (Ack): what is not comes again. last, unless
// "", is the ID of the last report that came by a former stream: those before
// it that are not acknowledged are not sent again at once.
func (c *Chat) Stream(ctx context.Context, last string, fn func(*Report) error) error {
	if c.Posts() {
		return bellhop.Errorf(bellhop.Conflict, "reports to %s are posted to its URL (sources: in the configuration), so there is no stream of them", c.opt.Name)
	}
	seen, err := parseID("Last-Event-ID", last)
	if last != "" && err != nil {
		return err
	}
	s := c.enter()
	defer c.leave(s)
	if seen != 0 {
		if err := c.resume(ctx, s, seen); err != nil {
			return err
		}
	}
	if err := fn(nil); err != nil {
		return err
	}
	news, end := c.opt.House.News()
	defer end()
	told := c.opt.Clock.Now()
	for {
		if err := c.more(ctx, s, fn); err != nil {
			return err
		}
		wait := alive
		if c.opt.Look > 0 {
			wait = c.opt.Look
		}
		timer, stop := c.opt.Clock.NewTimer(wait)
		select {
		case <-s.wake:
		case <-news:
		case <-timer:
		case <-s.gone:
			stop()
			return errReplaced
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
		if now := c.opt.Clock.Now(); now.Sub(told) >= alive {
			if err := fn(nil); err != nil {
				return err
			}
			told = now
		}
	}
}

func (c *Chat) enter() *stream {
	s := &stream{wake: make(chan struct{}, 1), gone: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		c.end(c.open)
	}
	c.open = s
	return s
}

func (c *Chat) leave(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == s {
		c.end(s)
		c.open = nil
	}
}

// end has nothing in flight by a stream any more. The chat is locked.
func (c *Chat) end(s *stream) {
	close(s.gone)
	for id, f := range c.flights {
		if f.by == s {
			f.ground()
			c.forget(id, f)
		}
	}
}

// ground has a flight be by no stream any more. The chat is locked.
func (f *flight) ground() {
	if f.by != nil {
		f.by.n--
		f.by = nil
	}
}

// forget lets go of a flight that nobody has to do with. The chat is locked.
func (c *Chat) forget(id int64, f *flight) {
	if f.by == nil && f.waits == 0 {
		delete(c.flights, id)
	}
}

// flight is that of a report. The chat is locked.
func (c *Chat) flight(id int64) *flight {
	f := c.flights[id]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flights[id] = f
	}
	return f
}

// resume takes what waits up to a report as sent by a stream.
func (c *Chat) resume(ctx context.Context, s *stream, seen int64) error {
	rows, err := c.opt.House.Waiting(ctx, window)
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].ID != seen {
			continue
		}
		for _, row := range rows[:i+1] {
			c.take(s, row)
		}
		return nil
	}
	return nil // which was acknowledged
}

// take has a report in flight by a stream; ok is false when it is already, or
// was acknowledged. full: the source has as many as it may.
func (c *Chat) take(s *stream, row bellhop.OutboxRow) (ok, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, acked := c.acked[row.ID]; acked || c.open != s {
		return false, c.open != s
	}
	if f := c.flights[row.ID]; f != nil && f.by == s {
		return false, false
	}
	if s.n >= window {
		s.behind = true
		return false, true
	}
	f := c.flight(row.ID)
	f.by, f.row, f.sent = s, row, c.opt.Clock.Now()
	if s.n++; s.n == 1 {
		s.moved = f.sent
	}
	return true, false
}

// begin reports whether it is worth to look for more: not while there is hardly
// room for it.
func (c *Chat) begin(s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.behind && s.n > window/2 {
		return false
	}
	s.behind = false
	return true
}

// more sends what waits and is not in flight.
func (c *Chat) more(ctx context.Context, s *stream, fn func(*Report) error) error {
	if !c.begin(s) {
		return nil
	}
	const n = 2 * window // of which some are in flight
	rows, err := c.opt.House.Waiting(ctx, n)
	if err != nil {
		return err
	}
	if len(rows) < n {
		c.prune(s, rows)
	}
	for _, row := range rows {
		ok, full := c.take(s, row)
		if full {
			return nil
		}
		if !ok {
			continue
		}
		if err := c.send(ctx, row, fn); err != nil {
			return err
		}
	}
	return nil
}

// prune lets go of what is in flight and waits no more: it was given up.
func (c *Chat) prune(s *stream, rows []bellhop.OutboxRow) {
	waiting := make(map[int64]bool, len(rows))
	for i := range rows {
		waiting[rows[i].ID] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, f := range c.flights {
		if f.by == s && !waiting[id] {
			f.ground()
			c.forget(id, f)
		}
	}
}

func (c *Chat) send(ctx context.Context, row bellhop.OutboxRow, fn func(*Report) error) error {
	r, err := c.opt.House.Compose(ctx, row)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return nil // whose run is not kept any more: it is given up by who delivers
	}
	if err != nil {
		return err
	}
	out, err := c.render(ctx, r)
	switch {
	case err != nil:
		return err
	case out == nil: // there is nothing to tell
		return c.settle(ctx, row, "")
	}
	return fn(out)
}

// Ack says that the source has a report, and what it calls the message by which
// it was told ("" = nothing). Once written down, it is not sent again. NotFound:
// none of that ID waits for the source.
func (c *Chat) Ack(ctx context.Context, id, ref string) error {
	n, err := parseID("a report", id)
	if err != nil {
		return err
	}
	if err := checkField("reference", ref, maxName); err != nil {
		return err
	}
	c.mu.Lock()
	_, again := c.acked[n]
	f := c.flights[n]
	c.mu.Unlock()
	switch {
	case again:
		return nil
	case f != nil && f.row.ID == n:
		return c.settle(ctx, f.row, ref)
	}
	rows, err := c.opt.House.Waiting(ctx, maxLook) // sent by another server, or by this one in a former life
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].ID == n {
			return c.settle(ctx, rows[i], ref)
		}
	}
	return bellhop.Errorf(bellhop.NotFound, "no report %s waits for %s to have it: it was acknowledged or given up, or is not one of its own", id, c.opt.Name)
}

// settle writes down that a report was delivered, and tells who waits for that.
func (c *Chat) settle(ctx context.Context, row bellhop.OutboxRow, ref string) error {
	c.keepRef(ctx, row.Kind, row.Run, row.Ask.Origin, ref)
	if err := c.opt.House.Delivered(ctx, row.ID, ref); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, again := c.acked[row.ID]; again {
		return nil
	}
	if len(c.order) >= remember {
		delete(c.acked, c.order[0])
		c.order = c.order[1:]
	}
	c.acked[row.ID] = ref
	c.order = append(c.order, row.ID)
	if f := c.flights[row.ID]; f != nil {
		f.ref = ref
		f.ground()
		close(f.done)
		delete(c.flights, row.ID)
	}
	if s := c.open; s != nil {
		if s.moved = c.opt.Clock.Now(); s.behind && s.n <= window/2 {
			s.poke()
		}
	}
	return nil
}

// Deliver has a report posted, or waits until the source has acknowledged that
// it came by its stream (bellhop.Destination).
func (c *Chat) Deliver(ctx context.Context, r bellhop.Report) (string, error) {
	if c.Posts() {
		return c.post(ctx, r)
	}
	c.mu.Lock()
	ref, acked := c.acked[r.ID]
	s, now := c.open, c.opt.Clock.Now()
	if acked || s == nil {
		c.mu.Unlock()
		if acked {
			return ref, nil
		}
		return "", c.away(r)
	}
	f := c.flight(r.ID)
	if f.by == s && now.Sub(f.sent) >= resend {
		f.ground()
	}
	f.waits++
	err := c.slow(s, f)
	c.mu.Unlock()
	defer c.waited(r.ID, f)
	s.poke()
	for err == nil {
		timer, stop := c.opt.Clock.NewTimer(stall)
		select {
		case <-f.done:
		case <-s.gone:
			err = c.away(r)
		case <-ctx.Done():
			err = bellhop.Errorf(bellhop.Unavailable, "source %s has not acknowledged it: %w", c.opt.Name, ctx.Err())
		case <-timer:
			c.mu.Lock()
			err = c.slow(s, f)
			c.mu.Unlock()
		}
		stop()
		select {
		case <-f.done: // whatever else was
			return f.ref, nil
		default:
		}
	}
	return "", err
}

// waited ends a delivery's part in a flight.
func (c *Chat) waited(id int64, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waits--; c.flights[id] == f {
		c.forget(id, f)
	}
}

// slow is why a delivery does not wait: the stream sends what is to be sent all
// the same. The chat is locked.
func (c *Chat) slow(s *stream, f *flight) error {
	switch {
	case s.stalled(c.opt.Clock.Now()):
		return bellhop.Errorf(bellhop.Unavailable, "source %s has %d reports, and has acknowledged none for %s", c.opt.Name, s.n, chat.Duration(stall))
	case f.by != s && s.n >= window:
		return bellhop.Errorf(bellhop.Unavailable, "source %s has %d reports that it has not acknowledged, as many as it may", c.opt.Name, s.n)
	}
	return nil
}

// away is why nothing is delivered while the source has no stream. What tells of
// progress is of no use later.
func (c *Chat) away(r bellhop.Report) error {
	err := error(bellhop.Errorf(bellhop.Unavailable, "source %s is away: it has no stream of its reports open", c.opt.Name))
	if r.Kind == bellhop.ReportProgress {
		err = errors.Join(err, bellhop.ErrGone)
	}
	return err
}

// Here reports whether the source has a stream open.
func (c *Chat) Here() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open != nil
}

func parseID(what, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it is the id of a report, a number", what, s)
	}
	return n, nil
}
