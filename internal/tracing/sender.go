package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxQueue is how many spans may wait to be sent; what comes then is
	// dropped. maxBatch of them go in one request, batchFor after the first.
	maxQueue = 4096
	maxBatch = 512
	batchFor = time.Second
	// tries is how often a batch is sent, pauses of firstPause and its doubles
	// between them.
	tries      = 3
	firstPause = time.Second
	// flushFor bounds what is sent after the stop.
	flushFor = 3 * time.Second
	// tellEvery is between two lines in the log.
	tellEvery = time.Minute
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
)

// sender sends spans in batches, and never has anybody wait
// (sdk.SpanProcessor).
type sender struct {
	opt     Options
	http    *http.Client
	queue   chan sdk.ReadOnlySpan
	leave   chan struct{} // closed to stop
	done    chan struct{} // closed when all is over
	once    sync.Once
	cut     context.CancelFunc // ends what is being sent
	sent    atomic.Uint64
	dropped atomic.Uint64

	told      time.Time // the loop's alone, as the next two
	toldDrops uint64
	away      bool
}

func newSender(o Options) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	ctx, cut := context.WithCancel(context.Background())
	s := &sender{
		opt: o, queue: make(chan sdk.ReadOnlySpan, maxQueue), leave: make(chan struct{}), done: make(chan struct{}), cut: cut,
		http: &http.Client{
			Transport: transport, Timeout: o.Settings.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers may hold a secret
		},
	}
	go func() {
		defer close(s.done)
		defer transport.CloseIdleConnections()
		s.run(ctx)
	}()
	return s
}

// OnStart does nothing (sdk.SpanProcessor).
func (s *sender) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd queues a span, or drops it (sdk.SpanProcessor).
func (s *sender) OnEnd(span sdk.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	select {
	case s.queue <- span:
	default:
		s.dropped.Add(1)
	}
}

// ForceFlush does nothing: what there is goes at the stop (sdk.SpanProcessor).
func (s *sender) ForceFlush(context.Context) error { return nil }

// Shutdown is stop (sdk.SpanProcessor).
func (s *sender) Shutdown(ctx context.Context) error {
	s.stop(ctx)
	return nil
}

// stop sends what is queued, until flushFor has passed or ctx ends.
func (s *sender) stop(ctx context.Context) {
	s.once.Do(func() { close(s.leave) })
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cut()
		<-s.done
	}
	s.cut()
}

func (s *sender) run(ctx context.Context) {
	for {
		batch, more := s.gather()
		if len(batch) > 0 {
			s.send(ctx, batch)
		}
		s.tell(nil)
		if !more {
			return
		}
	}
}

// gather waits for a batch. more is false when nothing comes any more.
func (s *sender) gather() (batch []sdk.ReadOnlySpan, more bool) {
	select {
	case span := <-s.queue:
		batch = append(batch, span)
	case <-s.leave:
		return s.rest(nil)
	}
	full, end := s.opt.Clock.NewTimer(batchFor)
	defer end()
	for len(batch) < maxBatch {
		select {
		case span := <-s.queue:
			batch = append(batch, span)
		case <-full:
			return batch, true
		case <-s.leave:
			return s.rest(batch)
		}
	}
	return batch, true
}

// rest takes what is queued at the stop.
func (s *sender) rest(batch []sdk.ReadOnlySpan) ([]sdk.ReadOnlySpan, bool) {
	for len(batch) < maxBatch {
		select {
		case span := <-s.queue:
			batch = append(batch, span)
		default:
			return batch, false
		}
	}
	return batch, true
}

// send sends a batch, or drops it.
func (s *sender) send(ctx context.Context, batch []sdk.ReadOnlySpan) {
	body, err := encode(batch)
	rejected := 0
	for try := 1; err == nil; try++ {
		var again bool
		if rejected, again, err = s.post(ctx, body); err == nil || !again || try == tries || !s.pause(firstPause<<(try-1)) {
			break
		}
		err = nil
	}
	if err != nil {
		rejected = len(batch)
	}
	rejected = min(rejected, len(batch))
	s.sent.Add(uint64(len(batch) - rejected))
	s.dropped.Add(uint64(rejected))
	if err != nil || rejected > 0 {
		s.tell(err)
		return
	}
	if s.away {
		s.away = false
		s.opt.Log.Info("traces are taken again")
	}
}

// pause waits before a batch is sent again, and reports whether it is.
func (s *sender) pause(d time.Duration) bool {
	timer, end := s.opt.Clock.NewTimer(d)
	defer end()
	select {
	case <-timer:
		return true
	case <-s.leave:
		return false
	}
}

// post makes one request. again says whether it may succeed when it is made
// once more.
func (s *sender) post(ctx context.Context, body []byte) (rejected int, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opt.Settings.URL, bytes.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	req.Header = s.opt.Settings.Headers.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "bellhop/"+s.opt.Version)
	resp, err := s.http.Do(req)
	if err != nil {
		if address, ok := errors.AsType[*url.Error](err); ok { // which may hold a password
			err = address.Err
		}
		return 0, ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch resp.StatusCode {
	case http.StatusOK:
		return refused(answer), false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return 0, again, fmt.Errorf("the collector answers %s", resp.Status)
}

// refused is how many spans a collector did not take of a request that it took.
func refused(answer []byte) int {
	var got struct {
		PartialSuccess struct {
			RejectedSpans json.Number `json:"rejectedSpans"` // a number or, of 64 bits, a string
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &got) != nil {
		return 0
	}
	n, err := got.PartialSuccess.RejectedSpans.Int64()
	if err != nil || n < 0 {
		return 0
	}
	return int(min(n, maxBatch))
}

// tell writes to the log what was dropped, now and then.
func (s *sender) tell(err error) {
	dropped := s.dropped.Load()
	now := s.opt.Clock.Now()
	if dropped == s.toldDrops || !s.told.IsZero() && now.Sub(s.told) < tellEvery {
		return
	}
	s.opt.Log.Warn("spans of traces were dropped; look whether the collector takes them (OTEL_EXPORTER_OTLP_ENDPOINT)", "spans", dropped-s.toldDrops, "error", err)
	s.told, s.toldDrops, s.away = now, dropped, true
}
