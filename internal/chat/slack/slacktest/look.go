package slacktest

import (
	"encoding/json"
	"slices"
	"strings"
)

// This file is what a test may see.

// Messages returns what stands in a channel, threads left out.
func (s *Server) Messages(channel string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.Thread == "" || m.Thread == m.TS })
}

// Thread returns the answers in a thread.
func (s *Server) Thread(channel, ts string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.Thread == ts && m.TS != ts })
}

// Posts returns all that the bot has posted in a channel, threads too.
func (s *Server) Posts(channel string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.User == BotUser })
}

func (s *Server) pick(channel string, which func(*Message) bool) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Message
	c := s.channels[channel]
	if c == nil {
		return nil
	}
	for _, m := range c.Messages {
		if which(m) {
			list = append(list, m.copy())
		}
	}
	return list
}

func (m *Message) copy() Message {
	c := *m
	c.Reactions = map[string][]string{}
	for k, v := range m.Reactions {
		c.Reactions[k] = slices.Clone(v)
	}
	return c
}

// Message returns one message; its TS is "" when there is none.
func (s *Server) Message(channel, ts string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[channel]; c != nil {
		if m := c.find(ts); m != nil {
			return m.copy()
		}
	}
	return Message{}
}

// Reactions returns the names of the reactions to a message.
func (s *Server) Reactions(channel, ts string) []string {
	var names []string
	for name := range s.Message(channel, ts).Reactions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// All returns the text of a message with that of its blocks.
func (m Message) All() string { return m.Text + "\n" + blocksText(m.Blocks) }

// All returns the text with that of its blocks.
func (e Ephemeral) All() string { return e.Text + "\n" + blocksText(e.Blocks) }

func blocksText(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return ""
	}
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if t, ok := v["text"].(string); ok {
				b.WriteString(t + "\n")
			}
			for k, e := range v {
				if k != "text" || !isText(e) {
					walk(e)
				}
			}
		}
	}
	walk(v)
	return b.String()
}

func isText(v any) bool { _, ok := v.(string); return ok }

// Buttons returns the labels of the buttons of a message.
func (m Message) Buttons() []string { return buttons(m.Blocks) }

// Buttons returns the labels of the buttons.
func (e Ephemeral) Buttons() []string { return buttons(e.Blocks) }

func buttons(raw json.RawMessage) []string {
	var list []struct {
		Elements []struct {
			Type string
			Text struct{ Text string }
		} `json:"elements"`
	}
	_ = json.Unmarshal(raw, &list)
	var labels []string
	for _, b := range list {
		for _, e := range b.Elements {
			if e.Type == "button" {
				labels = append(labels, e.Text.Text)
			}
		}
	}
	return labels
}

// Files returns the files that were shared.
func (s *Server) Files() []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files)
}

// Views returns the modals that were opened.
func (s *Server) Views() []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.views)
}

// Answers returns what only one person was shown.
func (s *Server) Answers() []Ephemeral {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

// Calls returns the calls of a method.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Call
	for _, c := range s.calls {
		if c.Method == method {
			list = append(list, c)
		}
	}
	return list
}
