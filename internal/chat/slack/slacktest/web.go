package slacktest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fault is what happens to the next calls of a method.
type fault struct {
	method, channel string
	left            int
	code            string // answered
	retryAfter      int    // seconds: 429
	after           bool   // the call is done, and its answer lost
	status          int
}

// Fail has the next n calls of a method answered with an error.
func (s *Server) Fail(method string, n int, code string) {
	s.fault(fault{method: method, left: n, code: code})
}

// Limit has the next n calls of a method, in a channel unless it is "",
// answered with 429.
func (s *Server) Limit(method, channel string, n, seconds int) {
	s.fault(fault{method: method, channel: channel, left: n, retryAfter: seconds})
}

// Break has the next n calls of a method answered with status 500.
func (s *Server) Break(method string, n int) { s.fault(fault{method: method, left: n, status: 500}) }

// Lose has the next n calls of a method done, and the answers lost.
func (s *Server) Lose(method string, n int) { s.fault(fault{method: method, left: n, after: true}) }

func (s *Server) fault(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// faultFor takes a fault for a call. The mutex is held.
func (s *Server) faultFor(method, channel string) *fault {
	for _, f := range s.faults {
		if f.left > 0 && f.method == method && (f.channel == "" || f.channel == channel) {
			f.left--
			return f
		}
	}
	return nil
}

// reply is what a method answers: an error, or more.
type reply map[string]any

func failed(code string) reply { return reply{"ok": false, "error": code} }

// args are those of a call, whatever way they came.
type args map[string]string

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	a, err := readArgs(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = a["token"]
	}
	delete(a, "token")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	call := Call{Method: method, Args: a, At: s.opt.Now()}
	defer func() { s.calls = append(s.calls, call); s.touch() }()
	f := s.faultFor(method, a["channel"])
	if f == nil && method == "chat.postMessage" {
		f = s.tooMany(a["channel"])
	}
	if f != nil && !f.after {
		call.Error = cmpOr(f.code, "http")
		f.write(w)
		return
	}
	answer := s.answer(method, token, a)
	call.Error, _ = answer["error"].(string)
	if f != nil {
		call.Error = "lost"
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.scopes(), ","))
	write(w, answer)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (f *fault) write(w http.ResponseWriter) {
	switch {
	case f.retryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
		w.WriteHeader(http.StatusTooManyRequests)
		write(w, failed("ratelimited"))
	case f.status != 0:
		http.Error(w, "<html>no</html>", f.status)
	default:
		write(w, failed(f.code))
	}
}

func write(w http.ResponseWriter, answer reply) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// tooMany counts the posts to a channel. The mutex is held.
func (s *Server) tooMany(channel string) *fault {
	if s.opt.PostsPerSecond == 0 {
		return nil
	}
	now := s.opt.Now()
	recent := slices.DeleteFunc(s.posts[channel], func(t time.Time) bool { return now.Sub(t) >= time.Second })
	s.posts[channel] = recent
	if len(recent) >= s.opt.PostsPerSecond {
		return &fault{retryAfter: 1}
	}
	s.posts[channel] = append(recent, now)
	return nil
}

func readArgs(r *http.Request) (args, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	a := args{}
	for k, v := range r.URL.Query() {
		a[k] = v[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" && len(body) > 0 {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return nil, err
		}
		for k, v := range fields {
			var text string
			if json.Unmarshal(v, &text) == nil {
				a[k] = text
			} else {
				a[k] = string(v)
			}
		}
		return a, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	for k, v := range form {
		a[k] = v[0]
	}
	return a, nil
}

// scopes are those of the bot token. The mutex is held.
func (s *Server) scopes() []string {
	if s.opt.Scopes != nil {
		return s.opt.Scopes
	}
	return AllScopes()
}

// AllScopes returns every scope that some method here wants.
func AllScopes() []string {
	all := []string{"app_mentions:read", "commands", "im:history", "groups:history", "groups:read", "im:read", "mpim:history", "mpim:read"}
	for _, m := range methods() {
		if m.scope != "" && !slices.Contains(all, m.scope) {
			all = append(all, m.scope)
		}
	}
	slices.Sort(all)
	return all
}

// answer carries a call out. The mutex is held.
func (s *Server) answer(method, token string, a args) reply {
	m, ok := methods()[method]
	switch {
	case !ok:
		return failed("unknown_method")
	case token == "":
		return failed("not_authed")
	case m.app && token != AppToken, !m.app && token != BotToken:
		if token == AppToken || token == BotToken {
			return failed("not_allowed_token_type")
		}
		return failed("invalid_auth")
	case m.scope != "" && !slices.Contains(s.scopes(), m.scope):
		return reply{"ok": false, "error": "missing_scope", "needed": m.scope, "provided": strings.Join(s.scopes(), ",")}
	}
	answer := m.do(s, a)
	if answer["ok"] == nil {
		answer["ok"] = true
	}
	return answer
}

// method is one of the Web API.
type method struct {
	scope string
	app   bool // with the app token
	do    func(*Server, args) reply
}

func methods() map[string]method {
	return map[string]method{
		"auth.test":                    {do: (*Server).authTest},
		"api.test":                     {do: func(*Server, args) reply { return reply{} }},
		"apps.connections.open":        {app: true, do: (*Server).connectionsOpen},
		"chat.postMessage":             {scope: "chat:write", do: (*Server).postMessage},
		"chat.postEphemeral":           {scope: "chat:write", do: (*Server).postEphemeral},
		"chat.update":                  {scope: "chat:write", do: (*Server).update},
		"chat.getPermalink":            {do: (*Server).permalink},
		"reactions.add":                {scope: "reactions:write", do: (*Server).reactionsAdd},
		"reactions.remove":             {scope: "reactions:write", do: (*Server).reactionsRemove},
		"conversations.history":        {scope: "channels:history", do: (*Server).history},
		"conversations.replies":        {scope: "channels:history", do: (*Server).replies},
		"conversations.list":           {scope: "channels:read", do: (*Server).list},
		"users.conversations":          {scope: "channels:read", do: (*Server).list},
		"conversations.members":        {scope: "channels:read", do: (*Server).members},
		"conversations.join":           {scope: "channels:join", do: (*Server).join},
		"conversations.open":           {scope: "im:write", do: (*Server).openDirect},
		"users.info":                   {scope: "users:read", do: (*Server).userInfo},
		"usergroups.users.list":        {scope: "usergroups:read", do: (*Server).usergroup},
		"views.open":                   {do: (*Server).viewsOpen},
		"files.getUploadURLExternal":   {scope: "files:write", do: (*Server).uploadURL},
		"files.completeUploadExternal": {scope: "files:write", do: (*Server).uploadDone},
	}
}
