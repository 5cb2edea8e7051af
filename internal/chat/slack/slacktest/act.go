package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// This file is what people do.

// Mention is the text that calls the bot.
const Mention = "<@" + BotUser + ">"

// AddUser adds an account, or replaces one.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.ID] = &u
}

// AddChannel adds a channel, or replaces one, and tells of it.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[c.ID] = &c
	if !c.Private && !c.Direct {
		s.event(reply{"type": "channel_created", "channel": reply{"id": c.ID, "name": c.Name, "created": 1, "creator": "U1"}})
	}
	s.touch()
}

// Archive archives a channel.
func (s *Server) Archive(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[id].Archived = true
}

// Kick removes somebody from a channel.
func (s *Server) Kick(id, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	var left []string
	for _, m := range c.Members {
		if m != user {
			left = append(left, m)
		}
	}
	c.Members = left
}

// SetGroup says who belongs to a user group.
func (s *Server) SetGroup(id string, users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = users
}

// Say has somebody say something and returns the time stamp.
func (s *Server) Say(user, channel, text string) string { return s.Reply(user, channel, "", text) }

// Reply is Say in a thread.
func (s *Server) Reply(user, channel, thread, text string) string {
	return s.Put(channel, Message{User: user, Thread: thread, Text: text})
}

// Direct has somebody say something to the bot alone. It returns the channel,
// too.
func (s *Server) Direct(user, text string) (channel, ts string) {
	s.mu.Lock()
	channel = s.direct(user).ID
	s.mu.Unlock()
	return channel, s.Say(user, channel, text)
}

// Put adds any message, and tells of it.
func (s *Server) Put(channel string, m Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	m.TS = cmpOr(m.TS, s.ts())
	c.Messages = append(c.Messages, &m)
	s.heard(c, &m)
	s.touch()
	return m.TS
}

// heard tells the app of a message, if it is there to hear it. The mutex is
// held.
func (s *Server) heard(c *Channel, m *Message) {
	if !c.has(BotUser) {
		return
	}
	ev := m.json(c, false)
	ev["channel"], ev["channel_type"], ev["event_ts"] = c.ID, c.kind(), m.TS
	s.event(ev)
	if strings.Contains(m.Text, Mention) && !c.Direct && m.User != BotUser && m.Subtype == "" {
		s.mention(c, m)
	}
}

func (s *Server) mention(c *Channel, m *Message) {
	at := m.json(c, false)
	at["type"], at["channel"], at["event_ts"] = "app_mention", c.ID, cmpOr(m.Edited, m.TS)
	delete(at, "subtype")
	s.event(at)
}

// json is a message as Slack writes it.
func (m *Message) json(c *Channel, metadata bool) reply {
	r := reply{"type": "message", "ts": m.TS, "text": m.Text, "team": Team}
	for k, v := range map[string]string{"user": m.User, "bot_id": m.Bot, "subtype": m.Subtype, "thread_ts": m.Thread} {
		if v != "" {
			r[k] = v
		}
	}
	if m.User == "U4" {
		r["team"], r["user_team"], r["source_team"] = "T2", "T2", "T2"
	}
	if m.Blocks != nil {
		r["blocks"] = m.Blocks
	}
	if m.Metadata != nil && metadata {
		r["metadata"] = m.Metadata
	}
	if m.Edited != "" {
		r["edited"] = reply{"user": m.User, "ts": m.Edited}
	}
	for _, name := range m.Files {
		files, _ := r["files"].([]reply)
		r["files"] = append(files, reply{"id": "F" + name, "name": name, "title": name})
	}
	latest := ""
	for _, o := range c.Messages {
		if o.Thread == m.TS && o.TS != m.TS {
			latest = max(latest, o.TS)
		}
	}
	if latest != "" {
		r["latest_reply"], r["thread_ts"] = latest, m.TS
	}
	return r
}

// event tells the app of something. The mutex is held.
func (s *Server) event(ev reply) {
	s.deliver("events_api", reply{
		"token": "old", "team_id": Team, "api_app_id": appID, "event": ev, "type": "event_callback", "event_id": s.id("Ev"),
		"event_time": s.opt.Now().Unix(), "authorizations": []reply{{"team_id": Team, "user_id": BotUser, "is_bot": true}},
	}, true)
}

