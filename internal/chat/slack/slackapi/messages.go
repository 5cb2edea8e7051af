package slackapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// Message is what is posted.
type Message struct {
	Channel string // id
	Thread  string // "" = none
	Text    string // in Slack's markup; for notifications when there are blocks
	Blocks  []json.RawMessage
	Plain   bool // *, _ and the like in Text are letters
	// Kind and Ref, unless Kind is "", are kept by Slack with the message, where
	// only this app sees them.
	Kind string
	Ref  string
}

// rawBlock is a block as JSON.
type rawBlock json.RawMessage

func (b rawBlock) BlockType() slack.MessageBlockType { return "" }
func (b rawBlock) ID() string                        { return "" }

// MarshalJSON returns the block as it is.
func (b rawBlock) MarshalJSON() ([]byte, error) { return b, nil }

func rawBlocks(list []json.RawMessage) []slack.Block {
	blocks := make([]slack.Block, len(list))
	for i, b := range list {
		blocks[i] = rawBlock(b)
	}
	return blocks
}

func (m Message) options() []slack.MsgOption {
	opts := []slack.MsgOption{
		slack.MsgOptionText(m.Text, false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if m.Plain {
		opts = append(opts, slack.MsgOptionDisableMarkdown())
	}
	if m.Thread != "" {
		opts = append(opts, slack.MsgOptionTS(m.Thread))
	}
	if m.Blocks != nil {
		opts = append(opts, slack.MsgOptionBlocks(rawBlocks(m.Blocks)...))
	}
	if m.Kind != "" {
		opts = append(opts, slack.MsgOptionMetadata(slack.SlackMetadata{EventType: m.Kind, EventPayload: map[string]any{"ref": m.Ref}}))
	}
	return opts
}

// Post posts a message and returns its time stamp.
func (c *Client) Post(ctx context.Context, m Message) (ts string, err error) {
	err = c.do(ctx, "chat.postMessage", m.Channel, func() (err error) {
		_, ts, err = c.api.PostMessageContext(ctx, m.Channel, m.options()...)
		return err
	})
	return ts, err
}

// Update replaces a message. Blocks that are nil go.
func (c *Client) Update(ctx context.Context, ts string, m Message) error {
	m.Thread = ""
	if m.Blocks == nil {
		m.Blocks = []json.RawMessage{}
	}
	return c.do(ctx, "chat.update", m.Channel, func() error {
		_, _, _, err := c.api.UpdateMessageContext(ctx, m.Channel, ts, m.options()...)
		return err
	})
}

// PostTo shows a message in a channel to one person alone, who must be there.
func (c *Client) PostTo(ctx context.Context, user string, m Message) error {
	return c.do(ctx, "chat.postEphemeral", m.Channel, func() error {
		_, err := c.api.PostEphemeralContext(ctx, m.Channel, user, m.options()...)
		return err
	})
}

// respondHost is where Slack takes answers.
const respondHost = "hooks.slack.com"

// checkRespond reports whether a URL leads to Slack, or to where the API is.
func (c *Client) checkRespond(to string) error {
	u, err := url.Parse(to)
	if err != nil || u.User != nil || u.Opaque != "" {
		return errors.New("the response_url is no URL of Slack; it is not called")
	}
	if u.Scheme == "https" && u.Host == respondHost {
		return nil
	}
	if own, err := url.Parse(c.opt.URL); err == nil && c.opt.URL != slack.APIURL && u.Scheme == own.Scheme && u.Host == own.Host {
		return nil
	}
	return fmt.Errorf("the response_url leads to %s://%s, which is not Slack's https://%s; it is not called", u.Scheme, u.Host, respondHost)
}

// Respond answers a slash command or a button by the URL that came with it, if
// that is one of Slack. Only the person sees it. The URL is good for half an
// hour and stays out of errors.
func (c *Client) Respond(ctx context.Context, to string, m Message) error {
	if err := c.checkRespond(to); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"text": m.Text, "blocks": m.Blocks, "response_type": "ephemeral", "replace_original": false,
		"unfurl_links": false, "unfurl_media": false, "mrkdwn": !m.Plain,
	})
	if err != nil {
		return err
	}
	return c.do(ctx, "response_url", to, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		_, err = c.send("response_url", req)
		if at, ok := errors.AsType[*url.Error](err); ok {
			return at.Err
		}
		return err
	})
}

// React adds a reaction of the bot to a message; one that is there already is
// fine.
func (c *Client) React(ctx context.Context, channel, ts, emoji string) error {
	err := c.do(ctx, "reactions.add", "", func() error {
		return c.api.AddReactionContext(ctx, emoji, slack.NewRefToMessage(channel, ts))
	})
	if CodeOf(err) == "already_reacted" {
		return nil
	}
	return err
}

// Unreact takes a reaction of the bot away; one that is not there is fine.
func (c *Client) Unreact(ctx context.Context, channel, ts, emoji string) error {
	err := c.do(ctx, "reactions.remove", "", func() error {
		return c.api.RemoveReactionContext(ctx, emoji, slack.NewRefToMessage(channel, ts))
	})
	if CodeOf(err) == "no_reaction" {
		return nil
	}
	return err
}

// Permalink returns a link to a message.
func (c *Client) Permalink(ctx context.Context, channel, ts string) (link string, err error) {
	err = c.do(ctx, "chat.getPermalink", "", func() (err error) {
		link, err = c.api.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: channel, Ts: ts})
		return err
	})
	return link, err
}

