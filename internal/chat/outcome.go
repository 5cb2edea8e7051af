package chat

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Outlets says where an outcome is written.
type Outlets struct {
	Out      io.Writer // what the run reports: its output or its success line
	Failures io.Writer // that it failed, was cancelled, timed out
	Notes    io.Writer // warnings, failed attempts before a retry
	Style    Style
}

// Shown says what of a run has been shown while it was made.
type Shown struct {
	Live   bool  // both channels were shown live
	Stdout bool  // the report's attempt wrote something to stdout
	Err    error // why live output stopped early; nil = it is complete
	named  bool  // a heading has named the run
}

// WriteOutcome tells a report by the rules of DESIGN section 8 for plain text,
// and reads the output that it tells of from the desk. What was shown live is
// not repeated. Nothing is put around a run's own stdout.
//
// With `on: change`, a success after a success and a failure after a failure
// are silent; errors, cancellations and timeouts never are.
func WriteOutcome(ctx context.Context, to Outlets, d Desk, r bellhop.Report, shown Shown) error {
	switch r.Kind {
	case bellhop.ReportRetried:
		return say(to.Notes, to.Style.retriedText(r))
	case bellhop.ReportApproval:
		return say(to.Out, to.Style.ApprovalText(r.Run))
	case bellhop.ReportDecided:
		return say(to.Notes, to.Style.DecidedText(r.Run))
	case bellhop.ReportUntold:
		return say(to.Failures, to.Style.untoldText(r))
	case bellhop.ReportProgress:
		return say(to.Notes, to.Style.progressText(r))
	}
	if text := to.Style.SignedText(r.Run); text != "" {
		if err := say(to.Notes, text); err != nil {
			return err
		}
	}
	for _, w := range r.Run.Warnings {
		if err := say(to.Notes, to.Style.paint(yellow, fmt.Sprintf("warning: %s (%s)", Clean(w), r.Run.ID))); err != nil {
			return err
		}
	}
	if shown.Err != nil {
		text := fmt.Sprintf("the live output of %s was cut off; to read all of it: %slogs %s", r.Run.ID, to.Style.Command, r.Run.ID)
		if err := say(to.Notes, text); err != nil {
			return err
		}
	}
	switch {
	case unchanged(r):
		return nil
	case r.Run.State == bellhop.Succeeded:
		return writeSuccess(ctx, to, d, r, shown)
	}
	text, err := failureText(ctx, to.Style, d, r, shown)
	if err != nil {
		return err
	}
	return say(to.Failures, text)
}

// WriteAway tells a report that nobody has read. Unlike one that was waited
// for, it says which run it is of and when that ended.
func WriteAway(ctx context.Context, to Outlets, d Desk, r bellhop.Report) error {
	switch r.Kind {
	case bellhop.ReportApproval, bellhop.ReportDecided, bellhop.ReportUntold, bellhop.ReportProgress:
		return WriteOutcome(ctx, to, d, r, Shown{})
	}
	s := to.Style
	head := fmt.Sprintf("%s %s %s", r.Run.ID, jobName(r.Run), stateWord(r.Run.State))
	if r.Run.Finished != nil {
		head += fmt.Sprintf(" at %s (%s ago)", s.clock(*r.Run.Finished), Duration(s.Now.Sub(*r.Run.Finished)))
	}
	if r.Run.After != 0 {
		head += fmt.Sprintf(", follows %s", r.Run.After)
	}
	if err := say(to.Out, s.paint(statePaint(r.Run.State), head)); err != nil {
		return err
	}
	if r.Run.State == bellhop.Succeeded && !r.Rule.Stdout {
		return nil // the heading has said it all
	}
	return WriteOutcome(ctx, to, d, r, Shown{named: true})
}

// untoldText says that somebody else could not be told of a run.
func (s Style) untoldText(r bellhop.Report) string {
	return s.paint(red, fmt.Sprintf("%s %s %s, but %s", r.Run.ID, jobName(r.Run), stateWord(r.Run.State), Clean(r.Ask.Note))) +
		fmt.Sprintf("\nto read its output: %slogs %s", s.Command, r.Run.ID)
}

