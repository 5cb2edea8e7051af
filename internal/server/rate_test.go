package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"github.com/bellhop-io/bellhop/internal/web"
)

func TestRates(t *testing.T) {
	clock := storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	r := newRates(config.Rate{N: 3, Per: time.Minute}, clock)
	took := func(principal string, want string) {
		t.Helper()
		got := ""
		for range 5 {
			switch p, _ := r.take(principal).(*web.Problem); {
			case p == nil:
				got += "+"
			case p.Status == http.StatusTooManyRequests && strings.Contains(p.Detail, principal+" makes more requests than the 3 in a minute"):
				got += fmt.Sprint(p.After, " ")
			default:
				t.Errorf("%+v", p)
			}
		}
		if got != want {
			t.Errorf("%s got %s, want %s", principal, got, want)
		}
	}
	took("alice", "+++20 20 ")
	took("bob", "+++20 20 ")
	clock.Advance(15 * time.Second)
	took("alice", "5 5 5 5 5 ")
	clock.Advance(5 * time.Second)
	took("alice", "+20 20 20 20 ")
	clock.Advance(time.Hour)
	took("alice", "+++20 20 ")
	free := newRates(config.Rate{}, clock)
	for range 100 {
		if err := free.take("alice"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRatesAreForgotten: how many principals there are, it holds no more than
// so many, and one that is at its limit is not forgiven for that.
func TestRatesAreForgotten(t *testing.T) {
	clock := storetest.NewClock(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	r := newRates(config.Rate{N: 1, Per: time.Hour}, clock)
	for i := range maxRated - 1 {
		_ = r.take(fmt.Sprint("old", i))
	}
	clock.Advance(time.Hour)
	_ = r.take("alice")
	for i := range maxRated / 2 {
		_ = r.take(fmt.Sprint("new", i))
	}
	if len(r.by) > maxRated {
		t.Errorf("it holds %d", len(r.by))
	}
	if r.take("alice") == nil {
		t.Error("alice was forgotten")
	}
	for i := range 3 * maxRated {
		_ = r.take(fmt.Sprint("more", i))
	}
	if len(r.by) > maxRated {
		t.Errorf("it holds %d", len(r.by))
	}
}
