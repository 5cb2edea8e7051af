package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func (s *Server) authTest(args) reply {
	return reply{
		"enterprise_id": s.opt.Enterprise, "url": "https://fake.slack.com/", "team": "Fake", "user": "bellhop", "team_id": Team, "user_id": BotUser, "bot_id": botID, "is_enterprise_install": false}
}

// The limits of a message.
const (
	maxText    = 40_000
	maxBlocks  = 50
	maxSection = 3000
)

// place checks that the bot may write in a channel. The mutex is held.
func (s *Server) place(id string) (*Channel, reply) {
	c := s.channel(id)
	switch {
	case c == nil:
		if s.users[id] == nil {
			return nil, failed("channel_not_found")
		}
		return s.direct(id), nil
	case c.Archived:
		return nil, failed("is_archived")
	case !c.has(BotUser) && c.Private:
		return nil, failed("channel_not_found")
	case !c.has(BotUser):
		return nil, failed("not_in_channel")
	}
	return c, nil
}

func checkBlocks(raw string) reply {
	if raw == "" {
		return nil
	}
	var blocks []struct {
		Type     string                 `json:"type"`
		Text     *struct{ Text string } `json:"text"`
		Elements []struct {
			Value    string `json:"value"`
			ActionID string `json:"action_id"`
		} `json:"elements"`
	}
	if json.Unmarshal([]byte(raw), &blocks) != nil {
		return failed("invalid_blocks_format")
	}
	if len(blocks) > maxBlocks {
		return failed("invalid_blocks")
	}
	for _, b := range blocks {
		if b.Type == "" || b.Type == "section" && (b.Text == nil || b.Text.Text == "" || utf8.RuneCountInString(b.Text.Text) > maxSection) {
			return failed("invalid_blocks")
		}
		for _, e := range b.Elements {
			if len(e.Value) > 2000 || len(e.ActionID) > 255 {
				return failed("invalid_blocks")
			}
		}
	}
	return nil
}

func (s *Server) postMessage(a args) reply {
	c, bad := s.place(a["channel"])
	if bad == nil {
		bad = checkBlocks(a["blocks"])
	}
	switch {
	case bad != nil:
		return bad
	case a["text"] == "" && a["blocks"] == "":
		return failed("no_text")
	case utf8.RuneCountInString(a["text"]) > maxText:
		return failed("msg_too_long")
	}
	m := &Message{TS: s.ts(), Thread: a["thread_ts"], User: BotUser, Bot: botID, Text: a["text"], Blocks: raw(a["blocks"]), Metadata: raw(a["metadata"])}
	c.Messages = append(c.Messages, m)
	s.heard(c, m)
	return reply{"channel": c.ID, "ts": m.TS, "message": m.json(c, true)}
}

func (s *Server) postEphemeral(a args) reply {
	c, bad := s.place(a["channel"])
	if bad == nil {
		bad = checkBlocks(a["blocks"])
	}
	switch {
	case bad != nil:
		return bad
	case !c.has(a["user"]):
		return failed("user_not_in_channel")
	case a["text"] == "" && a["blocks"] == "":
		return failed("no_text")
	}
	ts := s.ts()
	s.answers = append(s.answers, Ephemeral{User: a["user"], Channel: c.ID, Text: a["text"], Blocks: raw(a["blocks"]), TS: ts})
	return reply{"message_ts": ts}
}

func raw(text string) json.RawMessage {
	if text == "" || !json.Valid([]byte(text)) {
		return nil
	}
	return json.RawMessage(text)
}

