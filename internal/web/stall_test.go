package web

import (
	"net"
	"testing"
	"time"
)

// TestAClientThatReadsNothingIsCutOff, however much of the network waits for it.
func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	h := &held{Conn: here, free: func() {}, stall: 50 * time.Millisecond}
	defer h.Close()
	began := time.Now()
	if _, err := h.Write(make([]byte, 3*piece)); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
