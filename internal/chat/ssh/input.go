package sshchat

import (
	"io"
	"sync"
)

// readSize is how much is taken from a channel at a time.
const readSize = 32 << 10

// input is what a client sends on a session channel. It is taken in as it
// comes: left to the ssh package, a window of 2 MiB that arrives a byte a
// packet would cost a hundred times as much memory, for each channel.
type input struct {
	limit int // bytes that may wait

	mu   sync.Mutex
	come *sync.Cond
	buf  []byte
	err  error // behind buf
	drop bool  // nobody reads
}

func newInput(limit int) *input {
	in := &input{limit: limit}
	in.come = sync.NewCond(&in.mu)
	return in
}

// pump takes in what r gives until its end. When more waits than the limit,
// tooMuch is called, once, and all of it and what follows is dropped.
func (in *input) pump(r io.Reader, tooMuch func()) {
	p := make([]byte, readSize)
	for {
		n, err := r.Read(p)
		if in.add(p[:n], err) {
			tooMuch()
		}
		if err != nil {
			return
		}
	}
}

// add keeps p unless nobody is to read it, and reports whether the limit was
// passed by it.
func (in *input) add(p []byte, end error) (tooMuch bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.drop:
	case len(in.buf)+len(p) > in.limit:
		tooMuch, in.drop, in.buf = true, true, nil
	default:
		in.buf = append(in.buf, p...)
	}
	in.err = end
	in.come.Broadcast()
	return tooMuch
}

// Read reads what has come, or waits for more.
func (in *input) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.buf) == 0 && in.err == nil {
		in.come.Wait()
	}
	if len(in.buf) == 0 {
		return 0, in.err
	}
	n := copy(p, in.buf)
	if in.buf = in.buf[n:]; len(in.buf) == 0 {
		in.buf = nil
	}
	return n, nil
}

// discard has all that comes dropped: nobody reads.
func (in *input) discard() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drop, in.buf = true, nil
}
