package server

import (
	"context"
	"io"
	"sync"

	"github.com/bellhop-io/bellhop/internal/chat"
)

// Terminal is the far end of a prompt: what is written is typed, what is read
// was shown.
type Terminal struct {
	io.Reader
	io.Writer
	end func()
}

// columns of a Terminal: no line of it is ever broken.
const columns = 10_000

func newTerminal(ctx context.Context, d chat.Desk, opt chat.Options) *Terminal {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it lasts longer than what opens it
	keys, typed := io.Pipe()
	shown, screen := io.Pipe()
	p := chat.NewPrompt(struct {
		io.Reader
		io.Writer
	}{keys, screen}, d, opt)
	p.SetSize(columns, columns)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := p.Run(ctx)
		_ = keys.Close() // whoever types learns that it is over
		_ = screen.CloseWithError(err)
	}()
	return &Terminal{Reader: shown, Writer: typed, end: sync.OnceFunc(func() {
		cancel()
		_ = typed.Close()
		_ = shown.Close() // nobody looks any more
		<-done
	})}
}

// Close ends the prompt. It may be called twice.
func (t *Terminal) Close() error {
	t.end()
	return nil
}
