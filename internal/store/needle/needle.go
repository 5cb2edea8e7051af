// Package needle knows what a row must contain to be one of a search: what a
// database can look for by itself, without reading what it has packed. What has
// it may still be another one.
package needle

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// OfSource is in a packed ask (packAsk of both stores) that comes from a
// source: its name behind its length, or how the principal's identity begins.
func OfSource(source string) []byte {
	switch source {
	case bellhop.SourceSchedule, bellhop.SourceWebhook, bellhop.SourceBroker, bellhop.SourceOutside:
		return []byte(source + ":")
	}
	return append(binary.AppendUvarint(nil, uint64(len(source))), source...)
}

// OfArg are in the JSON of arguments of which one begins so: the first, or the
// second.
func OfArg(a bellhop.ArgPrefix) (one, other []byte) {
	prefix := plain(a.Prefix)
	if a.Name == "" || plain(a.Name) != a.Name {
		return []byte(`"` + prefix), []byte(`"` + prefix)
	}
	return []byte(`"` + a.Name + `":"` + prefix), []byte(`"` + a.Name + `":[`)
}

// plain returns the beginning of a text that every encoder writes as it is.
func plain(s string) string {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }); i >= 0 {
		return s[:i]
	}
	return s
}

// States returns the states of a search as far as its verdicts allow. A few
// that are FIXED among many that succeeded are found faster among all runs.
func States(s *bellhop.RunSearch) (states []bellhop.State, some bool) {
	if len(s.Verdicts) == 0 || slices.Contains(s.Verdicts, bellhop.Fixed) && !slices.Contains(s.Verdicts, bellhop.Success) {
		return nil, false
	}
	of := map[bellhop.Verdict][]bellhop.State{
		bellhop.Success: {bellhop.Succeeded}, bellhop.Fixed: {bellhop.Succeeded}, bellhop.Fail: {bellhop.Failed}, bellhop.Regression: {bellhop.Failed},
		bellhop.Broken: {bellhop.Failed}, bellhop.Aborted: {bellhop.Cancelled, bellhop.TimedOut},
	}
	for _, v := range s.Verdicts {
		for _, state := range of[v] {
			if len(s.States) == 0 || slices.Contains(s.States, state) {
				states = append(states, state)
			}
		}
	}
	return states, true
}
