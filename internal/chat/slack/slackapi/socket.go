package slackapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Frame is one thing that a socket brings.
type Frame struct {
	Type         string          `json:"type"` // hello, disconnect, events_api, interactive, slash_commands
	Envelope     string          `json:"envelope_id"`
	Reason       string          `json:"reason"` // disconnect: warning, refresh_requested, link_disabled
	Payload      json.RawMessage `json:"payload"`
	RetryAttempt int             `json:"retry_attempt"`
}

// Socket is one connection of Socket Mode. slack-go's own is not used: it
// closes the old connection before it opens the next, and decodes payloads
// more strictly than a chat may.
type Socket struct {
	conn  *websocket.Conn
	quiet time.Duration
	stop  chan struct{}
	once  sync.Once
	pings sync.WaitGroup

	mu sync.Mutex // held while writing
}

// The bounds of a socket: what one frame may hold, and how long writing may
// take.
const (
	maxFrame = 4 << 20
	writeFor = 10 * time.Second
)

// Open opens a socket.
func (c *Client) Open(ctx context.Context) (*Socket, error) {
	var url string
	err := c.do(ctx, "apps.connections.open", "", func() (err error) {
		_, url, err = c.api.StartSocketModeContext(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Slack does not put fragments together, so what is written is one frame.
	d := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: callFor, WriteBufferSize: 32 << 10}
	conn, resp, err := d.DialContext(ctx, url, nil)
	if err != nil {
		return nil, &Fault{Method: "apps.connections.open", Err: err}
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	s := &Socket{conn: conn, quiet: c.opt.Quiet, stop: make(chan struct{})}
	conn.SetReadLimit(maxFrame)
	conn.SetPingHandler(func(data string) error {
		s.alive()
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeFor))
		return nil
	})
	conn.SetPongHandler(func(string) error { s.alive(); return nil })
	s.alive()
	s.pings.Go(s.ping)
	return s, nil
}

// alive says that the other end was heard of.
func (s *Socket) alive() { _ = s.conn.SetReadDeadline(time.Now().Add(s.quiet)) }

// ping asks whether the other end is there, so that a connection that is open
// on one side only is noticed.
func (s *Socket) ping() {
	tick := time.NewTicker(s.quiet / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeFor))
		case <-s.stop:
			return
		}
	}
}

// Read returns the next frame. What is no JSON is passed over. An error is
// final.
func (s *Socket) Read() (Frame, error) {
	for {
		_, data, err := s.conn.ReadMessage()
		if err != nil {
			return Frame{}, err
		}
		s.alive()
		var f Frame
		if json.Unmarshal(data, &f) == nil {
			return f, nil
		}
	}
}

// Ack acknowledges an envelope; payload nil = without an answer.
func (s *Socket) Ack(envelope string, payload any) error {
	ack := map[string]any{"envelope_id": envelope}
	if payload != nil {
		ack["payload"] = payload
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeFor))
	return s.conn.WriteJSON(ack)
}

// Close closes the socket. It may be called twice, and while others read or
// write.
func (s *Socket) Close() {
	s.once.Do(func() {
		close(s.stop)
		_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
		s.conn.Close()
	})
	s.pings.Wait()
}
