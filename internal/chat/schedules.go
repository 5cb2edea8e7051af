package chat

import (
	"fmt"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// SchedulesText lists what happens by the clock, and what somebody has put off.
func (s Style) SchedulesText(all bellhop.Schedules) string {
	if len(all.States) == 0 && len(all.Later) == 0 {
		return "Nothing happens by the clock."
	}
	var lines []string
	for _, st := range all.States {
		lines = append(lines, s.scheduleLines(st)...)
	}
	if len(all.Later) > 0 && len(lines) > 0 {
		lines = append(lines, "")
	}
	for _, l := range all.Later {
		lines = append(lines, s.laterLine(l))
	}
	return strings.Join(lines, "\n")
}

func (s Style) scheduleLines(st bellhop.ScheduleState) []string {
	head := fmt.Sprintf("%s %s: %s, %s", Clean(st.Service), Clean(st.Name), Clean(st.Job), Clean(st.Cron))
	if st.Zone != "" {
		head += " (" + Clean(st.Zone) + ")"
	}
	next := "no tick to come"
	switch {
	case st.Paused:
		next = s.paint(yellow, "paused")
		if st.PausedBy != "" {
			next += fmt.Sprintf(" since %s, by %s", s.dayMinute(st.PausedAt), Clean(st.PausedBy))
		}
	case len(st.Next) > 0:
		times := make([]string, len(st.Next))
		for i, at := range st.Next {
			times[i] = s.day(at)
		}
		next = "next " + strings.Join(times, ", ")
	}
	lines := []string{head, "  " + next}
	if st.State != "" {
		lines = append(lines, fmt.Sprintf("  last %s, %s %s", s.day(st.Last), st.Run, s.paint(statePaint(st.State), stateWord(st.State))))
	}
	if st.Note != "" {
		lines = append(lines, fmt.Sprintf("  %s brought no run: %s", s.day(st.Noted), Clean(st.Note)))
	}
	return lines
}

// pausedText says what pausing or resuming a schedule came to.
func (s Style) pausedText(st bellhop.ScheduleState) string {
	name := Clean(st.Service) + "/" + Clean(st.Name)
	switch {
	case st.PausedBy != "":
		return fmt.Sprintf("schedule %s is paused since %s, by %s.\nIt asks for nothing, and makes up for nothing. To resume: %s %[1]s",
			name, s.dayMinute(st.PausedAt), Clean(st.PausedBy), s.scheduleCommand("resume"))
	case st.Paused:
		return fmt.Sprintf("schedule %s is paused by the configuration; to have it go on, take `paused: true` out of it.", name)
	case len(st.Next) == 0:
		return fmt.Sprintf("schedule %s is not paused; there is no tick to come.", name)
	}
	return fmt.Sprintf("schedule %s goes on: next %s.", name, s.day(st.Next[0]))
}

// scheduleCommand is how something is done with a schedule, here or at a shell.
func (s Style) scheduleCommand(verb string) string {
	if s.Command == "" {
		return verb + " schedule"
	}
	return s.Command + "schedules " + verb
}

func (s Style) laterLine(l bellhop.Later) string {
	line := fmt.Sprintf("%s  %s  %s, for %s", Clean(l.ID), s.day(l.At), Clean(l.Text), Clean(l.Person.Principal()))
	if l.Failed != "" {
		line += s.paint(red, "; it came to nothing: "+Clean(l.Failed))
	}
	return line
}

// laterText says that something was put off, or that it is not any more.
func (s Style) laterText(action bellhop.Action, l bellhop.Later) string {
	if action == bellhop.ActionUnschedule {
		return fmt.Sprintf("%s is taken back: %s, at %s", Clean(l.ID), Clean(l.Text), s.day(l.At))
	}
	return fmt.Sprintf("%s will be asked for %s (in %s): %s\nto take it back: %sunschedule %[1]s",
		Clean(l.ID), s.day(l.At), Duration(l.At.Sub(s.Now)), Clean(l.Text), s.Command)
}