// File is what is uploaded.
type File struct {
	Channel, Thread string
	Name            string
	Comment         string // in Slack's markup
	Data            []byte // not empty
}

// Upload shares a file.
func (c *Client) Upload(ctx context.Context, f File) error {
	return c.do(ctx, "files.completeUploadExternal", f.Channel, func() error {
		_, err := c.api.UploadFileContext(ctx, slack.UploadFileParameters{
			Reader: bytes.NewReader(f.Data), FileSize: len(f.Data), Filename: f.Name, Title: f.Name,
			Channel: f.Channel, ThreadTimestamp: f.Thread, InitialComment: f.Comment,
		})
		return err
	})
}

// OpenView opens a modal for whoever made the trigger, which lasts 3 s.
func (c *Client) OpenView(ctx context.Context, trigger string, view json.RawMessage) error {
	return c.do(ctx, "views.open", "", func() error {
		var m slack.ModalViewRequest
		var blocks struct{ Blocks []json.RawMessage }
		if err := json.Unmarshal(view, &blocks); err != nil {
			return err
		}
		if err := json.Unmarshal(view, &m); err != nil {
			return err
		}
		m.Blocks = slack.Blocks{BlockSet: rawBlocks(blocks.Blocks)}
		_, err := c.api.OpenViewContext(ctx, trigger, m)
		return err
	})
}

// Said is a message as the history has it. It is decoded here and not by
// slack-go, which would lose a whole page for one block that it does not know.
type Said struct {
	Type        string          `json:"type"`
	Subtype     string          `json:"subtype"`
	User        string          `json:"user"`
	BotID       string          `json:"bot_id"`
	Text        string          `json:"text"`
	TS          string          `json:"ts"`
	Thread      string          `json:"thread_ts"`
	LatestReply string          `json:"latest_reply"`
	UserTeam    string          `json:"user_team"`
	Team        string          `json:"team"`
	Edited      *Edited         `json:"edited"`
	Metadata    json.RawMessage `json:"metadata"`
	Files       []struct {
		Name string `json:"name"`
	} `json:"files"`
}

// Edited says when a message was changed last.
type Edited struct {
	TS string `json:"ts"`
}

// Ref returns what was kept with a message of the given kind; "" = nothing.
func (s Said) Ref(kind string) string {
	var m struct {
		Type    string                     `json:"event_type"`
		Payload map[string]json.RawMessage `json:"event_payload"`
	}
	var ref string
	if s.Metadata == nil || json.Unmarshal(s.Metadata, &m) != nil || m.Type != kind || json.Unmarshal(m.Payload["ref"], &ref) != nil {
		return ""
	}
	return ref
}

// pageSize is how many messages are asked for at a time.
const pageSize = 200

// History calls fn for the messages of a channel after a time stamp, newest
// first, until fn returns false.
func (c *Client) History(ctx context.Context, channel, after string, fn func(Said) bool) error {
	return c.pages(ctx, "conversations.history", url.Values{"channel": {channel}, "oldest": {after}}, fn)
}

// Replies calls fn for the messages of a thread after a time stamp, oldest
// first, until fn returns false. The thread's first message comes as well.
func (c *Client) Replies(ctx context.Context, channel, thread, after string, fn func(Said) bool) error {
	return c.pages(ctx, "conversations.replies", url.Values{"channel": {channel}, "ts": {thread}, "oldest": {after}}, fn)
}

func (c *Client) pages(ctx context.Context, method string, v url.Values, fn func(Said) bool) error {
	v.Set("limit", strconv.Itoa(pageSize))
	v.Set("include_all_metadata", "true")
	for {
		var page struct {
			Messages []json.RawMessage `json:"messages"`
			More     bool              `json:"has_more"`
			Meta     struct {
				Cursor string `json:"next_cursor"`
			} `json:"response_metadata"`
		}
		if err := c.call(ctx, method, v, &page); err != nil {
			return err
		}
		for _, raw := range page.Messages {
			var m Said
			if json.Unmarshal(raw, &m) == nil && !fn(m) {
				return nil
			}
		}
		if !page.More || page.Meta.Cursor == "" {
			return nil
		}
		v.Set("cursor", page.Meta.Cursor)
	}
}

// call makes a call whose answer is decoded here.
func (c *Client) call(ctx context.Context, method string, v url.Values, into any) error {
	return c.do(ctx, method, "", func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opt.URL+method, strings.NewReader(v.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+c.opt.BotToken)
		body, err := c.send(method, req)
		if err != nil {
			return err
		}
		var said struct {
			OK     bool   `json:"ok"`
			Error  string `json:"error"`
			Needed string `json:"needed"`
		}
		if err := json.Unmarshal(body, &said); err != nil {
			return err
		}
		if !said.OK {
			return &Fault{Method: method, Code: said.Error, Needed: said.Needed}
		}
		return json.Unmarshal(body, into)
	})
}

// maxBody bounds what is read of an answer.
const maxBody = 16 << 20

func (c *Client) send(method string, req *http.Request) ([]byte, error) {
	resp, err := c.still.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		s, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, &Fault{Method: method, Code: rateLimited, RetryAfter: max(time.Second, time.Duration(s)*time.Second)}
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxBody))
}
