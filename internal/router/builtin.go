package router

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// builtin is what a built-in command does.
type builtin struct {
	action  bellhop.Action
	mine    bool
	service string // ActionHelp: of this service
}

// builtinCommand is a row of help, and a way to say it.
type builtinCommand struct {
	text, shown, help string
	builtin           builtin
}

// The parameters of built-in commands: what a name says decides how its value
// is read, what is asked for when it is missing, and how it is completed.
const (
	takesRun     = "run"
	takesService = "service"
	takesJob     = "job"
	takesFrom    = "from"
	takesUntil   = "until"
	takesChanges = "changes"
	takesReason  = "reason"
	takesDigest  = "digest"
	takesTime    = "time"
	takesLine    = "line"
	takesLater   = "later"
	takesSched   = "schedule"
)

// The ways to suppress, as they are shown.
const (
	suppressUntil = "suppress SERVICE [JOB] until TIME"
	suppressFrom  = "suppress SERVICE [JOB] from TIME until TIME"
)

// builtinCommands returns the built-in commands in the order of help. An empty
// help keeps a row out of it: another row tells of that way, too.
func builtinCommands() []builtinCommand {
	const (
		unsuppress = "unsuppress SERVICE [JOB]"
		pause      = "pause SERVICE [JOB]"
		resume     = "resume SERVICE [JOB]"
	)
	return []builtinCommand{
		{"help", "help", "", builtin{action: bellhop.ActionHelp}},
		{"help [service]", "help SERVICE", "what a service can do", builtin{action: bellhop.ActionHelp}},
		{"status", "status", "what runs and what waits", builtin{action: bellhop.ActionStatus}},
		{"runs", "runs", "the latest runs", builtin{action: bellhop.ActionRuns}},
		{"runs mine", "runs mine", "the latest runs that you asked for", builtin{action: bellhop.ActionRuns, mine: true}},
		{"logs [run]", "logs RUN", "the output of a run", builtin{action: bellhop.ActionLogs}},
		{"why [run]", "why RUN", "why a run has not started", builtin{action: bellhop.ActionWhy}},
		{"why [run]", "why SERVICE COMMAND", "whether you may ask for this, and which rule says so", builtin{action: bellhop.ActionWhy}},
		{"approve [run]", "approve RUN", "lets a run start that waits for approval", builtin{action: bellhop.ActionApprove}},
		{"approve [run] digest [digest]", "approve RUN", "", builtin{action: bellhop.ActionApprove}},
		{"deny [run]", "deny RUN", "refuses it", builtin{action: bellhop.ActionDeny}},
		{"deny [run] digest [digest]", "deny RUN", "", builtin{action: bellhop.ActionDeny}},
		{"deny [run] because [reason]", "deny RUN because REASON", "refuses it, and says why", builtin{action: bellhop.ActionDeny}},
		{"cancel [run]", "cancel RUN", "ends a run", builtin{action: bellhop.ActionCancelRun}},
		{"retry [run]", "retry RUN", "does a run once more", builtin{action: bellhop.ActionRetry}},
		{"retry [run] with [changes...]", "retry RUN with NAME=VALUE ...", "the same with other arguments", builtin{action: bellhop.ActionRetry}},
		{"pause [service]", pause, "starts nothing of it until it is resumed", builtin{action: bellhop.ActionPause}},
		{"pause [service] [job]", pause, "", builtin{action: bellhop.ActionPause}},
		{"resume [service]", resume, "lets it start again", builtin{action: bellhop.ActionResume}},
		{"resume [service]", "resume NUMBER", "ends one of the pauses", builtin{action: bellhop.ActionResume}},
		{"resume [service] [job]", resume, "", builtin{action: bellhop.ActionResume}},
		{"suppress [service] until [until]", suppressUntil, "starts nothing of it until then", builtin{action: bellhop.ActionSuppress}},
		{"suppress [service] [job] until [until]", suppressUntil, "", builtin{action: bellhop.ActionSuppress}},
		{"suppress [service] from [from] until [until]", suppressFrom, "the same, from a time on", builtin{action: bellhop.ActionSuppress}},
		{"suppress [service] [job] from [from] until [until]", suppressFrom, "", builtin{action: bellhop.ActionSuppress}},
		{"suppressions", "suppressions", "what is suppressed or paused", builtin{action: bellhop.ActionSuppressions}},
		{"unsuppress [service]", unsuppress, "ends what is suppressed", builtin{action: bellhop.ActionUnsuppress}},
		{"unsuppress [service]", "unsuppress NUMBER", "ends one of the suppressions", builtin{action: bellhop.ActionUnsuppress}},
		{"unsuppress [service] [job]", unsuppress, "", builtin{action: bellhop.ActionUnsuppress}},
		{"schedules", "schedules", "what happens by the clock, and what is asked for later", builtin{action: bellhop.ActionSchedules}},
		{"pause schedule [schedule]", "pause schedule SERVICE/NAME", "has it ask for nothing until it is resumed", builtin{action: bellhop.ActionPauseSchedule}},
		{"resume schedule [schedule]", "resume schedule SERVICE/NAME", "lets it go on with its next time", builtin{action: bellhop.ActionResumeSchedule}},
		{"run schedule [schedule]", "run schedule SERVICE/NAME", "asks now for what it asks for", builtin{action: bellhop.ActionRunSchedule}},
		{"at [time] [line]", "at TIME SERVICE COMMAND", "asks for this at a time", builtin{action: bellhop.ActionLater}},
		{"in [time] [line]", "in 20m SERVICE COMMAND", "asks for this after a while", builtin{action: bellhop.ActionLater}},
		{"unschedule [later]", "unschedule ID", "takes back what was to be asked for later", builtin{action: bellhop.ActionUnschedule}},
		{"whoami", "whoami", "who you are to Bellhop", builtin{action: bellhop.ActionWhoami}},
		{verbWeb, verbWeb, "a link with which you log in to the web page, once", builtin{action: bellhop.ActionWeb}},
	}
}

