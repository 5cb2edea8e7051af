package config

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// fileRaw is one file as it is written. Of each field, the tag `yaml` is the
// key, `doc` what editors show, `def` the default, `enum` the words allowed,
// `mode` how the text is taken and `item` what an item is called.
type fileRaw struct {
	at
	Bot      text             `yaml:"bot" def:"bellhop" doc:"The name that people call."`
	Store    text             `yaml:"store" def:"sqlite:bellhop.db" doc:"Where requests and their outcomes are kept: sqlite:FILE, or postgres://USER:PASSWORD@HOST:PORT/DATABASE."`
	Keep     keepRaw          `yaml:"keep" doc:"How long what is over is kept."`
	Timezone text             `yaml:"timezone" doc:"A name such as Europe/London. Default: the machine's."`
	Include  list[text]       `yaml:"include" item:"include" doc:"More files, as names or globs relative to this file."`
	Lease    span             `yaml:"lease" def:"30s" doc:"How long a runner may be silent before its runs are taken over; at least 1s."`
	Grace    span             `yaml:"grace" def:"30s" doc:"How long running jobs may go on when the server is stopped."`
	Runner   runnerRaw        `yaml:"runner" doc:"Limits of this server."`
	Log      logRaw           `yaml:"log" doc:"What is logged and how."`
	People   dict[personRaw]  `yaml:"people" item:"person" doc:"Who is internal: by name, with groups and how each chat knows them."`
	Access   accessRaw        `yaml:"access" doc:"Who may do what, for the file as a whole."`
	Chats    dict[chatRaw]    `yaml:"chats" item:"chat" doc:"Where people ask. The key is a name of your own."`
	Web      webRaw           `yaml:"web" doc:"The HTTP server: what is sent to Bellhop over a network. Without it there is none."`
	Sources  dict[sourceRaw]  `yaml:"sources" item:"source" doc:"Programs that speak for people or send data, over HTTP with a token of theirs. The key is a name of your own."`
	Services dict[serviceRaw] `yaml:"services" item:"service" doc:"What can be asked for."`
}

type keepRaw struct {
	at
	Runs      age      `yaml:"runs" def:"90d" doc:"How long a run is kept after its end: a duration, or never, which deletes none."`
	Output    age      `yaml:"output" def:"30d" doc:"How long a run's output is kept: a duration, or never, which deletes none."`
	MaxOutput capacity `yaml:"max_output" def:"5GB" doc:"How much output is kept of all runs together; the oldest goes first. A size, or unlimited."`
}

type jobKeepRaw struct {
	at
	Runs   age `yaml:"runs" doc:"How long a run is kept after its end: a duration, or never, which deletes none."`
	Output age `yaml:"output" doc:"How long a run's output is kept: a duration, or never, which deletes none."`
}

type runnerRaw struct {
	at
	Slots     number `yaml:"slots" def:"16" doc:"How many jobs run at a time."`
	KillAfter span   `yaml:"kill_after" def:"5s" doc:"How long a job that is told to stop may take before it is killed."`
}

type logRaw struct {
	at
	Level  text `yaml:"level" enum:"debug,info,warn,error" def:"info" doc:"The least severe level that is logged."`
	Format text `yaml:"format" enum:"text,json" def:"text" doc:"How a line of the log looks."`
}

type chatRaw struct {
	at
	Kind           text         `yaml:"kind" enum:"ssh,slack" doc:"What kind of chat it is. May be left out when the chat's name is a kind."`
	Listen         listenRaw    `yaml:"listen" item:"rule" doc:"ssh: host:port to listen on, 127.0.0.1:2222 by default. slack: rules of what becomes of ordinary messages."`
	AuthorizedKeys text         `yaml:"authorized_keys" doc:"ssh: file of the public keys that may log in, as OpenSSH writes it. Default: authorized_keys."`
	TrustedUserCA  text         `yaml:"trusted_user_ca" doc:"ssh: file of the certificate authorities whose certificates may log in."`
	HostKey        text         `yaml:"host_key" doc:"ssh: the server's own key; made on first start. Default: .bellhop/ssh_host_ed25519_key."`
	AppToken       text         `yaml:"app_token" mode:"secret" doc:"slack: the app-level token, xapp-..., for Socket Mode."`
	BotToken       text         `yaml:"bot_token" mode:"secret" doc:"slack: the bot's token, xoxb-..."`
	SigningSecret  text         `yaml:"signing_secret" mode:"secret" doc:"slack: what the app's requests are signed with. Needed with events."`
	Events         text         `yaml:"events" doc:"slack: path that events are sent to over HTTP. Default: none; Socket Mode is used, which needs no public address."`
	Reactions      reactionsRaw `yaml:"reactions" doc:"slack: how asks are marked."`
	CatchUp        span         `yaml:"catch_up" doc:"slack: how old an ask may be that was said while nobody heard. Default: 10m."`
	Thread         text         `yaml:"thread" enum:"always" doc:"slack: always: what was asked in a channel is answered in its thread."`
	Hear           text         `yaml:"hear" enum:"name" doc:"slack: name: a message that begins with the bot's name is for it, without a mention."`
	Refuse         text         `yaml:"refuse" enum:"say,silent" doc:"slack: silent: whoever may not have something done is told nothing. Default: say."`
	AutoJoin       flag         `yaml:"auto_join" doc:"slack: the bot joins every public channel. Default: false."`
	APIURL         text         `yaml:"api_url" doc:"slack: another address of its Web API, for tests."`
}

