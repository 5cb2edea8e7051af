package router

import (
	"slices"

	"github.com/bellhop-io/bellhop"
)

// builtin is what a built-in command does.
type builtin struct {
	action  bellhop.Action
	mine    bool
	service string // ActionHelp: of this service
}

// builtinCommand is a row of help.
type builtinCommand struct {
	text, shown, help string
	builtin           builtin
}

// builtinCommands returns the built-in commands in the order of help. An empty
// help keeps a row out of it.
func builtinCommands() []builtinCommand {
	return []builtinCommand{
		{"help", "help", "", builtin{action: bellhop.ActionHelp}},
		{"help [service]", "help SERVICE", "what a service can do", builtin{action: bellhop.ActionHelp}},
		{"status", "status", "what runs and what waits", builtin{action: bellhop.ActionStatus}},
		{"runs", "runs", "the latest runs", builtin{action: bellhop.ActionRuns}},
		{"runs mine", "runs mine", "the latest runs that you asked for", builtin{action: bellhop.ActionRuns, mine: true}},
		{"logs [run]", "logs RUN", "the output of a run", builtin{action: bellhop.ActionLogs}},
		{"cancel [run]", "cancel RUN", "ends a run", builtin{action: bellhop.ActionCancelRun}},
		{"retry [run]", "retry RUN", "does a run once more", builtin{action: bellhop.ActionRetry}},
		{"whoami", "whoami", "who you are to Bellhop", builtin{action: bellhop.ActionWhoami}},
	}
}

func (r *Router) addBuiltins() {
	for _, c := range builtinCommands() {
		p, _ := parsePattern(c.text)
		r.builtins.insert(&leaf{pattern: p, shown: c.shown, builtin: c.builtin})
	}
}

func (r *Router) invokeBuiltin(m *match, lf *leaf) (bellhop.Invocation, error) {
	inv := bellhop.Invocation{Action: lf.builtin.action, Service: lf.builtin.service, Mine: lf.builtin.mine}
	if len(lf.pattern.params(0)) == 0 {
		return inv, nil
	}
	arg := m.line.rest(m.rest)
	if inv.Action == bellhop.ActionHelp {
		s := r.byName[fold(arg)]
		if s == nil {
			return bellhop.Invocation{}, r.noService(arg)
		}
		inv.Service = s.Name
		return inv, nil
	}
	id, err := bellhop.ParseRunID(arg)
	if err != nil {
		return bellhop.Invocation{}, err
	}
	inv.Run = id
	return inv, nil
}

// announced reports whether word is a command that people may have heard of
// but that is not built yet.
func announced(word string) bool {
	return slices.Contains([]string{"approve", "deny", "why"}, word)
}
