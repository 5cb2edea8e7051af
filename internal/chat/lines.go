package chat

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// MaxLine is the longest line that is read where there is no terminal, in
// bytes.
const MaxLine = 1 << 20

// Lines asks each line of in, waiting for all that one brings before the next
// is asked, until the end of in or a line that says exit or quit. The exit
// status is the first one that is not 0.
//
// When ctx ends, a Read of in may stay behind; whoever owns in closes it.
func (c *Conversation) Lines(ctx context.Context, in io.Reader) int {
	stop := c.start(ctx)
	defer stop()
	status := 0
	keep := func(s int) {
		if status == 0 {
			status = s
		}
	}
	lines := c.scan(ctx, in)
	for {
		var l line
		var ok bool
		select {
		case l, ok = <-lines:
		case <-ctx.Done():
			keep(c.opt.Exit.OfError(ctx.Err()))
			return status
		}
		switch text := strings.TrimSpace(l.text); {
		case !ok, leaves(text):
			return status
		case l.err != nil:
			keep(c.refuse(l.err))
		case text == "":
		default:
			keep(c.turn(ctx, l.text))
		}
		if ctx.Err() != nil {
			return status
		}
	}
}

// leaves reports whether a line ends the conversation.
func leaves(line string) bool {
	return strings.EqualFold(line, "exit") || strings.EqualFold(line, "quit")
}

type line struct {
	text string
	err  error
}

// scan reads lines in a goroutine of its own, since a Read can't be told to
// stop. It reads no further than one line ahead.
func (c *Conversation) scan(ctx context.Context, in io.Reader) <-chan line {
	lines := make(chan line)
	go func() {
		defer c.guard()
		defer close(lines)
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			l, err := readLine(r)
			if err != nil {
				return
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// readLine reads one line without its end. A line that is too long is read
// over and told as an error within line; err is for the end of input alone.
func readLine(r *bufio.Reader) (line, error) {
	var text []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			text = append(text, part...)
		}
		if len(text) > MaxLine+2 {
			long, text = true, nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && len(text) == 0 && !long {
			return line{}, err
		}
		break
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if long || len(s) > MaxLine {
		return line{err: bellhop.Errorf(bellhop.Invalid, "a line is longer than %s bytes and was not asked; put long values in a file and name the file", Count(MaxLine))}, nil
	}
	return line{text: s}, nil
}
