package layers_test

// The module's own packages are named as below its root; "" is the root.
const module = "github.com/bellhop-io/bellhop"

// edge lets packages import others of this module. Without one, a package
// under internal/ imports the root package alone.
type edge struct {
	from string
	to   []string
	why  string
}

// anyInternal stands for every package under internal/.
const anyInternal = "internal/..."

// edges are the lines of the house's plan. They hold for code that is built
// into something; tests may reach for the real thing wherever it is.
var edges = []edge{
	{"cmd/bellhop", []string{"internal/cli"},
		"main turns arguments into an exit status and no more, so that all of the command line can be tested"},
	{"internal/server", []string{anyInternal},
		"the composition root is the one place that knows every adapter"},
	{"internal/cli", []string{
		"internal/server", "internal/secret", "internal/chat", "internal/chat/console", "internal/web/api", "internal/config",
		"internal/runner/watchdog", "internal/store/sqlite", "internal/store/postgres", "internal/engine", "internal/bus", "internal/bench",
		"internal/conversation"},
		"verbs start a server, speak to one over its API, or read the store when there is none; `test` reads scripts and runs them; `secret` needs no server"},
	{"internal/bench", []string{"internal/engine", "internal/runner", "internal/runner/watchdog", "internal/executor/shell", "internal/bus"},
		"it measures the real parts, put together as the server has them; the store it is handed"},
	{"internal/conversation", []string{"internal/executor/fake"},
		"what a script says of fake jobs is what the fake executor plays; of front ends and servers it knows its own port alone"},
	{"internal/web/webhook", []string{"internal/payload", "internal/web"},
		"what is posted to it comes by the one HTTP server, is answered as everything there, and judged as what brokers bring"},
	{"internal/web/ui", []string{"internal/web", "internal/transcript"},
		"pages come by the one HTTP server, and show output as lines"},
	{"internal/web/callback", []string{"internal/web"},
		"what is posted to it comes by the one HTTP server, and is answered as everything there"},
	{"internal/broker", []string{"internal/payload"}, "what brokers bring is judged as what is posted to webhooks; of brokers it knows a port alone"},
	{"internal/broker/redis", []string{"internal/broker/dial"}, "drivers share how they show who they are; of each other they know nothing"},
	{"internal/broker/amqp", []string{"internal/broker/dial"}, "drivers share how they show who they are; of each other they know nothing"},
	{"internal/broker/nats", []string{"internal/broker/dial"}, "drivers share how they show who they are; of each other they know nothing"},
	{"internal/broker/brokertest", []string{"internal/broker", "internal/engine", "internal/bus", "internal/store/sqlite"},
		"the suite has real messages written down by the real engine"},
	{"internal/web/ui", []string{"internal/chat", "internal/web", "internal/transcript"},
		"what is said on the page is said to a chat.Desk and worded as in a chat; it comes by the one HTTP server; the lines of an output are read in pieces"},
	{"internal/web/api", []string{"internal/chat", "internal/chat/outside", "internal/web"},
		"the API's client is a chat.Desk, and its server hands requests to one; outside sources speak the words of their chat by it"},
	{"internal/chat/console", []string{"internal/chat"}, "a front end shares the conversation and its words"},
	{"internal/chat/ssh", []string{"internal/chat"}, "a front end shares the conversation and its words"},
	{"internal/chat/outside", []string{"internal/chat"}, "it shares the words; that they come by HTTP is the API's"},
	{"internal/chat/slack", []string{"internal/chat", "internal/chat/slack/slackapi"}, "it shares the words, and speaks to Slack by its own calls"},
	{"internal/chat/chattest", []string{"internal/chat"}, "the suite speaks of what it tests"},
	{"internal/executor/shell", []string{"internal/executor/shell/script", "internal/proc"},
		"it compiles scripts and ends process groups"},
	{"internal/runner", []string{"internal/mask"}, "what a run prints is masked before it goes anywhere, also on another machine"},
	{"internal/secret", []string{"internal/mask"}, "who sets a secret is told when it is too short to be masked"},
	{"internal/runner/watchdog", []string{"internal/proc"}, "it ends process groups"},
	{"internal/store/postgres", []string{"internal/store/needle"}, "what a row must contain to be of a search is the same in both drivers"},
	{"internal/store/sqlite", []string{"internal/fault", "internal/filelock", "internal/store/trail", "internal/store/needle"},
		"what a row must contain to be of a search is the same in both drivers; a fault in the midst of a group commit can't be a decorator's (the call is empty without the build tag chaos); a lock proves that the former server is dead; the audit trail is kept in pages"},
}