type serviceRaw struct {
	at
	Description text                 `yaml:"description" mode:"plain" doc:"One line for help."`
	Restricted  flag                 `yaml:"restricted" def:"false" doc:"Only internal people may use it: those in people:, or without that section those whose key is listed."`
	Allow       list[ruleRaw]        `yaml:"allow" item:"rule" doc:"Instead of restricted: rules of who may use it. The first that matches decides."`
	Prefix      text                 `yaml:"prefix" enum:"none" doc:"none: commands are said without the service's name."`
	Dir         text                 `yaml:"dir" doc:"Where jobs run. Default: workspace/SERVICE."`
	Env         dict[envRaw]         `yaml:"env" item:"variable" doc:"Environment variables for all jobs."`
	Jobs        dict[jobRaw]         `yaml:"jobs" item:"job" doc:"Work that can be done."`
	Commands    list[commandRaw]     `yaml:"commands" item:"command" doc:"What people say, and the job it asks for."`
	Schedules   list[scheduleRaw]    `yaml:"schedules" item:"schedule" doc:"What is asked for by the clock."`
	Webhooks    list[webhookRaw]     `yaml:"webhooks" item:"webhook" doc:"What is asked for when other programs post events."`
	Brokers     list[brokerRaw]      `yaml:"brokers" item:"broker" doc:"What is asked for when message brokers deliver."`
	Sources     list[sourceEntryRaw] `yaml:"sources" item:"entry" doc:"What is asked for when outside sources send data."`
	ReportTo    text                 `yaml:"report_to" doc:"Who is told of runs that nobody asked for, such as those of schedules: a person's name, or a place of a chat such as slack:#ops."`
}

type jobRaw struct {
	at
	Run         script             `yaml:"run" mode:"code" doc:"A script, or a program and its arguments as a list. {name} stands for a parameter."`
	Shell       text               `yaml:"shell" enum:"bash,sh" def:"bash" doc:"What runs a script."`
	Dir         text               `yaml:"dir" doc:"Where it runs. Default: the service's dir."`
	Env         dict[envRaw]       `yaml:"env" item:"variable" doc:"Environment variables; they win over the service's."`
	Params      dict[paramRaw]     `yaml:"params" item:"parameter" doc:"What is known of parameters. One that only {name} names is a string."`
	Timeout     span               `yaml:"timeout" doc:"When a run is stopped. Default: never."`
	Priority    digit              `yaml:"priority" def:"5" doc:"Which of the runs that may start goes first: 0 to 9, and 9 goes first."`
	Callback    span               `yaml:"callback" doc:"How long an address in BELLHOP_CALLBACK is good, at which progress of a run may be posted. Default: there is none."`
	Deadline    span               `yaml:"deadline" doc:"How long after its earliest start a run may begin at the latest; else it is given up. Default: whenever."`
	Concurrency text               `yaml:"concurrency" mode:"plain" def:"1" doc:"How many runs at a time: a number, unlimited, or a key such as deploy-{env} that takes one at a time for each of its values."`
	Retries     retriesRaw         `yaml:"retries" doc:"Whether a failed attempt is followed by others."`
	Then        several[followRaw] `yaml:"then" item:"then" doc:"Jobs of the same service that follow a run's end: one, or a list."`
	OnFailure   onFailureRaw       `yaml:"on_failure" doc:"What a failure brings besides the report to who asked."`
	Keep        jobKeepRaw         `yaml:"keep" doc:"How long runs of this job are kept, where it differs from the file's keep."`
	OnCrash     text               `yaml:"on_crash" enum:"rerun,fail" def:"rerun" doc:"What becomes of a run whose server died."`
	Report      reportRaw          `yaml:"report" doc:"What the asker is told."`
	Output      text               `yaml:"output" enum:"base64" doc:"base64: the output is one line of base64, and is told as a file."`
	MaxOutput   size               `yaml:"max_output" def:"10MiB" doc:"How much of each of stdout and stderr is kept."`
	ScriptURL   text               `yaml:"script_url" doc:"A file that is fetched before every run and put on its PATH."`
	SHA256      text               `yaml:"sha256" doc:"What the fetched file must hash to: 64 hex digits."`
	Help        text               `yaml:"help" mode:"plain" doc:"One line for help."`
	Allow       list[ruleRaw]      `yaml:"allow" item:"rule" doc:"Who of those that may use the service may have it done. The first rule that matches decides."`
	Approve     approveRaw         `yaml:"approve" doc:"Who must agree before a run may start."`
}

