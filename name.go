package bellhop

import "strings"

// maxName is the longest name, in bytes.
const maxName = 63

// CheckName returns nil when name may name a service, job, entry, source or
// person: [a-z][a-z0-9_-]{0,62}. Otherwise an Invalid error says what is wrong.
func CheckName(kind, name string) error {
	switch {
	case name == "":
		return Errorf(Invalid, "a %s needs a name", kind)
	case len(name) > maxName:
		return Errorf(Invalid, "%s %.20q... is %d characters long; a name has at most %d", kind, name, len(name), maxName)
	case name[0] < 'a' || name[0] > 'z':
		return Errorf(Invalid, "%s %q: a name begins with a letter a-z", kind, name)
	}
	for i, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return Errorf(Invalid, "%s %q: %q at place %d is not allowed in a name; use a-z, 0-9, _ and -", kind, name, string(r), i+1)
		}
	}
	return nil
}

// reserved holds every built-in command and every first word of an API path,
// those of announced features included, so that no service of today shadows a
// command of tomorrow.
var reserved = set(`
	about access acks admin api approvals approve asks assets at audit backup bellhop bots brokers bus callback
	callbacks cancel chats commands complete completion config demo deny docs entries events every feedback
	forget handover healthz hello help history in init intent intents invocations jobs list login logout logs me
	metrics mind never no nodes now openapi outbox output pause paused people plugins principals questions quit
	readyz reload reports resume retry run runners runs schedule schedules schema secret secrets services
	sessions settings sources static status stop streams suppress suppressions test token tokens topics try undo
	unpause unschedule unsuppress up v1 v2 values version watch web webhook webhooks whoami why yaml yes
`)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Reserved reports whether name (in any case) is a built-in command or the
// first word of an API path, and so can't name a service.
func Reserved(name string) bool { return reserved[strings.ToLower(name)] }
