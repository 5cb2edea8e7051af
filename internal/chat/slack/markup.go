package slack

import (
	"strings"

	"github.com/bellhop-io/bellhop/internal/chat"
)

// namer tells the names of what markup names by id; "" = not known.
type namer interface {
	userName(id string) string
	channelName(id string) string
}

// undo turns Slack's markup back into what the person typed: links, mentions,
// channels and entities.
func undo(text string, names namer) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			break
		}
		b.WriteString(unescape(text[:i]))
		text = text[i:]
		end := strings.IndexAny(text[1:], "<>\n")
		if end < 0 || text[1+end] != '>' {
			b.WriteByte('<')
			text = text[1:]
			continue
		}
		b.WriteString(typed(text[1:1+end], names))
		text = text[end+2:]
	}
	b.WriteString(unescape(text))
	return strings.ReplaceAll(b.String(), "\u00a0", " ")
}

// typed is what a person typed for what stands between < and >.
func typed(token string, names namer) string {
	body, label, labelled := strings.Cut(token, "|")
	body, label = unescape(body), unescape(label)
	id := strings.TrimLeft(body, "@#!")
	switch {
	case strings.HasPrefix(body, "@"):
		return "@" + firstOf(strings.TrimPrefix(label, "@"), names.userName(id), id)
	case strings.HasPrefix(body, "#"):
		return "#" + firstOf(strings.TrimPrefix(label, "#"), names.channelName(id), id)
	case strings.HasPrefix(body, "!subteam^"):
		return "@" + firstOf(strings.TrimPrefix(label, "@"), strings.TrimPrefix(body, "!subteam^"))
	case strings.HasPrefix(body, "!"):
		if labelled && label != "" && label != id {
			return label // a date
		}
		word, _, _ := strings.Cut(id, "^")
		return "@" + word
	case labelled && label != "":
		return label
	}
	return strings.TrimPrefix(body, "mailto:")
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// unescape undoes the three entities that Slack writes. It looks at each & once.
func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(s)
}

// escape makes text that Slack shows as it is.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// callsBot finds the first mention of a user in a text, and returns what
// follows it.
func callsBot(text, user string) (rest string, ok bool) {
	for from := 0; ; {
		i := strings.Index(text[from:], "<@"+user)
		if i < 0 {
			return "", false
		}
		after := text[from+i+2+len(user):]
		if strings.HasPrefix(after, ">") {
			return after[1:], true
		}
		if end := strings.IndexByte(after, '>'); strings.HasPrefix(after, "|") && end > 0 {
			return after[end+1:], true
		}
		from += i + 2
	}
}

// plain makes hostile text harmless for a message: no escape sequences, no
// control characters, nothing that has no width, no markup that notifies
// people. Its lines stay.
func plain(text string) string { return escape(quiet(clean(text))) }

// clean takes out what a terminal would act on, and what cannot be seen.
func clean(text string) string {
	lines := strings.Split(strings.ToValidUTF8(text, "\ufffd"), "\n")
	for i, l := range lines {
		lines[i] = strings.Map(visible, chat.TerminalLine([]byte(l), false))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// visible drops a character without any width.
func visible(r rune) rune {
	switch {
	case r >= 0x200b && r <= 0x200d, r == 0x2060, r == 0xfeff, r == 0x00ad, r >= 0xe0000 && r <= 0xe007f:
		return -1
	}
	return r
}

// joiner keeps two characters from being read as one word. It has no width.
const joiner = "\u2060"

// quiet breaks the words that call everybody: a client may read them as such
// even without markup.
func quiet(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '@')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i+1])
		text = text[i+1:]
		for _, word := range []string{"channel", "here", "everyone"} {
			if len(text) >= len(word) && strings.EqualFold(text[:len(word)], word) {
				b.WriteString(joiner)
				break
			}
		}
	}
}

// code makes a block of hostile text in which every character is shown as it
// is.
func code(text string) string {
	text = escape(clean(text))
	if strings.Contains(text, "```") {
		text = strings.ReplaceAll(text, "``", "`"+joiner+"`") // no three stay together
	}
	return "```\n" + text + "\n```"
}

// runeWidth is how many characters one is for Slack, whose limits count text as
// it is written to it, at most: escaped, and with what keeps it from being read
// as more.
func runeWidth(r rune) int {
	switch r {
	case '&':
		return len("&amp;")
	case '<', '>':
		return len("&lt;")
	case '@', '`':
		return 2
	}
	return 1
}

// width is how many characters a text is for Slack.
func width(text string) (n int) {
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// split cuts text into parts of at most n characters as Slack counts them, at
// ends of lines where that can be.
func split(text string, n int) []string {
	var parts []string
	for {
		end := fits(text, n)
		if end == len(text) {
			return append(parts, text)
		}
		if i := strings.LastIndexByte(text[:end], '\n'); i > 0 {
			parts, text = append(parts, text[:i]), text[i+1:]
			continue
		}
		parts, text = append(parts, text[:end]), text[end:]
	}
}

// fits returns how many bytes of a text are n characters, and at least one
// character.
func fits(text string, n int) int {
	for i, r := range text {
		if n -= runeWidth(r); n < 0 && i > 0 {
			return i
		}
	}
	return len(text)
}