// Edit has somebody change what they said.
func (s *Server) Edit(channel, ts, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	m := c.find(ts)
	before := m.json(c, false)
	m.Text, m.Edited = text, s.ts()
	s.event(reply{
		"type": "message", "subtype": "message_changed", "hidden": true, "channel": c.ID, "channel_type": c.kind(),
		"ts": s.ts(), "event_ts": m.Edited, "message": m.json(c, false), "previous_message": before,
	})
	if s.opt.MentionTwice && strings.Contains(text, Mention) {
		s.mention(c, m)
	}
	s.touch()
}

// Remind has Slackbot remind a channel of a text.
func (s *Server) Remind(channel, text string) string {
	return s.Put(channel, Message{User: "USLACKBOT", Text: "Reminder: " + text + "."})
}

// Raw delivers an event as it is, once more than once if it likes.
func (s *Server) Raw(ev map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event(ev)
}

// Envelope delivers any payload and returns the answer to it.
func (s *Server) Envelope(kind string, payload map[string]any) (json.RawMessage, bool) {
	s.mu.Lock()
	e := s.deliver(kind, reply(payload), false)
	s.mu.Unlock()
	<-e.done
	return e.answer, e.acked
}

func (s *Server) trigger(user string) string {
	id := s.id("trigger.")
	s.triggers[id] = trigger{user, s.opt.Now().Add(3 * time.Second)}
	return id
}

func (s *Server) who(user string) reply {
	u := s.users[user]
	return reply{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.Team}
}

// Slash has somebody use /bellhop, and returns what was answered at once. ok
// is false when there was no answer within the time.
func (s *Server) Slash(user, channel, text string) (answer json.RawMessage, ok bool) {
	s.mu.Lock()
	c := s.channels[channel]
	e := s.deliver("slash_commands", reply{
		"token": "old", "team_id": Team, "team_domain": "fake", "channel_id": c.ID, "channel_name": cmpOr(c.Name, "directmessage"), "user_id": user,
		"user_name": s.users[user].Name, "command": "/bellhop", "text": text, "api_app_id": appID, "is_enterprise_install": "false",
		"response_url": s.http.URL + "/respond/" + user + "/" + c.ID, "trigger_id": s.trigger(user),
	}, false)
	s.mu.Unlock()
	<-e.done
	return e.answer, e.acked
}

// Press has somebody press the button of a message that has a label.
func (s *Server) Press(user, channel, ts, label string) error {
	s.mu.Lock()
	c := s.channels[channel]
	m := c.find(ts)
	var blocks json.RawMessage
	container := reply{"type": "message", "message_ts": ts, "channel_id": c.ID, "is_ephemeral": m == nil}
	message := reply{}
	if m != nil {
		blocks, message = m.Blocks, m.json(c, true)
		if m.Thread != "" {
			container["thread_ts"] = m.Thread
		}
	}
	for _, a := range s.answers {
		if a.TS == ts {
			blocks = a.Blocks
		}
	}
	action, err := button(blocks, label)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	action["action_ts"] = s.ts()
	e := s.deliver("interactive", reply{
		"type": "block_actions", "team": reply{"id": Team, "domain": "fake"}, "user": s.who(user), "api_app_id": appID, "token": "old",
		"container": container, "trigger_id": s.trigger(user), "channel": reply{"id": c.ID, "name": c.Name}, "message": message,
		"response_url": s.http.URL + "/respond/" + user + "/" + c.ID, "actions": []reply{action}, "state": reply{"values": reply{}},
	}, false)
	s.mu.Unlock()
	<-e.done
	if !e.acked {
		return fmt.Errorf("the button %q was not acknowledged in time", label)
	}
	return nil
}

func button(blocks json.RawMessage, label string) (reply, error) {
	var list []struct {
		BlockID  string `json:"block_id"`
		Elements []struct {
			Type, Value string
			ActionID    string `json:"action_id"`
			Text        struct{ Text string }
		} `json:"elements"`
	}
	_ = json.Unmarshal(blocks, &list)
	for _, b := range list {
		for _, e := range b.Elements {
			if e.Type == "button" && e.Text.Text == label {
				return reply{"type": "button", "action_id": e.ActionID, "block_id": cmpOr(b.BlockID, "b1"), "value": e.Value, "text": reply{"type": "plain_text", "text": label}}, nil
			}
		}
	}
	return nil, fmt.Errorf("there is no button %q in %s", label, blocks)
}