// verbWeb is understood without a web page, too, but not offered.
const verbWeb = "web"

// offered reports whether help has a built-in command.
func (r *Router) offered(c builtinCommand) bool {
	return c.help != "" && (c.text != verbWeb || r.page)
}

// verb is the first word of a built-in command.
func (c builtinCommand) verb() string {
	verb, _, _ := strings.Cut(c.text, " ")
	return verb
}

// verbNamed returns the built-in command that text begins with, "" for none.
// No service has its name.
func verbNamed(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	for _, c := range builtinCommands() {
		if c.verb() == fold(words[0]) {
			return c.verb()
		}
	}
	return ""
}

func (r *Router) addBuiltins() {
	for _, c := range builtinCommands() {
		p, _ := parsePattern(c.text)
		r.builtins.insert(&leaf{pattern: p, shown: c.shown, builtin: c.builtin})
	}
}

// invokeBuiltin reads what a built-in command's parameters took.
func (r *Router) invokeBuiltin(m *match, lf *leaf, may May) (bellhop.Invocation, error) {
	inv := bellhop.Invocation{Action: lf.builtin.action, Service: lf.builtin.service, Mine: lf.builtin.mine}
	if len(lf.pattern.params(0)) == 0 {
		return inv, nil
	}
	args := m.args(lf)
	for _, name := range lf.pattern.params(0) {
		if err := r.takeBuiltin(&inv, name, args[name], m.line, may); err != nil {
			return bellhop.Invocation{}, err
		}
	}
	return inv, nil
}

// takeBuiltin puts the value of one parameter of a built-in command into the
// invocation.
func (r *Router) takeBuiltin(inv *bellhop.Invocation, name string, v bellhop.Value, l *line, may May) (err error) {
	switch name {
	case takesRun:
		if inv.Run, err = bellhop.ParseRunID(v.Text); err != nil && inv.Action == bellhop.ActionWhy {
			inv.Text = v.Text // what would be asked
			return nil
		}
		inv.Run, err = runID(inv.Action, v.Text)
	case takesReason:
		inv.Reason, err = reason(v.Text)
	case takesDigest:
		inv.Digest = v.Text
	case takesTime:
		inv.From, err = timeText(name, v)
	case takesLine:
		inv.Text = v.Text
	case takesLater:
		if inv.Later = v.Text; len(inv.Later) > maxLaterID {
			err = bellhop.Errorf(bellhop.NotFound, "nothing called %s is to be asked for later; `schedules` lists what is", echo(v.Text))
		}
	case takesSched:
		inv.Schedule, err = scheduleName(inv.Action, v.Text)
	case takesService:
		if takesNumber(inv.Action) && isNumber(v.Text) {
			inv.Hold, err = holdNumber(inv.Action, v.Text)
			return err
		}
		if verb := verbNamed(v.Text); verb != "" && inv.Action == bellhop.ActionHelp {
			inv.Service = verb
			return nil
		}
		s := r.byName[fold(v.Text)]
		if s == nil {
			return r.noService(l.value(l.words[0]), v.Text, len(l.words) > 2)
		}
		inv.Service = s.Name
	case takesJob:
		if inv.Hold != 0 {
			return bellhop.Errorf(bellhop.Invalid, "a number says by itself which %s is meant: write `%s %d`, or `%[2]s SERVICE JOB`", holdWord(inv.Action), inv.Action, inv.Hold)
		}
		s := r.byName[fold(inv.Service)]
		if inv.Job, err = s.jobNamed(v.Text); err != nil && !may(s.Name, nil) { // it would name the others
			err = bellhop.Errorf(bellhop.NotFound, "%s has no job %s that you may use", s.Name, echo(v.Text))
		}
	case takesFrom:
		inv.From, err = timeText(name, v)
	case takesUntil:
		inv.Until, err = timeText(name, v)
	case takesChanges:
		inv.Args, err = changes(v.List, inv.Run)
	}
	return err
}

