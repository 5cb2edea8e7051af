// Package redis takes messages of Redis streams (and Valkey's), as a member of
// a consumer group.
package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/dial"
)

const (
	// block is how long one read waits. A server that is gone without a word is
	// noticed 10 seconds after that.
	block = 2 * time.Second
	// answer is how long anything else may take, and leave what a close may.
	answer = 10 * time.Second
	leave  = 3 * time.Second
	// forgotten is how long a member of the group that has nothing may have been
	// silent before it is taken off the list.
	forgotten = 24 * time.Hour
	// prefix begins the names of our members of a group.
	prefix = "bellhop:"
	// maxGivenBack bounds what is given back at once; the rest is claimed later.
	maxGivenBack = 10_000
)

// remove takes a member off the list unless it holds messages, which would be
// lost: XGROUP DELCONSUMER asks nothing.
const remove = `if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) return 1`

// Options are what a driver is made of.
type Options struct {
	Clock bellhop.Clock
	Log   *slog.Logger
}

// New returns what connects to a Redis server.
func New(o Options) bellhop.Subscribe {
	client.SetLogger(quiet{}) // what it has to say it returns as well
	return func(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
		return subscribe(ctx, o, b, member)
	}
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// subscription reads by a connection of its own, which is closed to interrupt
// it: the client does not end a read when its context does.
type subscription struct {
	Options
	b           *bellhop.Broker
	member      string
	read, write *client.Client
	// own is behind which of what this member holds already it reads on; "" =
	// there is no more of that.
	own string
	// cursor is where looking for what others left goes on, at nextClaim.
	cursor    string
	nextClaim time.Time
	closing   sync.Once
}

func subscribe(ctx context.Context, o Options, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
	urls, err := bellhop.BrokerURLs(bellhop.BrokerRedis, b.URL)
	if err != nil {
		return nil, err
	}
	opt, err := options(b, urls[0])
	if err != nil {
		return nil, err
	}
	reading := *opt
	reading.PoolSize = 1
	s := &subscription{
		Options: o, b: b, member: prefix + member, read: client.NewClient(&reading), write: client.NewClient(opt),
		own: "0", cursor: "0-0", nextClaim: o.Clock.Now(),
	}
	if err := s.join(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func options(b *bellhop.Broker, u *url.URL) (*client.Options, error) {
	user, password := dial.Login(b, u)
	opt := &client.Options{
		Network: "tcp", Addr: u.Host, Username: user, Password: password, Protocol: 2, ClientName: "bellhop", DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, PoolSize: 2, DialTimeout: answer, ReadTimeout: answer, WriteTimeout: answer,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	db := strings.Trim(u.Path, "/")
	if u.Scheme == "unix" {
		opt.Network, opt.Addr, db = "unix", u.Path, u.Query().Get("db")
	} else if u.Port() == "" {
		opt.Addr = net.JoinHostPort(u.Hostname(), "6379")
	}
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return nil, bellhop.Errorf(bellhop.Invalid, "what stands behind the host in the address is not the number of a database; write redis://HOST:6379/0")
		}
		opt.DB = n
	}
	if u.Scheme == "rediss" {
		var err error
		if opt.TLSConfig, err = dial.TLS(b, u.Hostname()); err != nil {
			return nil, err
		}
	}
	return opt, nil
}

// join makes the group, and tidies its list of members.
func (s *subscription) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	start := "0"
	if s.b.OnlyNew {
		start = "$"
	}
	err := s.write.XGroupCreateMkStream(ctx, s.b.From, s.b.Group, start).Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return s.fault(err)
	}
	members, err := s.write.XInfoConsumers(ctx, s.b.From, s.b.Group).Result()
	if err != nil {
		return nil // not every server lets everybody ask; it is about order alone
	}
	for _, m := range members {
		if strings.HasPrefix(m.Name, prefix) && m.Name != s.member && m.Pending == 0 && m.Idle > forgotten {
			_ = s.write.Eval(ctx, remove, []string{s.b.From}, s.b.Group, m.Name).Err()
		}
	}
	return nil
}

func (s *subscription) fault(err error) error { return dial.Fault(s.b, "the Redis server", err) }

// Receive reads what this member holds from before, what silent members left,
// and what is new, in that order.
func (s *subscription) Receive(ctx context.Context, max int) ([]bellhop.Message, error) {
	interrupt := context.AfterFunc(ctx, func() { _ = s.read.Close() })
	defer interrupt()
	for {
		entries, err := s.next(max)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, s.fault(err)
		}
		ms, err := s.messages(ctx, entries)
		if err != nil || len(ms) > 0 {
			return ms, err
		}
	}
}

// next is one read. Its calls are not bound to a context: what was read must
// not be thrown away because one has ended.
func (s *subscription) next(max int) ([]client.XMessage, error) {
	if s.own != "" {
		entries, err := s.group(max, s.own, -1)
		if err != nil || len(entries) > 0 {
			if len(entries) > 0 {
				s.own = entries[len(entries)-1].ID
			}
			return entries, err
		}
		s.own = ""
	}
	now := s.Clock.Now()
	if !now.Before(s.nextClaim) {
		return s.claim(now, max)
	}
	return s.group(max, ">", min(block, s.nextClaim.Sub(now)))
}