// progressText says what was posted of a run, however many lines it has.
func (s Style) progressText(r bellhop.Report) string {
	return fmt.Sprintf("%s %s: %s", r.Run.ID, jobName(r.Run), CleanText(r.Ask.Note))
}

// unchanged reports whether `on: change` silences a report. What `on_failure`
// tells is no matter of `report:`.
func unchanged(r bellhop.Report) bool {
	return !notified(r) && r.Rule.OnChange && r.Run.Previous != "" &&
		(r.Run.Verdict == bellhop.Success || r.Run.Verdict == bellhop.Fail)
}

// notified reports whether somebody is told who did not ask.
func notified(r bellhop.Report) bool { return r.Ask.N < 0 }

// tag names a run, and the one that it follows.
func tag(r bellhop.Run) string {
	if r.After == 0 {
		return "(" + r.ID.String() + ")"
	}
	return fmt.Sprintf("(%s, follows %s)", r.ID, r.After)
}

// forgotten says where it is said how long output is kept.
func forgotten(r bellhop.Run) string {
	return fmt.Sprintf("the output of %s is not kept any more; how long it is, `keep:` in the configuration says", r.ID)
}

func writeSuccess(ctx context.Context, to Outlets, d Desk, r bellhop.Report, shown Shown) error {
	if !r.Rule.Stdout {
		if !r.Rule.Success {
			return nil
		}
		return say(to.Out, successText(to.Style, r))
	}
	wrote := shown.Stdout
	if !shown.Live {
		if r.Run.OutputForgotten {
			return say(to.Notes, forgotten(r.Run))
		}
		if r.Run.After != 0 && !shown.named { // nobody asked for it by itself, so nothing has named it yet
			if err := say(to.Notes, fmt.Sprintf("%s %s:", jobName(r.Run), tag(r.Run))); err != nil {
				return err
			}
		}
		var err error
		if wrote, err = writeStdout(ctx, to.Out, d, r); err != nil {
			return err
		}
	}
	if wrote || r.Rule.SuppressEmpty {
		return nil
	}
	return say(to.Out, fmt.Sprintf("%s succeeded and wrote nothing %s", jobName(r.Run), tag(r.Run)))
}

func successText(s Style, r bellhop.Report) string {
	text := jobName(r.Run) + " succeeded"
	if r.Run.Verdict == bellhop.Fixed {
		text = jobName(r.Run) + " is fixed: it succeeded after a failure"
	}
	if r.Run.Attempt > 1 {
		text += fmt.Sprintf(", at attempt %d", r.Run.Attempt)
	}
	return s.paint(green, text+" "+tag(r.Run))
}

// writeStdout writes what the report's attempt wrote to stdout and reports
// whether that was anything.
func writeStdout(ctx context.Context, w io.Writer, d Desk, r bellhop.Report) (bool, error) {
	if r.Attempt.N == 0 {
		return false, nil
	}
	if r.Rule.Base64 {
		return writeDecoded(ctx, w, d, r)
	}
	rd := stdoutOf(w, r)
	err := rd.read(ctx, d, r.Run.ID, false)
	return rd.wrote(r.Attempt.N), err
}

func stdoutOf(w io.Writer, r bellhop.Report) *reader {
	rd := newReader(w, io.Discard)
	rd.only, rd.noErr = r.Attempt.N, true
	return rd
}

// writeDecoded writes the bytes that one line of base64 stands for, and
// anything else as it is.
func writeDecoded(ctx context.Context, w io.Writer, d Desk, r bellhop.Report) (bool, error) {
	var all bytes.Buffer
	rd := stdoutOf(&all, r)
	if err := rd.read(ctx, d, r.Run.ID, false); err != nil {
		return false, err
	}
	data := all.Bytes()
	line := bytes.TrimRight(data, "\r\n")
	if !bytes.ContainsAny(line, "\r\n") {
		if raw, err := base64.StdEncoding.DecodeString(string(line)); err == nil {
			data = raw
		}
	}
	rw := runWriter{w: w}
	if _, err := rw.Write(data); err != nil {
		return false, err
	}
	return rd.wrote(r.Attempt.N), rw.flush()
}

