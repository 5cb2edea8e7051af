package config

import (
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// job returns ok when what the job runs has no fault, so that its parameters
// are known.
func (b *builder) job(service string, e entry[jobRaw], env map[string]string, dir text) (bellhop.Job, bool, error) {
	raw := e.val
	b.checkName("job", e.name, e.key)
	j := bellhop.Job{
		Service:   service,
		Name:      e.name,
		Executor:  executorShell,
		Params:    b.params(raw.Params),
		Env:       b.env(env, raw.Env),
		Timeout:   b.positive("timeout", raw.Timeout, 0),
		OnCrash:   bellhop.OnCrash(raw.OnCrash.or(string(bellhop.CrashRerun))),
		Retries:   b.retries(raw.Retries, raw.Timeout),
		Priority:  bellhop.DefaultPriority,
		Deadline:  b.positive("deadline", raw.Deadline, 0),
		Callback:  b.positive("callback", raw.Callback, 0),
		Keep:      b.keepFor(raw.Keep.Runs, raw.Keep.Output),
		Report:    reportRule(raw),
		MaxOutput: raw.MaxOutput.val,
		Help:      raw.Help.val,
	}
	if raw.Priority.good() {
		j.Priority = raw.Priority.val
	}
	ok, err := b.compile(&j, e, dir)
	b.concurrency(raw.Concurrency, &j, ok)
	if ok {
		j.Allow = b.rules(raw.Allow, j.Param)
		j.Approve = b.approve(raw.Approve, &j, raw.ScriptURL.isSet() && !raw.SHA256.isSet())
	}
	return j, ok, err
}

// maxRetries bounds retries.max.
const maxRetries = 1000

func (b *builder) retries(raw retriesRaw, timeout span) bellhop.Retries {
	r := bellhop.Retries{Max: raw.Max.val, Backoff: b.positive("backoff", raw.Backoff, 10*time.Second), Factor: 2, Jitter: 0.1}
	for _, x := range []struct {
		key         string
		raw         decimal
		into        *float64
		least, most float64
	}{{"factor", raw.Factor, &r.Factor, 1, 10}, {"jitter", raw.Jitter, &r.Jitter, 0, 1}} {
		if !x.raw.good() {
			continue
		}
		if !between(x.raw.val, x.least, x.most) {
			b.fault(x.raw.at, "%s: %v is out of range; write a number from %v to %v", x.key, x.raw.val, x.least, x.most)
		}
		*x.into = x.raw.val
	}
	r.On = b.retriesOn(raw.On, timeout)
	if raw.Max.good() && (r.Max < 0 || r.Max > maxRetries) {
		b.fault(raw.Max.at, "retries: %d is out of range; write a number from 0 to %d", r.Max, maxRetries)
	}
	if !raw.Max.isSet() {
		for _, k := range []struct {
			key string
			at  at
		}{{"backoff", raw.Backoff.at}, {"factor", raw.Factor.at}, {"jitter", raw.Jitter.at}, {"on", raw.On.at}} {
			if k.at.isSet() {
				b.fault(k.at, "%s without max retries nothing; add max: 2, or remove retries", k.key)
				break
			}
		}
	}
	if r.Max == 0 {
		return bellhop.Retries{}
	}
	return r
}

// retriesOn reads after which ends a job is tried again.
func (b *builder) retriesOn(raw several[text], timeout span) []string {
	var on []string
	for _, t := range raw.items {
		val := t.val
		if n, err := strconv.Atoi(val); err == nil && t.good() && val != "0" {
			val = strconv.Itoa(n)
			if n < 1 || n > 255 {
				b.fault(t.at, "on: %s is not an exit status of a failure; it is a number from 1 to 255", shorten(t.val))
				continue
			}
		} else if t.good() && val != "timeout" && val != "not_started" {
			b.fault(t.at, "on: %s is none of: an exit status from 1 to 255, timeout, not_started%s", shorten(val), didYouMean(val, "timeout", "not_started"))
			continue
		}
		switch {
		case !t.good():
		case slices.Contains(on, val):
			b.fault(t.at, "on: %s stands there twice", val)
		case val == "timeout" && !timeout.isSet():
			b.fault(t.at, "on: timeout never comes, since the job has no timeout; add timeout: 10m, say, or remove it")
		default:
			on = append(on, val)
		}
	}
	return on
}

// didYouMean is the end of a fault: "" when nothing is near.
func didYouMean(word string, options ...string) string {
	if near := nearest(word, options); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func reportRule(raw jobRaw) bellhop.ReportRule {
	r := raw.Report
	return bellhop.ReportRule{
		Stdout:        r.Stdout.val,
		Success:       r.Success.val || !r.Success.isSet(),
		Format:        bellhop.ReportFormat(r.Format.or(string(bellhop.FormatText))),
		SuppressEmpty: r.SuppressEmpty.val,
		Retried:       r.Retried.val,
		OnChange:      r.On.isSet(),
		Base64:        raw.Output.isSet(),
	}
}

// compile hands what the executor knows best to its compiler.
func (b *builder) compile(j *bellhop.Job, e entry[jobRaw], dir text) (bool, error) {
	raw, before := e.val, len(b.faults.list)
	src := bellhop.JobSource{Service: j.Service, Shell: raw.Shell.val, Dir: raw.Dir.or(dir.val), ScriptURL: raw.ScriptURL.val, SHA256: raw.SHA256.val, Params: j.Params}
	unread := raw.Run.line.bad || raw.Params.bad || raw.bad
	if raw.Run.isList() {
		for _, item := range raw.Run.items {
			unread = unread || item.bad
			src.Argv = append(src.Argv, item.val)
		}
		if raw.Shell.isSet() {
			b.fault(raw.Shell.at, "shell does not go with a list: a list is a program and its arguments, and no shell reads it; remove shell, or write run as one text")
		}
	} else {
		src.Script = raw.Run.line.val
	}
	b.scriptURL(raw)
	switch {
	case raw.Run.isSet() || raw.bad:
	case raw.ScriptURL.isSet():
		b.fault(raw.ScriptURL.at, "script_url is fetched for run to use, and job %s has no run; add run: with the name of the file that is fetched and its arguments", shorten(e.name))
	default:
		b.fault(e.key, "job %s has nothing to run; add run: with a command, such as run: echo Hello", shorten(e.name))
	}
	if len(b.faults.list) > before || unread || (src.Script == "" && len(src.Argv) == 0) {
		return false, nil // the compiler would only say it again
	}
	compiler := b.opts.Compilers[executorShell]
	if compiler == nil {
		return false, bellhop.Errorf(bellhop.Internal, "no compiler for the executor %s was given to config.Load", executorShell)
	}
	compiled, faults := compiler.Compile(src)
	for _, f := range faults {
		b.faults.add(b.jobFaultPos(e, f), f.Message)
	}
	j.Spec = compiled.Spec
	for _, name := range compiled.Names {
		if _, known := j.Param(name); !known {
			j.Params = append(j.Params, bellhop.Param{Name: name, Type: bellhop.TypeString})
		}
	}
	if len(faults) == 0 && !json.Valid(j.Spec) {
		return false, bellhop.Errorf(bellhop.Internal, "the compiler of the executor %s gave no JSON for job %s %s", executorShell, j.Service, j.Name)
	}
	return len(faults) == 0, nil
}

// jobFaultPos is where in the file a compiler's fault stands.
func (b *builder) jobFaultPos(e entry[jobRaw], f bellhop.JobFault) bellhop.Position {
	run := e.val.Run
	switch {
	case f.Item == -1 && run.line.good():
		return run.line.src.withinText(run.line.node, f.Line, f.Col)
	case f.Item >= 0 && f.Item < len(run.items) && run.items[f.Item].good():
		item := run.items[f.Item]
		return item.src.withinText(item.node, f.Line, f.Col)
	}
	return e.key.pos()
}

func (b *builder) scriptURL(raw jobRaw) {
	if raw.ScriptURL.good() {
		b.noPassword(raw.ScriptURL)
		u, err := url.Parse(raw.ScriptURL.val)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
			b.fault(raw.ScriptURL.at, "script_url: %s is not an address such as https://example.com/deploy.sh", shorten(raw.ScriptURL.val))
		}
	}
	switch {
	case !raw.SHA256.good():
	case !raw.ScriptURL.isSet():
		b.fault(raw.SHA256.at, "sha256 checks what script_url fetches, and there is no script_url; remove it")
	case !isSHA256(raw.SHA256.val):
		b.fault(raw.SHA256.at, "sha256: %s is not a SHA-256: it has 64 hex digits, as `sha256sum FILE` prints them", shorten(raw.SHA256.val))
	}
}

func isSHA256(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64
}

// concurrency reads a number, unlimited, or a template over the parameters.
func (b *builder) concurrency(t text, j *bellhop.Job, paramsKnown bool) {
	j.Concurrency = 1
	if !t.good() || t.val == "unlimited" {
		if t.good() {
			j.Concurrency = 0
		}
		return
	}
	if n, err := strconv.Atoi(t.val); err == nil {
		j.Concurrency = n
		if n < 1 || n > maxSlots {
			b.fault(t.at, "concurrency: %d is out of range; write a number from 1 to %d, or unlimited", n, maxSlots)
		}
		return
	}
	names, ok := templateNames(t.val)
	if !ok || len(names) == 0 {
		hint := ""
		if near := nearest(t.val, []string{"unlimited"}); near != "" {
			hint = "; did you mean unlimited?"
		}
		if strings.Contains(t.val, "${") {
			hint = "; write {name}, without the $"
		}
		b.fault(t.at, "concurrency: %s is none of: a number, unlimited, a key with parameters in it such as \"deploy-{env}\"%s", shorten(t.val), hint)
		return
	}
	j.ConcurrencyKey = t.val
	if !paramsKnown {
		return
	}
	for _, name := range names {
		if _, ok := j.Param(name); !ok {
			b.fault(t.at, "concurrency: %s", b.noParam(j, name))
		}
	}
}

// templateNames returns the names in {braces}; ok is false where a brace is
// not part of one.
func templateNames(s string) (names []string, ok bool) {
	rest := placeholder().ReplaceAllStringFunc(s, func(m string) string {
		names = append(names, m[1:len(m)-1])
		return ""
	})
	return names, !strings.ContainsAny(rest, "{}$")
}

func placeholder() *regexp.Regexp { return regexp.MustCompile(`\{[a-z][a-z0-9_.-]*\}`) }

// noParam says that a job has no such parameter, and which one was meant.
func (b *builder) noParam(j *bellhop.Job, name string) string {
	var names []string
	for _, p := range j.Params {
		names = append(names, p.Name)
	}
	text := "job " + shorten(j.Name) + " has no parameter " + shorten(name)
	if near := nearest(name, names); near != "" {
		return text + "; did you mean " + shorten(near) + "?"
	}
	if len(names) == 0 {
		return text + ", and no other; name it in run: as {" + name + "}, or under params:"
	}
	return text + "; it has: " + strings.Join(names, ", ")
}