func (s *Server) update(a args) reply {
	c, bad := s.place(a["channel"])
	if bad == nil {
		bad = checkBlocks(a["blocks"])
	}
	if bad != nil {
		return bad
	}
	m := c.find(a["ts"])
	switch {
	case m == nil:
		return failed("message_not_found")
	case m.User != BotUser:
		return failed("cant_update_message")
	case utf8.RuneCountInString(a["text"]) > maxText:
		return failed("msg_too_long")
	}
	m.Text, m.Edits = a["text"], m.Edits+1
	if b, ok := a["blocks"]; ok {
		m.Blocks = raw(b)
	}
	return reply{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": m.json(c, true)}
}

func (s *Server) permalink(a args) reply {
	c := s.channel(a["channel"])
	if c == nil || c.find(a["message_ts"]) == nil {
		return failed("message_not_found")
	}
	return reply{"channel": c.ID, "permalink": "https://fake.slack.com/archives/" + c.ID + "/p" + strings.ReplaceAll(a["message_ts"], ".", "")}
}

func (s *Server) reactionsAdd(a args) reply {
	c, bad := s.place(a["channel"])
	if bad != nil {
		return bad
	}
	m := c.find(a["timestamp"])
	switch {
	case m == nil:
		return failed("message_not_found")
	case a["name"] == "" || strings.ContainsAny(a["name"], ": "):
		return failed("invalid_name")
	case slices.Contains(m.Reactions[a["name"]], BotUser):
		return failed("already_reacted")
	}
	if m.Reactions == nil {
		m.Reactions = map[string][]string{}
	}
	m.Reactions[a["name"]] = append(m.Reactions[a["name"]], BotUser)
	return reply{}
}

func (s *Server) reactionsRemove(a args) reply {
	c, bad := s.place(a["channel"])
	if bad != nil {
		return bad
	}
	m := c.find(a["timestamp"])
	if m == nil {
		return failed("message_not_found")
	}
	if !slices.Contains(m.Reactions[a["name"]], BotUser) {
		return failed("no_reaction")
	}
	delete(m.Reactions, a["name"])
	return reply{}
}

// page cuts a list. The cursor is the place in it.
func page[T any](list []T, a args, def int) (part []T, meta reply, more bool) {
	n, err := strconv.Atoi(a["limit"])
	if err != nil || n <= 0 {
		n = def
	}
	from, _ := strconv.Atoi(a["cursor"])
	from = min(from, len(list))
	end := min(from+n, len(list))
	cursor := ""
	if end < len(list) {
		cursor = strconv.Itoa(end)
	}
	return list[from:end], reply{"next_cursor": cursor}, end < len(list)
}

func (s *Server) history(a args) reply {
	c := s.channel(a["channel"])
	if c == nil || !c.has(BotUser) {
		return failed("not_in_channel")
	}
	var list []reply
	for _, m := range slices.Backward(c.Messages) {
		if m.TS > a["oldest"] && (m.Thread == "" || m.Thread == m.TS) {
			list = append(list, m.json(c, a["include_all_metadata"] != ""))
		}
	}
	part, meta, more := page(list, a, 100)
	return reply{"messages": part, "has_more": more, "response_metadata": meta}
}

func (s *Server) replies(a args) reply {
	c := s.channel(a["channel"])
	if c == nil || !c.has(BotUser) {
		return failed("not_in_channel")
	}
	if c.find(a["ts"]) == nil {
		return failed("thread_not_found")
	}
	var list []reply
	for _, m := range c.Messages {
		if m.TS == a["ts"] || m.Thread == a["ts"] && m.TS > a["oldest"] {
			list = append(list, m.json(c, a["include_all_metadata"] != ""))
		}
	}
	part, meta, more := page(list, a, 100)
	return reply{"messages": part, "has_more": more, "response_metadata": meta}
}

// list is conversations.list and users.conversations: the latter are those
// that the bot is in.
func (s *Server) list(a args) reply {
	types := strings.Split(cmpOr(a["types"], "public_channel"), ",")
	var list []reply
	for _, id := range s.channelIDs() {
		c := s.channels[id]
		kind := map[string]string{"im": "im", "group": "private_channel", "channel": "public_channel"}[c.kind()]
		if slices.Contains(types, kind) && (c.has(BotUser) || !c.Private && !c.Direct) && !(c.Archived && a["exclude_archived"] == "true") {
			list = append(list, c.json())
		}
	}
	part, meta, _ := page(list, a, 100)
	return reply{"channels": part, "response_metadata": meta}
}

func (s *Server) channelIDs() []string {
	var ids []string
	for id := range s.channels {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *Channel) json() reply {
	r := reply{
		"id": c.ID, "is_channel": !c.Direct && !c.Private, "is_group": c.Private, "is_im": c.Direct, "is_mpim": false, "is_private": c.Private,
		"is_archived": c.Archived, "is_member": c.has(BotUser) && !c.Direct, "created": 1,
	}
	if c.Direct {
		r["user"] = c.Members[1]
	} else {
		r["name"], r["name_normalized"] = c.Name, c.Name
	}
	return r
}

func (s *Server) members(a args) reply {
	c := s.channel(a["channel"])
	if c == nil {
		return failed("channel_not_found")
	}
	part, meta, _ := page(c.Members, a, 100)
	return reply{"members": part, "response_metadata": meta}
}

func (s *Server) join(a args) reply {
	c := s.channel(a["channel"])
	switch {
	case c == nil || c.Private || c.Direct:
		return failed("channel_not_found")
	case c.Archived:
		return failed("is_archived")
	}
	if !c.has(BotUser) {
		c.Members = append(c.Members, BotUser)
	}
	return reply{"channel": c.json()}
}

// direct returns the direct message with somebody. The mutex is held.
func (s *Server) direct(user string) *Channel {
	id := "D" + strings.TrimPrefix(user, "U")
	if s.channels[id] == nil {
		s.channels[id] = &Channel{ID: id, Direct: true, Members: []string{BotUser, user}}
	}
	return s.channels[id]
}

func (s *Server) openDirect(a args) reply {
	u := s.users[a["users"]]
	switch {
	case u == nil:
		return failed("user_not_found")
	case u.Deleted:
		return failed("user_disabled")
	}
	return reply{"channel": s.direct(u.ID).json()}
}

func (s *Server) userInfo(a args) reply {
	u := s.users[a["user"]]
	if u == nil {
		return failed("user_not_found")
	}
	r := reply{
		"id": u.ID, "team_id": u.Team, "name": u.Name, "deleted": u.Deleted, "is_bot": u.Bot, "is_restricted": u.Guest, "is_ultra_restricted": false,
		"is_stranger": u.Strange, "is_app_user": false, "profile": reply{"real_name": u.Name, "display_name": u.Name}, "updated": 1,
	}
	if u.Enterprise != "" {
		r["enterprise_user"] = reply{"id": "W" + u.ID, "enterprise_id": u.Enterprise, "enterprise_name": "Org", "teams": []string{u.Team}}
	}
	return reply{"user": r}
}

func (s *Server) usergroup(a args) reply {
	users, ok := s.groups[a["usergroup"]]
	if !ok {
		return failed("no_such_subteam")
	}
	return reply{"users": users}
}

func (s *Server) viewsOpen(a args) reply {
	t, ok := s.triggers[a["trigger_id"]]
	switch {
	case !ok:
		return failed("invalid_trigger_id")
	case s.opt.Now().After(t.expires):
		return failed("expired_trigger_id")
	}
	delete(s.triggers, a["trigger_id"])
	if code := checkView(a["view"]); code != "" {
		return reply{"ok": false, "error": code}
	}
	v := View{ID: s.id("V"), User: t.user, JSON: raw(a["view"])}
	s.views = append(s.views, v)
	return reply{"view": v.json(nil)}
}

func checkView(text string) string {
	var v struct {
		Type   string                 `json:"type"`
		Title  struct{ Text string }  `json:"title"`
		Submit *struct{ Text string } `json:"submit"`
		Meta   string                 `json:"private_metadata"`
		Blocks []map[string]any       `json:"blocks"`
	}
	switch {
	case json.Unmarshal([]byte(text), &v) != nil, v.Type != "modal", v.Title.Text == "", len(v.Blocks) == 0 || len(v.Blocks) > 100,
		utf8.RuneCountInString(v.Title.Text) > 24, v.Submit != nil && utf8.RuneCountInString(v.Submit.Text) > 24, len(v.Meta) > 3000:
		return "invalid_arguments"
	}
	seen := map[string]bool{}
	for _, b := range v.Blocks {
		id, _ := b["block_id"].(string)
		if id != "" && seen[id] {
			return "duplicate_block_id"
		}
		seen[id] = true
		if b["type"] == "input" && v.Submit == nil {
			return "invalid_arguments"
		}
		if e, ok := b["element"].(map[string]any); ok && e["type"] == "number_input" && e["is_decimal_allowed"] == nil {
			return "invalid_arguments"
		}
		if e, ok := b["element"].(map[string]any); ok && e["type"] == "static_select" {
			options, _ := e["options"].([]any)
			if len(options) == 0 || len(options) > 100 {
				return "invalid_arguments"
			}
		}
	}
	return ""
}

func (s *Server) uploadURL(a args) reply {
	n, err := strconv.Atoi(a["length"])
	if err != nil || n <= 0 || a["filename"] == "" {
		return failed("invalid_arguments")
	}
	f := &File{ID: s.id("F"), Name: a["filename"], Size: n}
	s.uploads[f.ID] = f
	return reply{"upload_url": s.http.URL + "/upload/" + f.ID, "file_id": f.ID}
}

func (s *Server) uploadDone(a args) reply {
	var list []struct{ ID, Title string }
	if json.Unmarshal([]byte(a["files"]), &list) != nil || len(list) == 0 {
		return failed("invalid_arguments")
	}
	var c *Channel
	if id := cmpOr(a["channel_id"], a["channels"]); id != "" {
		var bad reply
		if c, bad = s.place(id); bad != nil {
			return bad
		}
	}
	var shared []reply
	for _, l := range list {
		f := s.uploads[l.ID]
		if f == nil || len(f.Data) != f.Size {
			return failed("file_not_found")
		}
		delete(s.uploads, l.ID)
		f.Comment, f.Thread = a["initial_comment"], a["thread_ts"]
		if c != nil {
			f.Channel = c.ID
			c.Messages = append(c.Messages, &Message{TS: s.ts(), Thread: f.Thread, User: BotUser, Bot: botID, Subtype: "file_share", Text: cmpOr(f.Comment, fmt.Sprintf("file %s", f.Name)), Files: []string{f.Name}})
		}
		s.files = append(s.files, *f)
		shared = append(shared, reply{"id": f.ID, "title": cmpOr(l.Title, f.Name)})
	}
	return reply{"files": shared}
}
