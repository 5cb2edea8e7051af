package router

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Addressed reports whether text is said to the bot, and returns what is said:
// what follows the bot's name when text begins with it as a word, else what
// follows the first @name. Case, and a comma or colon behind the name, don't
// matter.
func Addressed(bot, text string) (rest string, ok bool) {
	if bot == "" {
		return "", false
	}
	if rest, ok := afterName(bot, strings.TrimSpace(text)); ok {
		return rest, true
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '@' || i > 0 && !mayPrecede(text[:i]) {
			continue
		}
		if rest, ok := afterName(bot, text[i+1:]); ok {
			return rest, true
		}
	}
	return "", false
}

// mayPrecede reports whether an @ behind text begins a mention rather than
// standing in the middle of an address.
func mayPrecede(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return unicode.IsSpace(r) || strings.ContainsRune("([{<\"'*_,;:!?", r)
}

// afterName returns what follows the name at the beginning of text, where the
// name ends as a word.
func afterName(bot, text string) (string, bool) {
	if len(text) < len(bot) || !strings.EqualFold(text[:len(bot)], bot) {
		return "", false
	}
	rest := text[len(bot):]
	behind := strings.TrimLeft(rest, ",:;!?.")
	if behind != "" {
		if r, _ := utf8.DecodeRuneInString(behind); !unicode.IsSpace(r) {
			return "", false
		}
	}
	return strings.TrimSpace(behind), true
}
