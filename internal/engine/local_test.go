package engine_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestTheServersUserIsToldHowToBeInternal: with people:, whoever runs the server
// is an admin, and internal only when listed.
func TestTheServersUserIsToldHowToBeInternal(t *testing.T) {
	h := newHouse(t)
	cat := &bellhop.Catalog{Services: []bellhop.Service{{Name: "vault", Restricted: true, Jobs: []bellhop.Job{job("vault", "open", func(*bellhop.Job) {})}}}}
	cat.Access = bellhop.Access{Peopled: true, People: []bellhop.Member{{Name: "alice", Identities: []string{"ssh:alice"}}}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	ask := func(p bellhop.Person) error {
		_, err := h.Do(t.Context(), bellhop.Invocation{Key: "k" + p.Identity, Action: bellhop.ActionRun, Service: "vault", Job: "open", Person: p})
		return err
	}
	if err := ask(bellhop.Person{Identity: "local:root", Name: "local:root", Listed: true}); bellhop.CodeOf(err) != bellhop.NotAllowed || !strings.Contains(err.Error(), "`local: root`") {
		t.Errorf("root is told %v", err)
	}
	if err := ask(bellhop.Person{Identity: "ssh:mallory"}); bellhop.CodeOf(err) != bellhop.NotAllowed || strings.Contains(err.Error(), "local:") {
		t.Errorf("somebody else is told %v", err)
	}
}