type retriesRaw struct {
	at
	Max     number        `yaml:"max" doc:"How many attempts may follow the first one."`
	Backoff span          `yaml:"backoff" def:"10s" doc:"The pause before the first of them."`
	Factor  decimal       `yaml:"factor" def:"2" doc:"What the pause is multiplied by each time, 1 to 10; it becomes an hour at most."`
	Jitter  decimal       `yaml:"jitter" def:"0.1" doc:"By how much of itself a pause is lengthened at random, 0 to 1."`
	On      several[text] `yaml:"on" item:"on" doc:"After what it is tried again: exit statuses, timeout, not_started. Default: every exit status but 0."`
}

type followRaw struct {
	at
	Job   text          `yaml:"job" doc:"The job that follows."`
	Args  dict[literal] `yaml:"args" item:"argument" doc:"Its arguments, in which {name} stands for an argument of the run before."`
	Delay span          `yaml:"delay" def:"0s" doc:"How long it waits before it starts."`
	On    text          `yaml:"on" enum:"success,failure,always" def:"success" doc:"After which end it follows."`
}

type onFailureRaw struct {
	at
	Notify several[text] `yaml:"notify" item:"notify" doc:"Who is told as well: a person's name, a place of a chat such as slack:#ops, or a list of them."`
	Job    text          `yaml:"job" doc:"A job of the same service that follows a failure."`
	Args   dict[literal] `yaml:"args" item:"argument" doc:"Its arguments, in which {name} stands for an argument of the run that failed."`
}

type reportRaw struct {
	at
	Stdout        flag `yaml:"stdout" def:"false" doc:"Tell what the job writes to stdout."`
	Success       flag `yaml:"success" def:"true" doc:"Tell that it succeeded."`
	Format        text `yaml:"format" enum:"text,code,blocks,file" def:"text" doc:"How output is shown."`
	SuppressEmpty flag `yaml:"suppress_empty" def:"false" doc:"Say nothing when the output is empty."`
	Retried       flag `yaml:"retried" def:"false" doc:"Tell of each failed attempt that is followed by another."`
	On            text `yaml:"on" enum:"change" doc:"change: tell only of what is fixed, newly broken, or the first."`
}

type paramRaw struct {
	at
	Type    text          `yaml:"type" enum:"string,int,number,bool,enum,pattern,duration,date,list,json" def:"string" doc:"What values are good."`
	Default literal       `yaml:"default" doc:"The value when none is given. Without one, a value is needed."`
	Enum    list[codeRaw] `yaml:"enum" item:"enum" doc:"The values allowed."`
	Pattern text          `yaml:"pattern" mode:"code" doc:"A regular expression (RE2) that must match the whole value."`
	Min     text          `yaml:"min" mode:"plain" doc:"The least value; of a string, its least length."`
	Max     text          `yaml:"max" mode:"plain" doc:"The greatest value; of a string, its greatest length."`
	Dash    flag          `yaml:"dash" def:"false" doc:"A value may begin with -."`
	As      text          `yaml:"as" enum:"env,stdin,file" def:"env" doc:"How the value reaches the process; stdin and file take long ones."`
	Help    text          `yaml:"help" mode:"plain" doc:"One line for help."`
}

