package chat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// AuditLine is one record of the audit trail: when, who, what, and by which
// rule it was allowed or refused.
func (s Style) AuditLine(r bellhop.AuditRecord) string {
	word, p := "allowed", green
	if !r.Allowed {
		word, p = "refused", red
	}
	who := Clean(r.Principal)
	if r.Identity != "" && r.Identity != r.Principal {
		who += " (" + Clean(r.Identity) + ")"
	}
	if who == "" {
		who = "the server"
	}
	what := strings.ReplaceAll(Clean(r.Action), "_", " ")
	switch {
	case r.Job != "":
		what += " " + Clean(r.Service) + " " + Clean(r.Job)
	case r.Service != "":
		what += " " + Clean(r.Service)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Args)) {
		what += fmt.Sprintf(" %s=%s", Clean(name), Clean(r.Args[name].String()))
	}
	if r.Run != 0 {
		what += " " + r.Run.String()
	}
	if r.Channel != "" {
		what += " in " + Clean(r.Source) + ":" + Clean(r.Channel)
	}
	line := fmt.Sprintf("%s  %s  %s: %s", r.At.In(s.Now.Location()).Format(time.DateTime), s.paint(p, word), who, what)
	if r.Rule != "" {
		line += "; " + Clean(r.Rule)
	}
	if r.Detail != "" {
		line += "; " + Clean(r.Detail)
	}
	return line
}
