package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// command makes an entry. good tells which jobs have all their parameters.
func (b *builder) command(s *bellhop.Service, raw commandRaw, good map[string]bool) bellhop.Entry {
	en := bellhop.Entry{
		Service: s.Name,
		Pattern: raw.Command.val,
		Regex:   raw.Regex.val,
		Help:    raw.Help.val,
		Action:  bellhop.Action(raw.Action.or(string(bellhop.ActionRun))),
		Job:     raw.Job.val,
		Delay:   raw.Delay.val,
		Running: raw.Running.val,
		Pos:     b.commandText(raw).pos(),

		MaxDelay: b.positive("max_delay", raw.MaxDelay, 0),
		OnRepeat: bellhop.OnRepeat(raw.OnRepeat.or("")),
		Confirm:  bellhop.Confirm(raw.Confirm.or("")),
	}
	if raw.Priority.good() {
		en.Priority = &raw.Priority.val
	}
	b.commandKeys(raw)
	for _, a := range raw.Aliases.items {
		if a.good() {
			en.Aliases = append(en.Aliases, a.val)
		}
	}
	b.commandJob(s, raw, &en, good)
	if j, ok := s.Job(en.Job); ok && good[j.Name] {
		en.Allow = b.rules(raw.Allow, j.Param)
	} else if !raw.Job.isSet() {
		en.Allow = b.rules(raw.Allow, nil)
	}
	en.Name = raw.Name.val
	if raw.Name.isSet() {
		b.checkName("command", en.Name, raw.Name.at)
	} else {
		en.Name = entryDigest(en)
	}
	return en
}

// commandText is where a command's text stands; where there is none, the
// command itself.
func (b *builder) commandText(raw commandRaw) at {
	switch {
	case raw.Command.isSet():
		return raw.Command.at
	case raw.Regex.isSet():
		return raw.Regex.at
	}
	return raw.at
}

// commandKeys checks what goes together in a command.
func (b *builder) commandKeys(raw commandRaw) {
	switch {
	case raw.Command.isSet() && raw.Regex.isSet():
		b.fault(raw.Regex.at, "a command has either command or regex, not both; make it two commands")
	case raw.Command.good() && strings.TrimSpace(raw.Command.val) == "":
		b.fault(raw.Command.at, "command is empty; write what people say, such as \"say hello [name]\"")
	case raw.Regex.good() && raw.Regex.val == "":
		b.fault(raw.Regex.at, "regex is empty; write a regular expression, or use command")
	case !raw.Command.isSet() && !raw.Regex.isSet() && !raw.bad:
		b.fault(raw.at, "a command needs what people say: add command: \"say hello [name]\", say")
	}
	for _, a := range raw.Aliases.items {
		if a.good() && strings.TrimSpace(a.val) == "" {
			b.fault(a.at, "an alias is empty; write what people say, or remove it")
		}
	}
	if raw.Regex.isSet() && len(raw.Aliases.items) > 0 {
		b.fault(raw.Aliases.at, "aliases go with command, not with regex; write the other ways into the expression: (?:this|that)")
	}
	action := raw.Action.or("run")
	if raw.Running.isSet() && action != "cancel" {
		b.fault(raw.Running.at, "running goes with action: cancel only")
	}
	b.repeatKeys(raw, action)
}

// repeatKeys checks the keys that say how and when a run is made.
func (b *builder) repeatKeys(raw commandRaw, action string) {
	if action != "run" {
		for _, k := range []struct {
			key string
			at  at
		}{{"delay", raw.Delay.at}, {"max_delay", raw.MaxDelay.at}, {"on_repeat", raw.OnRepeat.at}, {"priority", raw.Priority.at}, {"confirm", raw.Confirm.at}} {
			if k.at.isSet() {
				b.fault(k.at, "%s does not go with action: %s, which acts at once; remove it", k.key, action)
			}
		}
		return
	}
	repeat := bellhop.OnRepeat(raw.OnRepeat.or(""))
	switch {
	case !raw.MaxDelay.good() || raw.MaxDelay.val == 0:
	case repeat == bellhop.OnRepeatQueue || repeat == bellhop.OnRepeatReject:
		b.fault(raw.MaxDelay.at, "max_delay bounds how far a repeat pushes a run back, and with on_repeat: %s none does; remove one of them", repeat)
	case !raw.Delay.isSet() && !raw.OnRepeat.isSet():
		b.fault(raw.MaxDelay.at, "max_delay bounds how far repeats push the start back, and without a delay they don't; add delay: 1m, say, or remove it")
	case raw.Delay.good() && raw.MaxDelay.val < raw.Delay.val:
		b.fault(raw.MaxDelay.at, "max_delay: %s is shorter than delay: %s; write at least that", raw.MaxDelay.node.Value, raw.Delay.node.Value)
	}
}