func (v View) json(state reply) reply {
	var r reply
	_ = json.Unmarshal(v.JSON, &r)
	if r == nil {
		r = reply{}
	}
	r["id"], r["team_id"], r["hash"], r["app_id"], r["bot_id"], r["root_view_id"] = v.ID, Team, "h1", appID, botID, v.ID
	r["state"] = reply{"values": state}
	return r
}

// Submit has somebody fill in a modal, by the block's id. It returns the
// faults that were found, by block.
func (s *Server) Submit(id string, values map[string]string) (map[string]string, error) {
	return s.SubmitAs("", id, values)
}

// SubmitAs is Submit by somebody whom the modal was not opened for.
func (s *Server) SubmitAs(user, id string, values map[string]string) (map[string]string, error) {
	s.mu.Lock()
	var view *View
	for i := range s.views {
		if s.views[i].ID == id {
			view = &s.views[i]
		}
	}
	if view == nil || view.Done {
		s.mu.Unlock()
		return nil, fmt.Errorf("there is no open view %s", id)
	}
	state, err := fill(view.JSON, values)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	user = cmpOr(user, view.User)
	e := s.deliver("interactive", reply{
		"type": "view_submission", "team": reply{"id": Team, "domain": "fake"}, "user": s.who(user), "api_app_id": appID, "token": "old",
		"trigger_id": s.trigger(user), "view": view.json(state), "response_urls": []any{}, "is_enterprise_install": false,
	}, false)
	s.mu.Unlock()
	<-e.done
	if !e.acked {
		return nil, fmt.Errorf("the modal was not acknowledged in time")
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
	}
	_ = json.Unmarshal(e.answer, &answer)
	if answer.Action == "errors" {
		return answer.Errors, nil
	}
	s.mu.Lock()
	view.Done = true
	s.mu.Unlock()
	return nil, nil
}

// fill makes the state of a modal.
func fill(view json.RawMessage, values map[string]string) (reply, error) {
	var v struct {
		Blocks []struct {
			Type     string
			BlockID  string `json:"block_id"`
			Optional bool
			Element  struct {
				Type     string
				ActionID string `json:"action_id"`
				Options  []struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(view, &v); err != nil {
		return nil, err
	}
	state := reply{}
	for _, b := range v.Blocks {
		if b.Type != "input" {
			continue
		}
		val, given := values[b.BlockID]
		if !given && !b.Optional {
			return nil, fmt.Errorf("the field %q is needed", b.BlockID)
		}
		el := reply{"type": b.Element.Type}
		switch b.Element.Type {
		case "static_select", "radio_buttons":
			el["selected_option"] = nil
			for _, o := range b.Element.Options {
				if o.Value == val {
					el["selected_option"] = reply{"text": reply{"type": "plain_text", "text": val}, "value": val}
				}
			}
			if given && el["selected_option"] == nil {
				return nil, fmt.Errorf("%q is no choice of %q", val, b.BlockID)
			}
		case "datepicker":
			el["selected_date"] = val
		default:
			el["value"] = val
		}
		state[b.BlockID] = reply{b.Element.ActionID: el}
	}
	return state, nil
}

func (s *Server) serveRespond(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m struct {
		Text   string
		Blocks json.RawMessage
		Type   string `json:"response_type"`
	}
	if json.Unmarshal(body, &m) != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	if f := s.faultFor("response_url", ""); f != nil {
		f.write(w)
		return
	}
	if string(m.Blocks) == "null" {
		m.Blocks = nil
	}
	if m.Type == "in_channel" {
		c := s.channels[r.PathValue("channel")]
		c.Messages = append(c.Messages, &Message{TS: s.ts(), User: BotUser, Bot: botID, Text: m.Text, Blocks: m.Blocks})
	} else {
		s.answers = append(s.answers, Ephemeral{User: r.PathValue("user"), Channel: r.PathValue("channel"), Text: m.Text, Blocks: m.Blocks, TS: s.ts()})
	}
	_, _ = io.WriteString(w, "ok")
}

func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	var data []byte
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		if err := r.ParseMultipartForm(64 << 20); err == nil {
			for _, list := range r.MultipartForm.File {
				if f, err := list[0].Open(); err == nil {
					data, _ = io.ReadAll(f)
					f.Close()
				}
			}
		}
	} else {
		data, _ = io.ReadAll(io.LimitReader(r.Body, 64<<20))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.uploads[r.PathValue("id")]
	if f == nil {
		http.Error(w, "no such upload", http.StatusNotFound)
		return
	}
	f.Data = data
	fmt.Fprintf(w, "OK - %d", len(data))
}