func (s *subscription) group(max int, from string, wait time.Duration) ([]client.XMessage, error) {
	if wait > 0 {
		wait = wait.Truncate(time.Millisecond) + time.Millisecond // 0 would be for ever
	}
	streams, err := s.read.XReadGroup(context.Background(), &client.XReadGroupArgs{
		Group: s.b.Group, Consumer: s.member, Streams: []string{s.b.From, from}, Count: int64(max), Block: wait,
	}).Result()
	if errors.Is(err, client.Nil) || err != nil || len(streams) == 0 {
		if errors.Is(err, client.Nil) {
			err = nil
		}
		return nil, err
	}
	return streams[0].Messages, nil
}

// claim takes over what members left that have been silent for too long.
func (s *subscription) claim(now time.Time, max int) ([]client.XMessage, error) {
	entries, cursor, err := s.read.XAutoClaim(context.Background(), &client.XAutoClaimArgs{
		Stream: s.b.From, Group: s.b.Group, Consumer: s.member, MinIdle: s.b.ClaimAfter, Start: s.cursor, Count: int64(max),
	}).Result()
	if err != nil {
		return nil, err
	}
	if s.cursor = cursor; cursor == "0-0" {
		s.nextClaim = now.Add(s.b.ClaimAfter / 2)
	}
	return entries, nil
}

// messages leaves out entries that were deleted before anybody took them:
// nothing is left of those.
func (s *subscription) messages(ctx context.Context, entries []client.XMessage) ([]bellhop.Message, error) {
	var ms, gone []bellhop.Message
	for _, e := range entries {
		m := bellhop.Message{ID: s.b.From + "/" + e.ID, Fields: make(map[string]string, len(e.Values)), Handle: e.ID}
		for k, v := range e.Values {
			m.Fields[k], _ = v.(string)
		}
		if e.Values == nil {
			gone = append(gone, m)
			continue
		}
		ms = append(ms, m)
	}
	if len(gone) > 0 {
		s.Log.Warn("messages were trimmed from the stream before they were taken", "broker", s.b.Principal(), "first", gone[0].ID, "messages", len(gone))
		return ms, s.Ack(ctx, gone)
	}
	return ms, nil
}

func ids(ms []bellhop.Message) []string {
	list := make([]string, len(ms))
	for i := range ms {
		list[i], _ = ms[i].Handle.(string)
	}
	return list
}

// Ack takes messages off what the group has to deal with.
func (s *subscription) Ack(ctx context.Context, done []bellhop.Message) error {
	if err := s.write.XAck(ctx, s.b.From, s.b.Group, ids(done)...).Err(); err != nil {
		return s.fault(err)
	}
	return nil
}

// DeadLetter adds the message to another stream, with where it is from and the
// reason in fields of their own.
func (s *subscription) DeadLetter(ctx context.Context, m bellhop.Message, reason string) error {
	values := make([]string, 0, 2*len(m.Fields)+6)
	for k, v := range m.Fields {
		values = append(values, k, v)
	}
	values = append(values, "bellhop.id", m.ID, "bellhop.broker", s.b.Principal(), "bellhop.reason", reason)
	if err := s.write.XAdd(ctx, &client.XAddArgs{Stream: s.b.DeadLetter, Values: values}).Err(); err != nil {
		return s.fault(err)
	}
	return s.Ack(ctx, []bellhop.Message{m})
}

// Extend claims messages anew, so that this member has not been silent.
func (s *subscription) Extend(ctx context.Context, held []bellhop.Message) error {
	err := s.write.XClaimJustID(ctx, &client.XClaimArgs{Stream: s.b.From, Group: s.b.Group, Consumer: s.member, Messages: ids(held)}).Err()
	if err != nil {
		return s.fault(err)
	}
	return nil
}

// Close has others claim at once what is left, and takes this member off the
// list when nothing is.
func (s *subscription) Close() {
	s.closing.Do(func() {
		_ = s.read.Close()
		ctx, cancel := context.WithTimeout(context.Background(), leave)
		defer cancel()
		s.giveBack(ctx)
		_ = s.write.Eval(ctx, remove, []string{s.b.From}, s.b.Group, s.member).Err()
		_ = s.write.Close()
	})
}

// giveBack says of what this member holds that it has been silent for long.
// (It holds, too, what a read brought that was interrupted.)
func (s *subscription) giveBack(ctx context.Context) {
	held, err := s.write.XPendingExt(ctx, &client.XPendingExtArgs{Stream: s.b.From, Group: s.b.Group, Start: "-", End: "+", Count: maxGivenBack, Consumer: s.member}).Result()
	if err != nil {
		return
	}
	for part := range slices.Chunk(held, 100) {
		args := []any{"XCLAIM", s.b.From, s.b.Group, s.member, 0}
		for _, h := range part {
			args = append(args, h.ID)
		}
		args = append(args, "IDLE", (2 * s.b.ClaimAfter).Milliseconds(), "JUSTID")
		if s.write.Do(ctx, args...).Err() != nil {
			return
		}
	}
}
