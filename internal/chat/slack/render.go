package slack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// deliverOutput tells what a run that succeeded has printed, in the format of
// its job.
func (c *Chat) deliverOutput(ctx context.Context, at spot, r bellhop.Report) (ts string, err error) {
	raw := r
	raw.Rule.Base64 = false
	wrote := false
	desk := noting{toldDesk{house: c.opt.House, r: raw}, func(ch bellhop.Chunk) {
		wrote = wrote || ch.Channel == bellhop.Stdout && ch.Attempt == r.Attempt.N && len(ch.Data) > 0
	}}
	out, notes := c.newLimited(ctx), c.newLimited(ctx)
	defer out.done()
	defer notes.done()
	to := chat.Outlets{Out: out, Failures: out, Notes: notes, Style: c.style()}
	if err := chat.WriteOutcome(ctx, to, desk, raw, chat.Shown{}); err != nil {
		return "", err
	}
	w := words{kind: kindReport, ref: reportRef(r)}
	if notes.Len() > 0 {
		n := w
		n.text, n.ref = notes.String(), w.ref+"/notes"
		if ts, err = c.tell(ctx, at, n); err != nil {
			return "", err
		}
	}
	data := out.Bytes()
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return ts, nil
	case !wrote: // it is not the run's own words
		w.text = out.String()
		return c.tell(ctx, at, w)
	}
	return c.tellOutput(ctx, at, r, w, data)
}

// tellOutput tells output in the format of the job.
func (c *Chat) tellOutput(ctx context.Context, at spot, r bellhop.Report, w words, data []byte) (string, error) {
	w.text = string(data)
	w.name = fileName(r, "txt")
	if r.Rule.Base64 {
		line := bytes.TrimRight(data, "\r\n")
		if file, err := base64.StdEncoding.DecodeString(string(line)); err == nil && len(file) > 0 {
			return c.tellBytes(ctx, at, r, w, file)
		}
		w.text = "The output is not one line of base64, so here it is as text:\n" + w.text
		return c.tell(ctx, at, w)
	}
	switch r.Rule.Format {
	case bellhop.FormatFile:
		return c.tellBytes(ctx, at, r, w, data)
	case bellhop.FormatCode:
		w.code = true
	case bellhop.FormatBlocks:
		blocks, err := readBlocks(data)
		if err == nil {
			return c.tellBlocks(ctx, at, w, blocks)
		}
		w.text = "The output is no list of blocks (" + err.Error() + "), so here it is as text:\n" + w.text
	}
	return c.tell(ctx, at, w)
}

// tellBytes shares a file, with a line that says of which run it is.
func (c *Chat) tellBytes(ctx context.Context, at spot, r bellhop.Report, w words, data []byte) (string, error) {
	ext := "txt"
	if r.Rule.Base64 {
		ext = extension(data)
	}
	head := w
	head.text, head.code = fmt.Sprintf("%s %s (%s):", r.Run.Service, r.Run.Job, r.Run.ID), false
	ts, err := c.tellOnce(ctx, at, head)
	if err != nil {
		return "", err
	}
	return ts, c.shareFile(ctx, at, fileName(r, ext), "", data, true)
}

// fileName is the same for the same report however often it is delivered.
func fileName(r bellhop.Report, ext string) string {
	return fmt.Sprintf("%s-%s-%d.%s", r.Run.Job, r.Run.ID, r.Attempt.N, ext)
}

// extension guesses what a file is.
func extension(data []byte) string {
	kind := http.DetectContentType(data)
	for prefix, ext := range map[string]string{
		"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "application/pdf": "pdf", "application/zip": "zip",
		"application/x-gzip": "gz", "text/html": "html", "text/plain": "txt",
	} {
		if strings.HasPrefix(kind, prefix) {
			return ext
		}
	}
	return "bin"
}

const (
	// maxBlocks is how many blocks one message holds, and maxAllBlocks how many
	// are told at all.
	maxBlocks    = 50
	maxAllBlocks = 500
)

