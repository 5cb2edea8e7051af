package engine

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// lastLines is how many runs' last lines are told at a time, lastLineSize how
	// long one is, in bytes, lastLineFresh how old what is told may be.
	lastLines     = 50
	lastLineSize  = 200
	lastLineFresh = time.Second
	lastLineTail  = 4 << 10 // bytes of a channel that are looked at
	maxKnownLines = 500
	// failedBefore is how long before a time a run may have been made that failed
	// after it, to be told of.
	failedBefore = 24 * time.Hour
	maxVotes     = 50
)

// Failed lists runs that failed or timed out at or after a time, newest first, n
// at most, whose job the person may have done or that they asked for. Of runs
// made more than a day before that time, none is told.
func (e *Engine) Failed(ctx context.Context, p bellhop.Person, since time.Time, n int) (runs []bellhop.Run, more bool, err error) {
	runs = []bellhop.Run{}
	who := e.Identify(p)
	s := bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: []bellhop.State{bellhop.Failed, bellhop.TimedOut}, Since: since.Add(-failedBefore), Limit: bellhop.RunPageMost}, Within: p.Scope}
	for range searchRounds {
		page, err := e.store.Records.Search(ctx, s)
		if err != nil {
			return nil, false, err
		}
		for _, r := range page.Runs {
			if r.Finished == nil || r.Finished.Before(since) || r.AskedBy != who.Principal() && !e.SeesJob(ctx, p, r.Service, r.Job) {
				continue
			}
			if len(runs) == n {
				return e.redact(ctx, p, runs), true, nil
			}
			runs = append(runs, r)
		}
		if s.Before = page.Next; page.Next == 0 {
			return e.redact(ctx, p, runs), false, nil
		}
	}
	return e.redact(ctx, p, runs), true, nil
}

// Votable lists held runs that wait for what the person may say, newest first,
// 50 at most: those that they approve and did not ask for themselves, unless that
// is allowed, nor voted on.
func (e *Engine) Votable(ctx context.Context, p bellhop.Person) (runs []bellhop.Run, err error) {
	who := e.Identify(p)
	s := bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: []bellhop.State{bellhop.Held}, Limit: bellhop.RunPageMost}, Within: p.Scope}
	page, err := e.store.Records.Search(ctx, s)
	if err != nil {
		return nil, err
	}
	runs = []bellhop.Run{}
	for _, r := range page.Runs {
		if r.Approval == nil || !who.Within(r.Service, r.Job) || !e.mayVote(ctx, who, r.Approval, true) {
			continue
		}
		voted := slices.ContainsFunc(r.Approval.Votes, func(v bellhop.Vote) bool {
			return v.Void == "" && (v.Principal == who.Principal() || v.Identity == who.Identity)
		})
		if !voted && !r.Approval.Self {
			asks, err := e.store.Records.Asks(ctx, r.ID)
			if err != nil {
				return nil, err
			}
			voted = e.hasAsked(asks, who)
		}
		if voted {
			continue
		}
		if runs = append(runs, r); len(runs) == maxVotes {
			break
		}
	}
	if err := e.explain(ctx, runs); err != nil {
		return nil, err
	}
	return e.redact(ctx, p, runs), nil
}

// lines are the last lines of runs, for all who look.
type lines struct {
	mu sync.Mutex // held while some are read
	by map[bellhop.RunID]line
}

type line struct {
	at   time.Time
	text string
}

// LastLines returns the last line that is not empty of what running runs have
// printed so far, at most 200 bytes of it without control characters, of the
// first 50 runs that the person may see.
func (e *Engine) LastLines(ctx context.Context, p bellhop.Person, ids []bellhop.RunID) (map[bellhop.RunID]string, error) {
	who := e.Identify(p)
	out := map[bellhop.RunID]string{}
	for _, id := range ids[:min(len(ids), lastLines)] {
		run, err := e.store.Records.Run(ctx, id)
		if bellhop.CodeOf(err) == bellhop.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		of := ofRun(&run)
		of.many = true
		if run.State != bellhop.Running || !(run.AskedBy == who.Principal() && who.Within(run.Service, run.Job)) && !e.decide(ctx, who, of).Allowed {
			continue
		}
		text, err := e.lastLine(ctx, &run)
		if err != nil {
			return nil, err
		}
		if text != "" {
			out[id] = text
		}
	}
	return out, nil
}

func (e *Engine) lastLine(ctx context.Context, run *bellhop.Run) (string, error) {
	now := e.clock.Now()
	l := &e.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.by[run.ID]; ok && apart(now, was.at) < lastLineFresh {
		return was.text, nil
	}
	list, err := e.attempts(ctx, run)
	if err != nil || len(list) == 0 {
		return "", err
	}
	var newest time.Time
	text := ""
	for _, channel := range []bellhop.Channel{bellhop.Stdout, bellhop.Stderr} {
		chunks, err := e.store.Outputs.Tail(ctx, run.ID, list[len(list)-1].N, channel, lastLineTail)
		if err != nil {
			return "", err
		}
		if n := len(chunks); n > 0 && (text == "" || chunks[n-1].At.After(newest)) {
			if last := lastOf(chunks); last != "" {
				newest, text = chunks[n-1].At, last
			}
		}
	}
	if l.by == nil || len(l.by) >= maxKnownLines {
		l.by = map[bellhop.RunID]line{}
	}
	text = e.maskText(text)
	if len(text) > lastLineSize {
		text = strings.ToValidUTF8(text[:lastLineSize], "")
	}
	l.by[run.ID] = line{now, text}
	return text, nil
}

// escapes are what terminals take for commands.
var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

// lastOf returns the last line that is not empty. What a carriage return has
// overwritten is not shown.
func lastOf(chunks []bellhop.Chunk) string {
	var b []byte
	for _, c := range chunks {
		b = append(b, c.Data...)
	}
	b = b[max(0, len(b)-lastLineTail):]
	for part := range backward(b) {
		text := strings.TrimSpace(plainLine(escapes.ReplaceAllString(string(part), "")))
		if text != "" {
			return text
		}
	}
	return ""
}

// backward gives what stands between ends of lines, the last one first.
func backward(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for {
			i := bytes.LastIndexAny(b, "\r\n")
			if !yield(b[i+1:]) || i < 0 {
				return
			}
			b = b[:i]
		}
	}
}