// never are imports between packages that no edge allows, whatever comes.
var never = []edge{
	{"internal/server", []string{"internal/cli"}, "the command line starts the server, not the other way round"},
}

// owner lets some packages or files import something from outside of the
// module. What has no owner is imported by nobody.
type owner struct {
	path  string   // and what lies below it
	where []string // packages, or files; none = nobody
	why   string
	fix   string // "" = the usual
}

// owners are every dependency, and of the standard library what is not
// everybody's. They hold for code that is built into something.
var owners = []owner{
	{path: "database/sql", where: []string{"internal/store/sqlite", "internal/store/postgres/schema.go"},
		why: "SQL lives in the store drivers, so that the engine keeps one set of rules for all of them"},
	{path: "modernc.org/sqlite", where: []string{"internal/store/sqlite"}, why: "only the SQLite driver knows SQLite"},
	{path: "github.com/pressly/goose/v3", where: []string{"internal/store/sqlite", "internal/store/postgres"}, why: "schemas belong to their driver"},
	{path: "github.com/jackc/pgx/v5", where: []string{"internal/store/postgres", "internal/bus/postgres", "internal/store/postgres/pgtest"},
		why: "only the drivers for Postgres, and the suite's own server, speak its protocol"},
	{path: "filippo.io/age", where: []string{"internal/secret"}, why: "secrets leave the store sealed, or not at all"},
	{path: "go.yaml.in/yaml/v4", where: []string{"internal/config"},
		why: "what is not in the configuration file is not YAML; everybody else gets checked values"},
	{path: "golang.org/x/crypto/ssh", where: []string{"internal/chat/ssh", "internal/cli/demo.go"},
		why: "SSH is one chat among others; the demo makes a key for its visitor"},
	{path: "github.com/slack-go/slack", where: []string{"internal/chat/slack/slackapi"},
		why: "its releases break often, so that one package knows it"},
	{path: "github.com/redis/go-redis/v9", where: []string{"internal/broker/redis"}, why: "one broker among others: a driver each, behind a port"},
	{path: "github.com/rabbitmq/amqp091-go", where: []string{"internal/broker/amqp"}, why: "one broker among others: a driver each, behind a port"},
	{path: "github.com/nats-io/nats.go", where: []string{"internal/broker/nats"}, why: "one broker among others: a driver each, behind a port"},
	{path: "github.com/gorilla/websocket", where: []string{"internal/chat/slack/slackapi", "internal/chat/slack/slacktest"},
		why: "sockets are Slack's, and the fake Slack's"},
	{path: "mvdan.cc/sh/v3", where: []string{"internal/executor/shell/script"},
		why: "the shell's grammar is judged in one place, the one that is fuzzed"},
	{path: "github.com/spf13/cobra", where: []string{"internal/cli"}, why: "flags and verbs are the command line's"},
	{path: "github.com/spf13/pflag", where: []string{"internal/cli"}, why: "flags and verbs are the command line's"},
	{path: "github.com/lmittmann/tint", where: []string{"internal/cli"}, why: "how a log looks is decided where it is shown"},
	{path: "github.com/prometheus", where: []string{"internal/metrics"},
		why: "what is counted is decided in one place, beside the ports; who may read it is the server's to say"},
	{path: "go.opentelemetry.io/otel", where: []string{"internal/tracing"},
		why: "spans are made around ports, so that nothing else knows of them; of the SDK, no exporter is used"},
	{path: "github.com/a-h/templ", where: []string{"internal/web/ui"},
		why: "pages are made in one place; what it makes of them escapes all that is put in"},
	{path: "golang.org/x/time", where: []string{"internal/server"}, why: "rates are bounded where requests come in from outside"},
	{path: "golang.org/x/term", where: []string{"internal/chat", "internal/chat/console", "internal/chat/ssh", "internal/cli"},
		why: "terminals are at the edge, where people are"},
	{path: "golang.org/x/sys", where: []string{
		"internal/proc", "internal/runner/watchdog", "internal/executor/shell", "internal/server",
		"internal/chat/console", "internal/chat/chattest", "internal/store/sqlite"},
		why: "system calls stay with what wraps the machine"},
	{path: "net/http", where: []string{"internal/web", "internal/web/api", "internal/web/webhook", "internal/web/callback", "internal/web/ui", "internal/server", "internal/executor/shell", "internal/chat/outside", "internal/chat/slack", "internal/chat/slack/slackapi", "internal/chat/slack/slacktest", "internal/tracing"},
		why: "HTTP is an adapter; the rules in engine, router and runner know nothing of it"},
	{path: "net", where: []string{"internal/store/postgres", "internal/web", "internal/web/api", "internal/server", "internal/executor/shell", "internal/chat/ssh", "internal/config", "internal/cli", "internal/broker/redis", "internal/broker/amqp", "internal/broker/brokertest"},
		why: "connections are an adapter's"},
	{path: "net/url", where: []string{"", anyInternal}, why: "it opens no connection; the root reads addresses of brokers, for their check and their drivers"},
	{path: "net/netip", where: []string{anyInternal}, why: "it opens no connection"},
	{path: "os/exec", where: []string{"internal/executor/shell", "internal/runner/watchdog", "internal/store/postgres/pgtest", "internal/broker/brokertest", "internal/browsertest"},
		why: "only executors start what people ask for; what they start is marked, guarded and ended (a suite starts what it tests against)"},
	{path: "github.com/chromedp", where: []string{"internal/browsertest"},
		why: "pages are tested in a real browser, by one package"},
	{path: "testing", where: []string{"internal/browsertest", "internal/chat/chattest", "internal/executor/executortest", "internal/store/storetest", "internal/store/postgres/pgtest", "internal/chat/slack/slacktest", "internal/broker/brokertest"},
		why: "only suites are made of tests; in the binary, testing adds flags and size",
		fix: "move it to a _test.go file, or to a suite whose package name ends in test"},
	{path: "text/template", why: "executing a template makes the linker keep every exported method: 13 MB on the whole set",
		fix: "write with fmt, or generate code"},
	{path: "html/template", why: "executing a template makes the linker keep every exported method: 13 MB on the whole set",
		fix: "write with fmt, or generate code"},
	{path: "net/rpc", why: "it makes the linker keep every exported method, as templates do", fix: "use HTTP and JSON (web/api)"},
	{path: "log", why: "logs go through the *slog.Logger that a constructor is given, so that a test can read them",
		fix: "take a *slog.Logger in the options"},
	{path: "log/slog", where: []string{anyInternal}, why: "it is injected everywhere"},
	{path: "C", why: "the binary is static and built for other systems from any machine", fix: "find a library in pure Go"},
}

