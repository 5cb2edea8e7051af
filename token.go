package bellhop

import (
	"strings"
	"time"
)

// SourceAPI is the source of programs that ask over HTTP with a token; the
// identity of one is api:NAME.
const SourceAPI = "api"

// SourceWeb is the source of people on the web page.
const SourceWeb = "web"

// Token lets a program ask over HTTP. The store keeps its hash, not itself.
type Token struct {
	Name string `json:"name"` // of its own
	// As is the person whose rights it has; "" = it is api:NAME, a guest unless
	// people: or rules name that.
	As string `json:"as,omitempty"`
	// Allow are the services and jobs (SERVICE, SERVICE/JOB) that it is confined
	// to; empty = all that its principal may.
	Allow []string `json:"allow,omitempty"`
	// Source is the outside source that it is for: it may register that, send its
	// events and take its reports, and nothing else. "" = it is no such token.
	Source  string    `json:"source,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"`
}

// Within reports whether a service, or a job of it, is among those that the
// person is confined to (Scope).
func (p *Person) Within(service, job string) bool {
	if p.Scope == "" {
		return true
	}
	for s := range strings.FieldsSeq(p.Scope) {
		of, name, one := strings.Cut(s, "/")
		if of == service && (!one || name == job) {
			return true
		}
	}
	return false
}
