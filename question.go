package bellhop

import "time"

// QuestionKind says what answers a question.
type QuestionKind string

// The kinds.
const (
	AskArgument QuestionKind = "argument" // a value for Param
	AskConfirm  QuestionKind = "confirm"  // yes or no
	AskCode     QuestionKind = "code"     // Code, typed again
)

// Question is what is asked back before an invocation goes on. It is durable,
// belongs to one person in one place, and the next thing that they say there
// answers it. `never mind`, or its expiry, closes it.
type Question struct {
	ID      string       `json:"id"` // of the question; in a form it says which one is answered
	Kind    QuestionKind `json:"kind"`
	Text    string       `json:"text"`  // as it is asked: "Which env? One of staging, production."
	Plain   string       `json:"plain"` // as it is told where nothing can be answered: "env is missing: write ..."
	Param   string       `json:"param,omitempty"`
	Code    string       `json:"code,omitempty"`
	Command string       `json:"command"` // as it is shown: "deploys deploy [env]"
	// Missing are all parameters that are still to be given, in order, Param
	// first: a form asks for all of them at once.
	Missing []Param   `json:"missing,omitempty"`
	Expires time.Time `json:"expires"`
}

// QuestionAge is how long a question is open.
const QuestionAge = 10 * time.Minute
