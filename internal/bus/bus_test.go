package bus_test

import (
	"sync"
	"testing"

	"github.com/bellhop-io/bellhop/internal/bus"
)

func woken(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWakeUpsAreKeptAndCoalesced(t *testing.T) {
	var b bus.Local
	b.Publish("a") // nobody listens
	first, endFirst := b.Subscribe("a")
	second, endSecond := b.Subscribe("a")
	other, endOther := b.Subscribe("b")
	defer endOther()
	if woken(first) {
		t.Error("woken by what was told before")
	}
	b.Publish("a")
	b.Publish("a")
	for name, c := range map[string]<-chan struct{}{"first": first, "second": second} {
		if !woken(c) || woken(c) {
			t.Errorf("%s: want one wake-up for two hints between two looks", name)
		}
	}
	if woken(other) {
		t.Error("woken by another topic")
	}
	endFirst()
	endFirst() // twice is fine
	b.Publish("a")
	if woken(first) || !woken(second) {
		t.Error("the end of one subscription must end that one alone")
	}
	endSecond()
	endFirst()
}

func TestManyAtOnce(t *testing.T) {
	var b bus.Local
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				news, end := b.Subscribe("a")
				b.Publish("a")
				if !woken(news) {
					t.Error("a hint after the subscription is lost")
				}
				end()
			}
		})
	}
	wg.Wait()
}