// holds reports whether an action may be about a whole service.
func holds(a bellhop.Action) bool {
	switch a {
	case bellhop.ActionSuppress, bellhop.ActionUnsuppress, bellhop.ActionPause, bellhop.ActionResume:
		return true
	}
	return false
}

// ownParam reports whether name is a parameter of the action rather than of
// the job.
func ownParam(a bellhop.Action, name string) bool {
	return a == bellhop.ActionSuppress && (name == "from" || name == "until")
}

func (b *builder) commandJob(s *bellhop.Service, raw commandRaw, en *bellhop.Entry, good map[string]bool) {
	for _, a := range raw.Args.items {
		if a.val.good() {
			if en.Args == nil {
				en.Args = bellhop.Args{}
			}
			en.Args[a.name] = a.val.val
		}
	}
	b.ownArgs(raw, en.Action)
	if !raw.Job.isSet() {
		if holds(en.Action) {
			b.wholeService(raw, en)
			return
		}
		if !raw.bad && (raw.Command.isSet() || raw.Regex.isSet()) {
			b.fault(b.commandText(raw), "this command does not say which job it is about; add job: with the name of one")
		}
		return
	}
	j, ok := s.Job(en.Job)
	if raw.Job.bad {
		return
	}
	if !ok {
		b.fault(raw.Job.at, "%s", noJob(s, en.Job))
		return
	}
	if !good[j.Name] {
		return
	}
	for _, a := range raw.Args.items {
		if ownParam(en.Action, a.name) {
			continue
		}
		p, ok := j.Param(a.name)
		if !ok {
			b.fault(a.key, "args: %s", b.noParam(j, a.name))
			b.harmless[a.key.pos()] = true
			delete(en.Args, a.name)
		} else if a.val.good() {
			if err := fixed(p).Check(a.val.val); err != nil {
				b.fault(a.val.at, "args: %v", err)
			}
		}
	}
}

// ownArgs checks what the configuration fixes of the action's own. What times
// mean is the engine's to say, when they are used; that they can be read is
// known before.
func (b *builder) ownArgs(raw commandRaw, action bellhop.Action) {
	for _, a := range raw.Args.items {
		switch {
		case !ownParam(action, a.name) || !a.val.good():
		case a.val.val.IsList() || strings.TrimSpace(a.val.val.Text) == "":
			b.fault(a.val.at, "args: %s is one time, such as 18:30, a date, or a duration such as 2h", a.name)
		case b.opts.Times != nil:
			from, until := a.val.val.Text, ""
			if a.name == "until" {
				from, until = until, from
			}
			if err := b.opts.Times(from, until); err != nil {
				b.fault(a.val.at, "args: %v", err)
			}
		}
	}
}

// wholeService refuses arguments of a command that is about every job.
func (b *builder) wholeService(raw commandRaw, en *bellhop.Entry) {
	for _, a := range raw.Args.items {
		if !ownParam(en.Action, a.name) {
			b.fault(a.key, "args: %s is no parameter of the whole service, which this command is about; add job: with the name of one, or remove it", shorten(a.name))
			b.harmless[a.key.pos()] = true
			delete(en.Args, a.name)
		}
	}
}

func noJob(s *bellhop.Service, name string) string {
	var names []string
	for _, j := range s.Jobs {
		names = append(names, j.Name)
	}
	text := "service " + shorten(s.Name) + " has no job " + shorten(name)
	if near := nearest(name, names); near != "" {
		return text + "; did you mean " + shorten(near) + "?"
	}
	if len(names) == 0 {
		return text + "; it has no jobs at all: add jobs:"
	}
	return text + "; it has: " + strings.Join(names[:min(len(names), 20)], ", ")
}

// entryDigest knows an entry by its text: 12 hex digits.
func entryDigest(en bellhop.Entry) string {
	b, err := json.Marshal([]any{en.Pattern, en.Regex, en.Action, en.Job, en.Args})
	if err != nil { // plain data
		panic("config: an entry that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}
