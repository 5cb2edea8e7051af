package outside

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Bounds of what a source says of an event, in bytes.
const (
	maxKey  = 200
	maxName = 200 // a person, a channel, a thread, a message
	maxData = 1 << 20
)

// Event is one thing that an outside source has to tell: what somebody said, a
// job that they want, or data.
type Event struct {
	// Key is the same for the same event, and of no other event of the source.
	Key string `json:"key"`
	// Person is who asks, as the source knows them.
	Person string `json:"person,omitempty"`
	// Channel and Thread are where; without a channel it is between the source
	// and the person alone.
	Channel string `json:"channel,omitempty"`
	Thread  string `json:"thread,omitempty"`
	// Message is what the source calls the message by, which reports name.
	Message string `json:"message,omitempty"`
	// Direct: in a channel, it was said to the bot, and Text is what follows the
	// mention. What was not may begin with the bot's name, or answer a question.
	Direct bool `json:"direct,omitempty"`

	// One of these three.
	Text    string          `json:"text,omitempty"`
	Service string          `json:"service,omitempty"` // with Job and Args
	Job     string          `json:"job,omitempty"`
	Args    bellhop.Args    `json:"args,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Check returns nil when an event can be taken.
func (e *Event) Check() error {
	if e.Key == "" {
		return bellhop.Errorf(bellhop.Invalid, "key is missing: what is the same for the same event, however often it is sent, such as the id of a message")
	}
	for _, f := range []struct {
		name, is string
		most     int
	}{
		{"key", e.Key, maxKey}, {"person", e.Person, maxName}, {"channel", e.Channel, maxName}, {"thread", e.Thread, maxName},
		{"message", e.Message, maxName}, {"service", e.Service, maxName}, {"job", e.Job, maxName},
	} {
		if err := checkField(f.name, f.is, f.most); err != nil {
			return err
		}
	}
	if strings.ContainsFunc(e.Person, unicode.IsSpace) {
		return bellhop.Errorf(bellhop.Invalid, "person is %.60q; how a source knows somebody has no spaces in it", e.Person)
	}
	return e.checkWhat()
}

// checkWhat looks that an event is one thing.
func (e *Event) checkWhat() error {
	things := 0
	for _, there := range []bool{e.Text != "", e.Job != "" || e.Service != "" || e.Args != nil, len(e.Data) > 0} {
		if there {
			things++
		}
	}
	switch {
	case things != 1:
		return bellhop.Errorf(bellhop.Invalid, "an event is one thing: text, or service and job with args, or data; this one is %d of them", things)
	case len(e.Data) > maxData:
		return bellhop.Errorf(bellhop.Invalid, "data has %s bytes, and %s are taken; send what is needed of it, or where it is", chat.Count(int64(len(e.Data))), chat.Count(maxData))
	case len(e.Data) > 0:
		return nil
	case e.Person == "":
		return bellhop.Errorf(bellhop.Invalid, "person is missing: who asks for it, as the source knows them")
	case e.Text == "" && (e.Job == "" || e.Service == ""):
		return bellhop.Errorf(bellhop.Invalid, "a job is named by service and job; one of them is missing")
	}
	return nil
}

// checkField refuses what no name or key of anything is.
func checkField(name, is string, most int) error {
	switch {
	case len(is) > most:
		return bellhop.Errorf(bellhop.Invalid, "%s has %s bytes; at most %d are taken", name, chat.Count(int64(len(is))), most)
	case !utf8.ValidString(is) || chat.Clean(is) != is:
		return bellhop.Errorf(bellhop.Invalid, "%s is %.60q, with a character in it that can't be shown; leave it out", name, chat.Clean(is))
	}
	return nil
}

// origin is where an event came from, and where it is answered.
func (c *Chat) origin(e *Event) bellhop.Origin {
	o := bellhop.Origin{
		Source: c.opt.Name, Channel: e.Channel, Thread: e.Thread, Message: e.Message, Session: bellhop.OutsideSession(c.opt.Name),
	}
	if e.Person != "" {
		o.Person = c.identity(e.Person)
	}
	return o
}

// identity is how records name one of the source's people. It begins with the
// source's name, whatever the source calls them.
func (c *Chat) identity(person string) string { return c.opt.Name + ":" + person }

// event is what Bellhop hears.
func (c *Chat) event(e *Event) bellhop.Event {
	return bellhop.Event{
		Key: c.opt.Name + "/" + e.Key, Text: e.Text, Origin: c.origin(e), Addressed: e.Direct || e.Channel == "",
		Person: bellhop.Person{Identity: c.identity(e.Person), Channel: e.Channel},
	}
}