func (s Style) retriedText(r bellhop.Report) string {
	text := fmt.Sprintf("%s: attempt %d failed: %s; it is tried again", jobName(r.Run), r.Attempt.N, why(r.Attempt.ExitStatus, r.Attempt.Reason))
	if wait := r.Run.Start.Sub(s.Now); r.Run.State == bellhop.Waiting && wait > 0 {
		text += " in " + Duration(wait)
	}
	return s.paint(yellow, fmt.Sprintf("%s (%s)", text, r.Run.ID))
}

// failureText is always plain text, whatever the flags of the report.
func failureText(ctx context.Context, s Style, d Desk, r bellhop.Report, shown Shown) (string, error) {
	lines := []string{s.paint(red, failureLine(r))}
	if notified(r) {
		lines = append(lines, fmt.Sprintf("%s asked for it; you are told because of its job's `on_failure`", Clean(r.Run.AskedBy)))
	}
	switch {
	case r.Attempt.N == 0:
		return strings.Join(lines, "\n"), nil
	case r.Run.OutputForgotten:
		return strings.Join(append(lines, forgotten(r.Run)), "\n"), nil
	}
	if !shown.Live || shown.Err != nil {
		last, err := lastStderr(ctx, d, r)
		if err != nil {
			return "", err
		}
		if len(last) > 0 {
			lines = append(lines, "the end of its stderr:")
			for _, l := range last {
				lines = append(lines, "  "+l)
			}
		}
	}
	lines = append(lines, fmt.Sprintf("to read its log: %slogs %s", s.Command, r.Run.ID))
	return strings.Join(lines, "\n"), nil
}

func failureLine(r bellhop.Report) string {
	var what string
	reason := Clean(r.Run.Error)
	switch r.Run.State {
	case bellhop.Cancelled:
		what = "was cancelled"
	case bellhop.TimedOut:
		what = "timed out"
	default:
		what = "failed"
		if r.Run.Verdict == bellhop.Regression {
			what = "failed, after a success"
		}
		reason = why(r.Run.ExitStatus, r.Run.Error)
	}
	if r.Run.Attempt > 1 {
		what += fmt.Sprintf(", at attempt %d", r.Run.Attempt)
	}
	line := jobName(r.Run) + " " + what
	if reason != "" {
		line += ": " + reason
	}
	return line + " " + tag(r.Run)
}

// why joins an exit status with its reason, which may name the status already.
func why(status *int, reason string) string {
	reason = Clean(reason)
	if status == nil {
		if reason == "" {
			return "for an unknown reason"
		}
		return reason
	}
	text := fmt.Sprintf("exit status %d", *status)
	switch {
	case reason == "":
		return text
	case strings.Contains(reason, text):
		return reason
	}
	return text + ": " + reason
}

// How much of stderr a failure shows.
const (
	lastLines = 20
	lastBytes = 2 << 10
)

// lastStderr returns the last lines that the report's attempt wrote to stderr,
// each made safe.
func lastStderr(ctx context.Context, d Desk, r bellhop.Report) ([]string, error) {
	if r.Run.OutputForgotten {
		return nil, nil
	}
	var tail []byte
	cut := false
	err := d.Output(ctx, r.Run.ID, false, func(c bellhop.Chunk) error {
		if c.Channel != bellhop.Stderr || c.Attempt != r.Attempt.N {
			return nil
		}
		tail = append(tail, c.Data...)
		if n := len(tail) - lastBytes; n > 0 {
			tail, cut = append(tail[:0], tail[n:]...), true
		}
		return nil
	})
	if bellhop.CodeOf(err) == bellhop.NotAllowed { // whoever is told of a failure need not be one who may read it all
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(tail), "\r\n")
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(text, "\n")
	if cut && len(lines) > 1 {
		lines = lines[1:] // the first one lost its beginning
	}
	lines = lines[max(0, len(lines)-lastLines):]
	for i, l := range lines {
		lines[i] = TerminalLine([]byte(l), false)
	}
	return lines, nil
}
