package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// ackFor is how long it may take to say that a report was read.
const ackFor = 2 * time.Second

// errCut says that a stream ended before it was complete.
var errCut = errors.New("the connection was cut")

// callerError wraps an error of a callback, which ends a stream for good.
type callerError struct{ err error }

func (e callerError) Error() string { return e.err.Error() }

// stream reads server-sent events until the one named end.
func (c *Client) stream(ctx context.Context, path string, header http.Header, fn func(id, event string, data []byte) error) error {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept", "text/event-stream")
	resp, err := c.send(ctx, "GET", path, header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.reached(true)
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	var id, event string
	var data []byte
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errCut
			}
			return err
		}
		field, value, _ := bytes.Cut(bytes.TrimRight(line, "\n"), []byte(": "))
		switch string(field) {
		case "id":
			id = string(value)
		case "event":
			event = string(value)
		case "data":
			data = value
		case "":
			switch event {
			case "":
			case "end":
				return nil
			case "error":
				p, err := decode[web.Problem](data)
				if err != nil {
					return err
				}
				return &bellhop.Error{Code: p.Code, Message: p.Detail}
			default:
				if err := fn(id, event, data); err != nil {
					return callerError{err}
				}
			}
			id, event, data = "", "", nil
		}
	}
}

// follow streams again and again until the stream is complete, fn fails, the
// server refuses, or ctx ends. With wait, a server that says "not now" is asked
// again for as long: what is waited for may be a long time away.
func (c *Client) follow(ctx context.Context, path string, wait bool, header func() http.Header, fn func(id, event string, data []byte) error) error {
	var mine error
	for {
		err := c.patiently(ctx, func() error {
			err := c.stream(ctx, path, header(), fn)
			if own, ok := errors.AsType[callerError](err); ok {
				mine = own.err
				return nil
			}
			return err
		})
		switch {
		case mine != nil:
			return mine
		case !wait || bellhop.CodeOf(err) != bellhop.Unavailable:
			return err
		}
		if err := sleep(ctx, lastPause); err != nil {
			return err
		}
	}
}

// Output calls fn for each piece of a run's output (chat.Desk).
func (c *Client) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	last := ""
	path := fmt.Sprintf("/v1/runs/%s/output?follow=%t", id, follow)
	return c.follow(ctx, path, follow, func() http.Header {
		if last == "" {
			return http.Header{}
		}
		return http.Header{"Last-Event-Id": {last}}
	}, func(at, _ string, data []byte) error {
		ch, err := decode[chunk](data)
		if err != nil {
			return err
		}
		if err := fn(ch.back()); err != nil {
			return err
		}
		last = at
		return nil
	})
}

// Reports calls fn for each report to this session (chat.Desk).
func (c *Client) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	return c.reports(ctx, "/v1/reports", true, fn)
}

// Unread calls fn for each report that nobody read (chat.Desk).
func (c *Client) Unread(ctx context.Context, fn func(bellhop.Report) error) error {
	return c.reports(ctx, "/v1/reports?unread=true", false, fn)
}

func (c *Client) reports(ctx context.Context, path string, wait bool, fn func(bellhop.Report) error) error {
	// The stream must not end between the reading of a report and its
	// acknowledgement, which would come too late.
	stream, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var telling sync.Mutex
	defer context.AfterFunc(ctx, func() {
		telling.Lock()
		defer telling.Unlock()
		end()
	})()
	err := c.follow(stream, path, wait, func() http.Header { return http.Header{} }, func(_, _ string, data []byte) error {
		telling.Lock()
		defer telling.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rep, err := decode[report](data)
		if err != nil {
			return err
		}
		if err := fn(rep.back()); err != nil {
			return err
		}
		// The report was read, so this is said even when ctx has ended. When the
		// server goes away before it hears it, it tells the report again, and fn
		// sees the same ID.
		say, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackFor)
		defer cancel()
		_, _ = call[struct{}](say, c, "POST", "/v1/reports/"+strconv.FormatInt(rep.ID, 10)+"/ack", nil, nil)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