func runID(action bellhop.Action, text string) (bellhop.RunID, error) {
	id, err := bellhop.ParseRunID(text)
	if words := strings.Fields(text); err != nil && action == bellhop.ActionRetry && len(words) > 1 {
		if id, other := bellhop.ParseRunID(words[0]); other == nil {
			return 0, withoutWith(id, words[1:])
		}
	}
	return id, err
}

// withoutWith words the answer to `retry RUN` with something behind it.
func withoutWith(run bellhop.RunID, words []string) error {
	line := "retry " + run.String() + " with NAME=VALUE"
	if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(w, "=") }) {
		line = "retry " + run.String() + " with " + strings.Join(words, " ")
	}
	return bellhop.Errorf(bellhop.Invalid, "other arguments stand behind `with`: write %s", echo(line))
}

// scheduleName reads SERVICE/NAME, or SERVICE NAME as lists have it.
func scheduleName(action bellhop.Action, text string) (string, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == ' ' })
	if len(words) != 2 || len(text) > maxScheduleName {
		return "", bellhop.Errorf(bellhop.Invalid, "%s is no schedule; write `%s SERVICE/NAME`, as `schedules` lists them", echo(text), strings.ReplaceAll(string(action), "_", " "))
	}
	return fold(words[0]) + "/" + fold(words[1]), nil
}

// maxScheduleName is how long one can be: two names.
const maxScheduleName = 200

// maxLaterID bounds what somebody may call a thing that is asked for later.
const maxLaterID = 40

// maxReason bounds the reason of a denial, in bytes.
const maxReason = 1000

func reason(text string) (string, error) {
	if len(text) > maxReason {
		return "", bellhop.Errorf(bellhop.Invalid, "the reason is %d bytes long; at most %d are kept", len(text), maxReason)
	}
	return text, nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// takesNumber reports whether an action may be about one hold by its number.
func takesNumber(a bellhop.Action) bool {
	return a == bellhop.ActionUnsuppress || a == bellhop.ActionResume
}

// holdWord names what an action ends.
func holdWord(a bellhop.Action) string {
	if a == bellhop.ActionResume {
		return "pause"
	}
	return "suppression"
}

func holdNumber(a bellhop.Action, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, bellhop.Errorf(bellhop.NotFound, "there is no %s %s; `suppressions` lists them with their numbers", holdWord(a), echo(s))
	}
	return n, nil
}

// changes reads the words of `retry RUN with ...`, each name=value.
func changes(words []string, run bellhop.RunID) (bellhop.Args, error) {
	if len(words) == 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "with what? Write `retry %s with NAME=VALUE`, or `retry %s` for the same again", run, run)
	}
	args := bellhop.Args{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || !isParamName(name) {
			return nil, bellhop.Errorf(bellhop.Invalid, "%s is not NAME=VALUE; quotes go around both when there is a space in it: `retry %s with \"name=two words\"`", echo(w), run)
		}
		if opensQuote(value) {
			return nil, bellhop.Errorf(bellhop.Invalid, "%s has a quote that does not end there; quotes go around both name and value: `retry %s with \"name=two words\"`", echo(w), run)
		}
		if _, twice := args[name]; twice {
			return nil, bellhop.Errorf(bellhop.Invalid, "%s is given twice; write it once", echo(name))
		}
		args[name] = bellhop.Text(value)
	}
	return args, nil
}

// opensQuote reports whether a value begins with a quote that another word
// would have to close, as in name="two words".
func opensQuote(value string) bool {
	value = plainQuotes(value)
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return false
	}
	return len(value) == 1 || value[len(value)-1] != value[0]
}

// jobNamed finds a job that somebody named.
func (s *service) jobNamed(name string) (string, error) {
	key := fold(name)
	var names []string
	for _, j := range s.Jobs {
		if j.Name == key {
			return j.Name, nil
		}
		names = append(names, j.Name)
	}
	const remedy = "%s has no job %s"
	if near := nearNames(name, names); len(near) > 0 {
		return "", bellhop.Errorf(bellhop.NotFound, remedy+". Did you mean %s?", s.Name, echo(name), orList(near))
	}
	if len(names) == 0 {
		return "", bellhop.Errorf(bellhop.NotFound, remedy+", and no other", s.Name, echo(name))
	}
	more := ""
	if len(names) > maxListed {
		names, more = names[:maxListed], ", ..."
	}
	return "", bellhop.Errorf(bellhop.NotFound, remedy+"; it has: %s", s.Name, echo(name), strings.Join(names, ", ")+more)
}
