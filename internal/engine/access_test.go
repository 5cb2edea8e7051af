package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

func TestTheGate(t *testing.T) {
	h := newHouse(t)
	if _, err := h.do(guest, ask("example", "deploy", "a")); err != nil {
		t.Errorf("a guest may not use an open service: %v", err)
	}
	_, err := h.do(guest, ask("secret", "deploy", "a"))
	wantCode(t, err, bellhop.NotAllowed)
	if _, err := h.do(alice, ask("secret", "deploy", "a")); err != nil {
		t.Errorf("alice may not use a restricted service: %v", err)
	}
	_, err = h.do(alice, ask("example", "nothing", "a"))
	wantCode(t, err, bellhop.NotFound)
	if h.Sees(t.Context(), guest, "gone", nil) {
		t.Error("a guest sees a service that is gone")
	}
	wantCode(t, h.MayManage(t.Context(), alice, "manage"), bellhop.NotAllowed)
	wantCode(t, h.MayManage(t.Context(), bellhop.Person{Identity: "local:root"}, "manage"), bellhop.NotAllowed)
	if err := h.MayManage(t.Context(), owner, "manage"); err != nil {
		t.Error(err)
	}
}

func TestWhatOneMayNotSee(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("secret", "deploy", "production")).Run
	for _, inv := range []bellhop.Invocation{
		{Action: bellhop.ActionCancelRun, Run: id}, {Action: bellhop.ActionLogs, Run: id}, {Action: bellhop.ActionRetry, Run: id},
	} {
		_, err := h.do(guest, inv)
		wantCode(t, err, bellhop.NotAllowed)
	}
	wantCode(t, h.ReadOutput(t.Context(), guest, id, 0, 0, false, nil), bellhop.NotAllowed)
	status, err := h.Status(t.Context(), guest)
	if err != nil || len(status.Waiting) != 1 || status.Waiting[0].Args != nil || status.Waiting[0].Job != "deploy" {
		t.Errorf("a guest's status shows %+v, %v", status, err)
	}
	runs, err := h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Args != nil {
		t.Errorf("a guest's list shows %+v, %v", runs, err)
	}
	if runs, _ := h.Runs(t.Context(), bob, bellhop.RunFilter{}); runs[0].Args == nil {
		t.Error("bob, who may run it, does not see its arguments")
	}
	c := h.claim(1)[0]
	out := bellhop.Outcome{End: bellhop.EndFailed, Error: "production is down", Result: json.RawMessage(`"production"`), Warnings: []string{"production"}}
	if err := h.Finish(t.Context(), ref(c), out, nil); err != nil {
		t.Fatal(err)
	}
	runs, err = h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if told := fmt.Sprintf("%+v", runs); err != nil || strings.Contains(told, "production") || strings.Contains(told, "s-alice") {
		t.Errorf("a guest's list tells %s, %v", told, err)
	}
}
