package bellhop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Value is one argument: text exactly as it was written (1.10 stays 1.10), or
// a list of such texts. The zero Value is the empty text.
type Value struct {
	Text string
	// List holds the words of a parameter of type list, and is nil for every
	// other type; an empty list is non-nil.
	List []string
}

// Text returns a Value of plain text.
func Text(s string) Value { return Value{Text: s} }

// List returns a Value of type list.
func List(words ...string) Value {
	if words == nil {
		words = []string{}
	}
	return Value{List: words}
}

// IsList reports whether v is a list.
func (v Value) IsList() bool { return v.List != nil }

// String returns the text, or the list as JSON.
func (v Value) String() string {
	if !v.IsList() {
		return v.Text
	}
	b, _ := json.Marshal(v.List)
	return string(b)
}

// Equal reports whether v and w are the same text or the same list.
func (v Value) Equal(w Value) bool {
	return v.Text == w.Text && v.IsList() == w.IsList() && slices.Equal(v.List, w.List)
}

// MarshalJSON writes a string or an array of strings.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.IsList() {
		return json.Marshal(v.List)
	}
	return json.Marshal(v.Text)
}

// UnmarshalJSON reads a string, a number or bool (kept as written), or an
// array of those.
func (v *Value) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return Errorf(Invalid, "an argument is empty")
	}
	switch b[0] {
	case '[':
		var raw []json.RawMessage
		if err := json.Unmarshal(b, &raw); err != nil {
			return err
		}
		list := make([]string, len(raw))
		for i, r := range raw {
			var item Value
			if err := item.UnmarshalJSON(r); err != nil {
				return err
			}
			if item.IsList() {
				return Errorf(Invalid, "an argument is a list within a list; write one list of texts")
			}
			list[i] = item.Text
		}
		*v = Value{List: list}
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*v = Value{Text: s}
	case '{', 'n':
		return Errorf(Invalid, "an argument is %.40s; expected a text, a number, true or false, or a list of those", b)
	default:
		if !json.Valid(b) {
			return fmt.Errorf("invalid JSON value %.40q", b)
		}
		*v = Value{Text: string(b)}
	}
	return nil
}

// Args are a run's arguments by parameter name. They are written as JSON with
// sorted keys, so equal Args have equal encodings.
type Args map[string]Value

// Equal reports whether a and b hold the same arguments.
func (a Args) Equal(b Args) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || !v.Equal(w) {
			return false
		}
	}
	return true
}

// Contains reports whether every argument of sub is in a with the same value.
func (a Args) Contains(sub Args) bool {
	for k, v := range sub {
		if w, ok := a[k]; !ok || !v.Equal(w) {
			return false
		}
	}
	return true
}