type commandRaw struct {
	at
	Name     text          `yaml:"name" doc:"A name of its own, for records."`
	Command  text          `yaml:"command" mode:"code" doc:"What people say: words and [parameters]."`
	Regex    text          `yaml:"regex" mode:"code" doc:"Instead of command: a regular expression (RE2) with named groups."`
	Aliases  list[codeRaw] `yaml:"aliases" item:"alias" doc:"Other ways to say it."`
	Help     text          `yaml:"help" mode:"plain" doc:"One line for help."`
	Job      text          `yaml:"job" doc:"The job that it is about. For suppress, unsuppress, pause and resume it may be left out: the whole service."`
	Action   text          `yaml:"action" enum:"run,cancel,suppress,unsuppress,pause,resume" def:"run" doc:"run: ask for the job. cancel: take out its waiting runs. suppress: start none of them for a time. pause: start none until resume."`
	Running  flag          `yaml:"running" def:"false" doc:"With action: cancel, running runs are stopped too."`
	Args     dict[literal] `yaml:"args" item:"argument" doc:"Fixed arguments, as written."`
	Delay    span          `yaml:"delay" def:"0s" doc:"How long a run waits before it starts."`
	MaxDelay span          `yaml:"max_delay" doc:"How far repeats may push the start back, from when the run was made. Default: without end."`
	OnRepeat text          `yaml:"on_repeat" enum:"merge,queue,reject" def:"merge" doc:"When the same is asked for already: merge joins what waits, queue makes another run, reject refuses."`
	Priority digit         `yaml:"priority" doc:"Instead of the job's: 0 to 9, and 9 goes first."`
	Allow    list[ruleRaw] `yaml:"allow" item:"rule" doc:"Who of those that may have the job done may use this command. The first rule that matches decides."`
	Confirm  text          `yaml:"confirm" enum:"yes,code" doc:"What is asked back before: yes or no, or a short code to type."`
}

// The key that is meant when a text stands in the mapping's place.
func (*jobRaw) shorthand(string) string       { return "run" }
func (*commandRaw) shorthand(string) string   { return "command" }
func (*scheduleRaw) shorthand(string) string  { return "cron" }
func (*followRaw) shorthand(string) string    { return "job" }
func (*onFailureRaw) shorthand(string) string { return "job" }
func (*paramRaw) shorthand(s string) string {
	if slices.Contains(bellhop.ParamTypes(), bellhop.ParamType(s)) {
		return "type"
	}
	return "default"
}

// codeRaw is text that is taken as written.
type codeRaw struct{ text }

// envRaw is the value of an environment variable.
type envRaw struct{ text }

func (a *codeRaw) load(d *decoder, n *yaml.Node, f field, c *scope) {
	f.mode = modeCode
	a.text.load(d, n, f, c)
}

func (e *envRaw) load(d *decoder, n *yaml.Node, f field, c *scope) {
	f.mode, f.item = modeSecret, envItem
	e.text.load(d, n, f, c)
}

// list is a sequence. Nothing is an empty one.
type list[T any] struct {
	at
	items []T
}

func (l *list[T]) load(d *decoder, n *yaml.Node, f field, c *scope) {
	l.at = d.at(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fault(n, "%s must be a list ([a, b], or lines that begin with \"- \"), not %s", f.key, describe(n))
		l.bad = true
		return
	}
	for i, item := range n.Content {
		var v T
		inner := &scope{label: f.item + " " + itoa(i+1), outer: c.outer}
		d.value(item, reflect.ValueOf(&v).Elem(), field{key: f.item, mode: f.mode}, inner)
		l.items = append(l.items, v)
	}
}

// dict is a mapping whose keys are names, in the order of the file.
type dict[T any] struct {
	at
	items []entry[T]
}

// entry is one name and what it stands for.
type entry[T any] struct {
	key  at
	name string
	val  T
}

func (m *dict[T]) load(d *decoder, n *yaml.Node, f field, c *scope) {
	m.at = d.at(n)
	pairs, ok := d.pairs(n, c)
	if !ok {
		m.bad = true
		return
	}
	for _, p := range pairs {
		e := entry[T]{key: d.at(p.key), name: p.key.Value}
		inner := &scope{label: f.item + " " + shorten(e.name), outer: c.outer}
		d.value(p.val, reflect.ValueOf(&e.val).Elem(), field{key: e.name}, inner)
		m.items = append(m.items, e)
	}
}
