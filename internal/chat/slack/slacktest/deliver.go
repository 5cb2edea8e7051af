package slacktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket is one connection of Socket Mode.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex // held while writing
	mute bool       // it is open, and nothing comes
}

func (k *socket) send(v any) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mute {
		return true
	}
	_ = k.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return k.conn.WriteJSON(v) == nil
}

// envelope is one thing on its way to the app until that acknowledges it.
type envelope struct {
	id, kind string
	payload  any
	tries    int
	done     chan struct{} // closed when it is acknowledged, or given up
	once     sync.Once
	answer   json.RawMessage
	acked    bool
}

func (e *envelope) settle() { e.once.Do(func() { close(e.done) }) }

func (s *Server) connectionsOpen(args) reply {
	id := s.id("ticket")
	s.tickets[id] = true
	return reply{"url": "ws" + s.http.URL[len("http"):] + "/link/" + id}
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("ticket")
	s.mu.Lock()
	ok := s.tickets[id] && !s.ended
	delete(s.tickets, id)
	s.mu.Unlock()
	if !ok {
		http.Error(w, "this ticket was used", http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	k := &socket{conn: conn}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		conn.Close()
		return
	}
	s.sockets = append(s.sockets, k)
	n := len(s.sockets)
	s.opened++
	s.work.Add(1)
	s.touch()
	s.mu.Unlock()
	defer s.work.Done()
	k.send(reply{"type": "hello", "num_connections": n, "connection_info": reply{"app_id": appID}, "debug_info": reply{"host": "fake", "build_number": 1, "approximate_connection_time": 3600}})
	s.resend()
	s.readSocket(k)
}

// readSocket takes acknowledgements until the socket ends.
func (s *Server) readSocket(k *socket) {
	for {
		_, data, err := k.conn.ReadMessage()
		if err != nil {
			break
		}
		var ack struct {
			Envelope string          `json:"envelope_id"`
			Payload  json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(data, &ack) != nil {
			continue
		}
		s.mu.Lock()
		if e := s.waiting[ack.Envelope]; e != nil {
			e.answer, e.acked = ack.Payload, true
			delete(s.waiting, e.id)
			e.settle()
			s.touch()
		}
		s.mu.Unlock()
	}
	k.conn.Close()
	s.mu.Lock()
	s.sockets = slices.DeleteFunc(s.sockets, func(o *socket) bool { return o == k })
	s.touch()
	s.mu.Unlock()
}

// deliver brings something to the app. The mutex is held. retry: what is not
// acknowledged comes again.
func (s *Server) deliver(kind string, payload any, retry bool) *envelope {
	e := &envelope{id: s.id("env"), kind: kind, payload: payload, done: make(chan struct{})}
	if s.ended || s.opt.Lossy && len(s.sockets) == 0 && s.opt.EventsURL == "" {
		e.settle()
		return e
	}
	s.waiting[e.id] = e
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		s.carry(e, retry)
	}()
	return e
}

// carry delivers an envelope until it is acknowledged or given up.
func (s *Server) carry(e *envelope, retry bool) {
	for {
		s.mu.Lock()
		over := s.ended
		s.mu.Unlock()
		if over {
			return
		}
		if s.opt.EventsURL != "" {
			s.post(e)
		} else {
			s.sendOnce(e)
		}
		timer := time.NewTimer(s.opt.AckWait)
		select {
		case <-e.done:
			timer.Stop()
			return
		case <-timer.C:
		}
		s.mu.Lock()
		// While nobody is there, it waits; a try that could not be made is none.
		if len(s.sockets) > 0 || s.opt.EventsURL != "" {
			e.tries++
		}
		if !retry || e.tries > s.opt.Retries {
			delete(s.waiting, e.id)
			e.settle()
			s.touch()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// sendOnce gives an envelope to one of the sockets.
func (s *Server) sendOnce(e *envelope) {
	s.mu.Lock()
	if len(s.sockets) == 0 {
		s.mu.Unlock()
		return
	}
	s.serial++
	k := s.sockets[s.serial%len(s.sockets)]
	frame := reply{"envelope_id": e.id, "type": e.kind, "payload": e.payload, "accepts_response_payload": e.kind != "events_api"}
	if e.kind == "events_api" {
		frame["retry_attempt"], frame["retry_reason"] = e.tries, ""
		if e.tries > 0 {
			frame["retry_reason"] = "timeout"
		}
	}
	s.mu.Unlock()
	k.send(frame)
}

// resend gives all that waits to whoever has come.
func (s *Server) resend() {
	s.mu.Lock()
	var list []*envelope
	for _, e := range s.waiting {
		list = append(list, e)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *envelope) int { return len(a.id)*1000 - len(b.id)*1000 + compare(a.id, b.id) })
	for _, e := range list {
		s.sendOnce(e)
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Sign returns the headers of a request that Slack sends.
func Sign(body []byte, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(SigningSecret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	return http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac.Sum(nil))}}
}

// post brings an envelope over HTTP.
func (s *Server) post(e *envelope) {
	body, err := json.Marshal(e.payload)
	if err != nil {
		panic(err)
	}
	kind := "application/json"
	switch e.kind {
	case "interactive":
		kind, body = "application/x-www-form-urlencoded", []byte(url.Values{"payload": {string(body)}}.Encode())
	case "slash_commands":
		kind = "application/x-www-form-urlencoded"
		form := url.Values{}
		for k, v := range e.payload.(reply) {
			form.Set(k, fmt.Sprint(v))
		}
		body = []byte(form.Encode())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opt.EventsURL, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header = Sign(body, s.opt.Now())
	req.Header.Set("Content-Type", kind)
	if e.tries > 0 {
		req.Header.Set("X-Slack-Retry-Num", strconv.Itoa(e.tries))
		req.Header.Set("X-Slack-Retry-Reason", "http_error")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.acked = true
	if json.Valid(answer) {
		e.answer = answer
	}
	delete(s.waiting, e.id)
	e.settle()
	s.touch()
}

// DropSockets cuts all connections without a word.
func (s *Server) DropSockets() {
	s.mu.Lock()
	sockets := slices.Clone(s.sockets)
	s.sockets = nil
	s.touch()
	s.mu.Unlock()
	for _, k := range sockets {
		k.conn.NetConn().Close()
	}
}

// Mute leaves all connections open, and lets nothing through any more: the
// half-open connection.
func (s *Server) Mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		k.mu.Lock()
		k.mute = true
		k.conn.SetPingHandler(func(string) error { return nil })
		k.mu.Unlock()
	}
	s.sockets = nil
}

// Disconnect tells all connections that they will end: warning,
// refresh_requested, link_disabled. They stay open.
func (s *Server) Disconnect(reason string) {
	s.mu.Lock()
	sockets := slices.Clone(s.sockets)
	s.mu.Unlock()
	for _, k := range sockets {
		k.send(reply{"type": "disconnect", "reason": reason, "debug_info": reply{"host": "fake"}})
	}
}

// Sockets returns how many connections are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// Opened returns how many connections there were so far.
func (s *Server) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// Waiting returns how many deliveries were not acknowledged yet.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}
