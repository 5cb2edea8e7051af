package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

type scheduleRaw struct {
	at
	Name     text          `yaml:"name" doc:"A name of its own, for records and for who asks: schedule:SERVICE/NAME."`
	Cron     text          `yaml:"cron" mode:"plain" doc:"When: minute hour day month weekday, with seconds before them if there are six; or @hourly, @daily, @weekly, @monthly, @yearly, @every 5m."`
	Timezone text          `yaml:"timezone" doc:"A name such as Europe/London, in which its times of day are. Default: the file's."`
	Job      text          `yaml:"job" doc:"The job of the same service that is asked for."`
	Args     dict[literal] `yaml:"args" item:"argument" doc:"Its arguments, as written."`
	Jitter   span          `yaml:"jitter" def:"0s" doc:"Each run starts up to this much later, by a part that differs from tick to tick."`
	Missed   text          `yaml:"missed" enum:"one,skip,all" def:"one" doc:"Ticks that nobody could ask for, more than a minute late: one run for all of them, none, or all of the newest 100 of the last 24 hours, which wait their turn whatever overlap says."`
	Overlap  text          `yaml:"overlap" enum:"skip,queue,cancel" def:"skip" doc:"When the run before has not ended: skip the tick, queue the run, or cancel the run before."`
	From     text          `yaml:"from" doc:"No tick before: 2026-12-01, or 2026-12-01 18:00."`
	Until    text          `yaml:"until" doc:"No tick then or later: as from."`
	Paused   flag          `yaml:"paused" def:"false" doc:"No ticks for now. What passes meanwhile is not made up for."`
	ReportTo text          `yaml:"report_to" doc:"Who is told of its runs: a person's name, or a place of a chat such as slack:#ops. Default: the service's."`
}

// schedules are those of a service.
func (b *builder) schedules(s *bellhop.Service, raw serviceRaw, good map[string]bool) {
	names := map[string]at{}
	for _, r := range raw.Schedules.items {
		faults := len(b.faults.list)
		sc := b.schedule(s, r, good)
		well := len(b.faults.list) == faults && !r.bad
		if sc.ReportTo == "" {
			sc.ReportTo = raw.ReportTo.val
		}
		if first, twice := names[sc.Name]; twice && (well || r.Name.good()) {
			if r.Name.isSet() {
				b.fault(r.Name.at, "the name %q is given to two schedules; the other stands in %s", sc.Name, first.line())
			} else {
				b.fault(r.at, "this schedule has the times, the job and the arguments of the one in %s; remove one of them, or give them names", first.line())
			}
		}
		if well || r.Name.good() {
			names[sc.Name] = r.at
		}
		s.Schedules = append(s.Schedules, sc)
	}
}

func (b *builder) schedule(s *bellhop.Service, r scheduleRaw, good map[string]bool) bellhop.Schedule {
	sc := bellhop.Schedule{
		Service: s.Name, Name: r.Name.val, Cron: strings.Join(strings.Fields(r.Cron.val), " "), Zone: r.Timezone.val, Job: r.Job.val,
		Jitter: r.Jitter.val, Missed: bellhop.Missed(r.Missed.or("one")), Overlap: bellhop.Overlap(r.Overlap.or("skip")),
		Paused: r.Paused.val, ReportTo: r.ReportTo.val, Pos: r.at.pos(),
	}
	zone := b.zone
	if r.Timezone.good() {
		zone = b.location(r.Timezone)
	}
	switch {
	case r.Cron.good() && b.opts.Cron != nil:
		if err := b.opts.Cron(sc.Cron); err != nil {
			b.fault(r.Cron.at, "cron: %v", err)
		}
	case !r.Cron.isSet() && !r.bad:
		b.fault(r.at, "this schedule does not say when; add cron: \"0 6 * * 1-5\", say, or @daily")
	}
	sc.From, sc.Until = b.moment("from", r.From, zone), b.moment("until", r.Until, zone)
	if !sc.From.IsZero() && !sc.Until.IsZero() && !sc.From.Before(sc.Until) {
		b.fault(r.Until.at, "until: it is not after from, so that there is no tick; write a later time")
	}
	if r.ReportTo.good() && !b.place("report_to", r.ReportTo) {
		sc.ReportTo = ""
	}
	b.scheduleArgs(s, r, &sc, good)
	if r.Name.isSet() {
		b.checkName("schedule", sc.Name, r.Name.at)
	} else {
		sc.Name = scheduleDigest(&sc)
	}
	return sc
}

// askedJob is the job that an entry asks for which nobody says; nil: it is
// missing or has faults of its own, and that was said.
func (b *builder) askedJob(what string, entry at, s *bellhop.Service, name text, good map[string]bool) *bellhop.Job {
	if !name.isSet() {
		if !entry.bad {
			b.fault(entry, "this %s does not say what is asked for; add job: with the name of one", what)
		}
		return nil
	}
	j, ok := s.Job(name.val)
	switch {
	case name.bad:
	case !ok:
		b.fault(name.at, "%s", noJob(s, name.val))
	case good[j.Name]:
		return j
	}
	return nil
}

// scheduleArgs checks the job, and that it gets what it needs.
func (b *builder) scheduleArgs(s *bellhop.Service, r scheduleRaw, sc *bellhop.Schedule, good map[string]bool) {
	j := b.askedJob("schedule", r.at, s, r.Job, good)
	if j == nil {
		return
	}
	args, well := bellhop.Args{}, true
	for _, a := range r.Args.items {
		p, ok := j.Param(a.name)
		switch {
		case !ok:
			b.fault(a.key, "args: %s", b.noParam(j, a.name))
			well = false
		case !a.val.good():
			well = false
		default:
			if err := fixed(p).Check(a.val.val); err != nil {
				b.fault(a.val.at, "args: %v", err)
				well = false
			}
			args[a.name] = a.val.val
		}
	}
	if !well {
		return
	}
	fixedJob := *j
	fixedJob.Params = nil
	for _, p := range j.Params {
		fixedJob.Params = append(fixedJob.Params, fixed(p))
	}
	bound, err := fixedJob.Bind(args)
	if err != nil {
		b.fault(r.Job.at, "job %s: %v; a schedule has nobody to ask: give it in args", j.Name, err)
		return
	}
	sc.Args = bound
}

// moment reads a date, with a time of day or without, in a zone.
func (b *builder) moment(key string, t text, zone *time.Location) time.Time {
	if !t.good() {
		return time.Time{}
	}
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if at, err := time.ParseInLocation(form, strings.TrimSpace(t.val), zone); err == nil {
			return at
		}
	}
	b.fault(t.at, "%s: %s is no time; write a date such as 2026-12-01, or one with a time of day: 2026-12-01 18:00", key, shorten(t.val))
	return time.Time{}
}

// scheduleDigest knows a schedule by its text: 12 hex digits.
func scheduleDigest(s *bellhop.Schedule) string {
	b, err := json.Marshal([]any{s.Cron, s.Zone, s.Job, s.Args})
	if err != nil { // plain data
		panic("config: a schedule that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return "s" + hex.EncodeToString(sum[:6])
}