// readBlocks reads a JSON array of blocks. What is wrong with it is said for
// people.
func readBlocks(data []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(bytes.TrimSpace(data), &list); err != nil {
		return nil, fmt.Errorf("a JSON array is expected: %w", err)
	}
	if len(list) == 0 || len(list) > maxAllBlocks {
		return nil, fmt.Errorf("it has %d blocks; from 1 to %d can be told", len(list), maxAllBlocks)
	}
	for i, raw := range list {
		var b struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &b); err != nil || b.Type == "" {
			return nil, fmt.Errorf("block %d has no type", i+1)
		}
		if hostileBlock(raw) {
			list[i] = tameBlock(raw)
		}
	}
	return list, nil
}

// hostileBlock reports whether a block might call people, or have a button that
// asks for something.
func hostileBlock(raw json.RawMessage) bool {
	s := string(raw)
	return strings.Contains(s, ownAction) || strings.ContainsAny(s, "<@") || strings.Contains(s, `\u00`) || strings.Contains(s, `"user`) || strings.Contains(s, `"broadcast`)
}

// tameBlock takes out of a block what calls people: mentions in texts, and the
// elements of rich text that are such. A button of it asks for nothing. Links
// stay.
func tameBlock(raw json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	b, err := json.Marshal(tame(v))
	if err != nil {
		return raw
	}
	return b
}

func tame(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = tame(v[i])
		}
	case map[string]any:
		switch v["type"] {
		case "user", "usergroup", "broadcast":
			name := firstOf(textOf(v["user_id"]), textOf(v["usergroup_id"]), textOf(v["range"]))
			return map[string]any{"type": "text", "text": "@" + joiner + name}
		}
		if id := textOf(v["action_id"]); strings.HasPrefix(id, ownAction) { // whoever pressed it would ask for what the output says
			v["action_id"] = "not_" + id[:min(len(id), 200)]
		}
		for k := range v {
			v[k] = tame(v[k])
		}
	case string:
		return tameText(v)
	}
	return v
}

func textOf(v any) string { s, _ := v.(string); return s }

// tameText escapes < where it begins a mention, and breaks words that call
// everybody.
func tameText(s string) string {
	for _, begin := range []string{"<!", "<@"} {
		s = strings.ReplaceAll(s, begin, "&lt;"+begin[1:])
	}
	return quiet(strings.Map(visible, s))
}

// tellBlocks posts blocks, divided into as many messages as they need. Blocks
// that Slack does not take are told as text.
func (c *Chat) tellBlocks(ctx context.Context, at spot, w words, blocks []json.RawMessage) (first string, err error) {
	for i := 0; i < len(blocks); i += maxBlocks {
		ref := w.ref
		if i > 0 {
			ref += "/" + fmt.Sprint(i)
		}
		ts, err := c.told(ctx, at, w.kind, ref)
		if err == nil && ts == "" {
			ts, err = c.api.Post(ctx, slackapi.Message{
				Channel: at.channel, Thread: at.thread, Text: plain(short(w.text, 300)), Blocks: blocks[i:min(i+maxBlocks, len(blocks))],
				Kind: w.kind, Ref: ref, Plain: true,
			})
		}
		if code := slackapi.CodeOf(err); code == "invalid_blocks" || code == "invalid_blocks_format" {
			w.text = "Slack does not take the output as blocks (" + code + "), so here it is as text:\n" + w.text
			w.ref = ref
			ts, err := c.tell(ctx, at, w)
			return firstOf(first, ts), err
		}
		if err != nil {
			return first, err
		}
		first = firstOf(first, ts)
	}
	return first, nil
}

// noting is a desk that shows each chunk to somebody else as well.
type noting struct {
	toldDesk
	note func(bellhop.Chunk)
}

// Output is that of toldDesk.
func (d noting) Output(ctx context.Context, id bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error {
	return d.toldDesk.Output(ctx, id, follow, func(c bellhop.Chunk) error {
		d.note(c)
		return fn(c)
	})
}
