package slack

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

func TestOutputThatIsLargeWaitsForRoom(t *testing.T) {
	t.Parallel()
	c := &Chat{large: make(chan struct{}, largeAtOnce)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var list []*limited
	for range largeAtOnce {
		l := c.newLimited(ctx)
		list = append(list, l)
		for range 22 {
			if _, err := l.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if l.Len() != maxFile || !l.over {
			t.Errorf("%d bytes are held, over: %v", l.Len(), l.over)
		}
	}
	small := c.newLimited(ctx)
	if n, err := small.Write(make([]byte, smallFile)); n != smallFile || err != nil || small.over {
		t.Errorf("%d %v", n, err)
	}
	wrote := make(chan error, 1)
	go func() { _, err := small.Write([]byte("x")); wrote <- err }()
	select {
	case <-wrote:
		t.Fatal("it is large, and there was no room")
	default:
	}
	list[0].done()
	list[0].done() // once counts
	if err := <-wrote; err != nil || !bytes.HasSuffix(small.Bytes(), []byte("x")) {
		t.Error(err)
	}
	cancel()
	if _, err := c.newLimited(ctx).Write(make([]byte, 2<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