// reasoned is a package, and why there is a rule for it.
type reasoned struct{ pkg, why string }

// stdlibOnly are packages that import nothing but the standard library, the
// root package and, where an edge lets them, each other, whatever the owners
// say.
var stdlibOnly = []reasoned{
	{"", "the root package is the vocabulary: whoever imports it must get nothing else with it"},
	{"internal/engine", "the rules must not depend on how anything is stored, sent or shown"},
	{"internal/router", "understanding a line needs no machinery"},
	{"internal/payload", "it judges what comes from outside, and knows no protocol"},
	{"internal/broker", "what becomes of a message is the same whatever brought it"},
	{"internal/runner", "a runner will work on other machines, with nothing but its port"},
	{"internal/transcript", "it knows output by the root package alone"},
	{"internal/mask", "it is between everything that is shown, on every machine that runs something"},
	{"internal/fault", "it stands around ports, and knows none of their drivers"},
	{"internal/reporter", "it knows destinations by their port alone"},
	{"internal/session", "it knows reports by the root package alone"},
	{"internal/bus", "a hint needs no machinery; a driver with a dependency gets a folder of its own"},
}

// notLinked must not be among what cmd/bellhop is built from, however far away.
var notLinked = []struct{ path, why string }{
	{"testing", "flags and size; some suite is imported by code that is not a test"},
	{"net/rpc", "it keeps every exported method of every type"},
	{"github.com/alecthomas/kong", "it keeps every exported method of every type"},
}

// The bounds of style.
const (
	maxLines   = 800 // of a file
	maxFunc    = 100 // lines of a function
	maxMethods = 8   // of an interface
)

// vague are names of packages that say nothing.
var vague = map[string]bool{"util": true, "utils": true, "common": true, "helpers": true, "types": true, "models": true, "misc": true}
