package webhook_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

// TestWhoProvesIsTakenWhateverOthersTry: senders such as GitHub share addresses
// with everybody who has an account there.
func TestWhoProvesIsTakenWhateverOthersTry(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{{Service: "site", Name: "w", Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}}}}
	h := webhook.New(webhook.Options{House: hs, Clock: &clock{at: now}})
	last := 0
	for range 200 {
		last, _ = post(h, "/webhooks/site", "{}", "Authorization", "Bearer wrong")
	}
	if last != 429 {
		t.Errorf("the last guess: %d", last)
	}
	if code, got := post(h, "/webhooks/site", "{}", "Authorization", "Bearer two-two-two"); code != 202 {
		t.Errorf("the right secret from the same address: %d %v", code, got)
	}
}

// TestTheTrailCantBeFilled by who proves nothing: neither with names of services
// nor with addresses, of which who has an IPv6 network has as many as they like.
func TestTheTrailCantBeFilled(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{{Service: "site", Name: "w", Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}}}}
	c := &clock{at: now}
	h := webhook.New(webhook.Options{House: hs, Clock: c})
	codes := map[int]int{}
	for i := range 300 {
		code, _ := post(h, fmt.Sprintf("/webhooks/x%d", i), "{}")
		codes[code]++
	}
	if len(hs.unproven) != 1 || codes[401] != 120 || codes[429] != 180 {
		t.Errorf("%d records of one address, answers %v", len(hs.unproven), codes)
	}
	hs.unproven = nil
	from := func(a netip.Addr) {
		r := httptest.NewRequest("POST", "/webhooks/site", strings.NewReader("{}"))
		r = r.WithContext(web.WithClient(r.Context(), a))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	base := netip.MustParseAddr("2001:db8::1").As16()
	for i := range 300 {
		base[15], base[14] = byte(i), byte(i>>8)
		from(netip.AddrFrom16(base))
	}
	if len(hs.unproven) != 1 {
		t.Errorf("%d records of one network", len(hs.unproven))
	}
}
