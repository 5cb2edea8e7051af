package config_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
)

func full(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func loadFull(t *testing.T, text string) (*config.Config, string) {
	t.Helper()
	dir := write(t, map[string]string{"bellhop.yaml": text})
	env := map[string]string{"STORE": "data/x", "PORT": "2200"}
	cfg, faults, err := config.Load(filepath.Join(dir, "bellhop.yaml"), options(env))
	if err != nil || len(faults) > 0 {
		t.Fatalf("%v\n%s", err, lines(faults))
	}
	return cfg, dir
}

func TestFullSettings(t *testing.T) {
	cfg, dir := loadFull(t, full(t))
	for name, c := range map[string]struct{ got, want any }{
		"bot":       {cfg.Catalog.Bot, "robot"},
		"home":      {cfg.Home, dir},
		"files":     {cfg.Files, []string{filepath.Join(dir, "bellhop.yaml")}},
		"store":     {cfg.Store, config.Store{Kind: "sqlite", Path: filepath.Join(dir, "data/x.db")}},
		"time zone": {cfg.Location.String(), "Europe/London"},
		"zone":      {cfg.Catalog.Zone, cfg.Location},
		"keep":      {cfg.Catalog.Keep, bellhop.Keep{Runs: -1, Output: 60 * 24 * time.Hour, MaxOutput: 1e12}},
		"lease":     {cfg.Lease, 10 * time.Second},
		"grace":     {cfg.Grace, time.Minute},
		"runner":    {cfg.Runner, config.Runner{Slots: 4, KillAfter: 2 * time.Second}},
		"log":       {cfg.Log, config.Log{Level: slog.LevelDebug, Format: "json"}},
		"chats":     {len(cfg.Chats), 2},
		"ssh": {*cfg.Chats[0].SSH, config.SSH{Listen: "127.0.0.1:2200", AuthorizedKeys: filepath.Join(dir, "keys/authorized"),
			TrustedUserCA: "/etc/ssh/ca.pub", HostKey: filepath.Join(dir, "keys/host")}},
		"inside": {*cfg.Chats[1].SSH, config.SSH{Listen: "10.0.0.1:2222", AuthorizedKeys: filepath.Join(dir, "authorized_keys"),
			HostKey: filepath.Join(dir, ".bellhop/ssh_host_ed25519_key")}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

func TestFullJobs(t *testing.T) {
	cfg, _ := loadFull(t, full(t))
	s, _ := cfg.Catalog.Service("example")
	if s.Description != "Costs $5, or ${nothing}" || !s.Restricted || !s.NoPrefix {
		t.Errorf("service %+v", s)
	}
	job := func(name string) *bellhop.Job { j, _ := s.Job(name); return j }
	deploy := job("deploy")
	ten, seven, dash := bellhop.Text("1.10"), bellhop.Text("7"), bellhop.Text("-x")
	words := bellhop.List("a", "1.10", "no")
	want := bellhop.Job{
		Service: "example", Name: "deploy", Executor: "shell", Spec: deploy.Spec, Help: "Deploys",
		Params: []bellhop.Param{
			{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging", "production", "1.10", "yes", "2026-01-31"}, Default: &ten, Help: "Where to"},
			{Name: "n", Type: bellhop.TypeInt, Min: "1", Max: "0010", Default: &seven},
			{Name: "words", Type: bellhop.TypeList, Default: &words, Dash: true},
			{Name: "code", Type: bellhop.TypePattern, Pattern: "[a-z]{3}", As: bellhop.AsFile},
			{Name: "note", Type: bellhop.TypeString, Min: "0", Max: "200", As: bellhop.AsStdin, Default: &dash},
		},
		Env:     map[string]string{"REGION": "us", "PORT": "08080", "PRICE": "$5", "HOME_OF": "2200!"},
		Timeout: 36 * time.Hour, Concurrency: 1, ConcurrencyKey: "deploy-{env}-{n}", OnCrash: bellhop.CrashFail, MaxOutput: 64000,
		Priority: 9, Deadline: 10 * time.Minute, Keep: bellhop.Keep{Runs: 7 * 24 * time.Hour, Output: 24 * time.Hour},
		Retries: bellhop.Retries{Max: 3, Backoff: time.Minute, Factor: 1.5, On: []string{"1", "75", "timeout", "not_started"}},
		Report:  bellhop.ReportRule{Stdout: true, Format: bellhop.FormatCode, SuppressEmpty: true, OnChange: true, Base64: true},
	}
	if !reflect.DeepEqual(*deploy, want) {
		t.Errorf("deploy is\n%+v\nwant\n%+v", *deploy, want)
	}
	hello := job("hello")
	if hello.Concurrency != 1 || hello.OnCrash != bellhop.CrashRerun || hello.MaxOutput != 0 || hello.Priority != bellhop.DefaultPriority || hello.Deadline != 0 || hello.Keep != (bellhop.Keep{}) || hello.Retries.Max != 0 || hello.Then != nil || hello.Report != (bellhop.ReportRule{Stdout: true, Success: true, Format: bellhop.FormatText}) {
		t.Errorf("hello has other defaults: %+v", hello)
	}
	if f := job("free"); f.Concurrency != 0 || f.Env["REGION"] != "eu" || f.Params[0].Name != "c" {
		t.Errorf("free is %+v", f)
	}
	if f := job("fetched"); f.Concurrency != 3 || len(f.Params) != 2 || !reflect.DeepEqual(f.Params[0], bellhop.Param{Name: "arg.one", Type: bellhop.TypeString}) {
		t.Errorf("fetched is %+v", f)
	}
	if twin := job("twin"); twin.Help != "Deploys too" || twin.Timeout != deploy.Timeout {
		t.Errorf("twin is %+v", twin)
	}
	for name, want := range map[string]bellhop.JobSource{
		"hello":   {Service: "example", Script: "echo Hello", Dir: "workspace/other"},
		"deploy":  {Service: "example", Argv: []string{"./deploy.sh", "{env}", "{n}"}, Dir: "elsewhere", Params: want.Params},
		"fetched": {Service: "example", Script: "set -e\n\ntool {arg.one} \"{b}\"\n", Shell: "sh", Dir: "workspace/other", ScriptURL: "https://example.com/tool", SHA256: strings.Repeat("0123456789abcdef", 4)},
	} {
		var src bellhop.JobSource
		if err := json.Unmarshal(job(name).Spec, &src); err != nil || !reflect.DeepEqual(src, want) {
			t.Errorf("%s was compiled from\n%+v\nwant\n%+v (%v)", name, src, want, err)
		}
	}
}

func TestFullCommands(t *testing.T) {
	cfg, dir := loadFull(t, full(t))
	s, _ := cfg.Catalog.Service("example")
	e := s.Entries
	if len(e) != 13 {
		t.Fatalf("%d entries", len(e))
	}
	for i := range e {
		if e[i].Pos.File != filepath.Join(dir, "bellhop.yaml") || e[i].Pos.Line < 50 || e[i].Pos.Col < 9 || e[i].Name == "" {
			t.Errorf("entry %d: %q at %v", i, e[i].Name, e[i].Pos)
		}
		e[i].Pos = bellhop.Position{}
	}
	if len(e[0].Name) != 12 || e[0].Name == e[2].Name {
		t.Errorf("digests %q, %q", e[0].Name, e[2].Name)
	}
	want := []bellhop.Entry{
		{Service: "example", Name: e[0].Name, Pattern: "say hello", Help: "Says hello", Action: bellhop.ActionRun, Job: "hello", Delay: time.Second},
		{Service: "example", Name: "go", Pattern: "deploy [env] [n] [code] [note]", Aliases: []string{"ship [env] [n] [code] [note]"}, Action: bellhop.ActionRun, Job: "deploy",
			Args: bellhop.Args{"words": bellhop.List("--x", "0x10", "2026-01-31")}},
		{Service: "example", Name: e[2].Name, Pattern: "deploy again [n]", Action: bellhop.ActionRun, Job: "deploy",
			Args: bellhop.Args{"env": bellhop.Text("yes"), "code": bellhop.Text("abc"), "note": bellhop.Text("007"), "words": bellhop.List()}},
		{Service: "example", Name: e[3].Name, Regex: "(?i)tool (?P<b>.*)", Action: bellhop.ActionRun, Job: "fetched", Args: bellhop.Args{"arg.one": bellhop.Text("{b}")}},
		{Service: "example", Name: e[4].Name, Pattern: "deploy cancel", Action: bellhop.ActionCancel, Job: "deploy", Running: true, Args: bellhop.Args{"env": bellhop.Text("staging")}},
		{Service: "example", Name: e[5].Name, Pattern: "block [ip]", Action: bellhop.ActionRun, Job: "block", Delay: time.Minute, MaxDelay: 10 * time.Minute, OnRepeat: bellhop.OnRepeatMerge, Priority: new(0)},
		{Service: "example", Name: e[6].Name, Pattern: "block [ip] now", Action: bellhop.ActionRun, Job: "block", OnRepeat: bellhop.OnRepeatReject},
		{Service: "example", Name: e[7].Name, Pattern: "hold [ip] from [from] to [until]", Action: bellhop.ActionSuppress, Job: "block"},
		{Service: "example", Name: e[8].Name, Pattern: "hold all", Action: bellhop.ActionSuppress, Args: bellhop.Args{"from": bellhop.Text("22:00"), "until": bellhop.Text("06:00")}},
		{Service: "example", Name: e[9].Name, Pattern: "let go", Action: bellhop.ActionUnsuppress},
		{Service: "example", Name: e[10].Name, Pattern: "halt", Action: bellhop.ActionPause},
		{Service: "example", Name: e[11].Name, Pattern: "go on [ip]", Action: bellhop.ActionResume, Job: "block"},
		{Service: "example", Name: e[12].Name, Pattern: "hold [ip] for a while", Action: bellhop.ActionSuppress, Job: "block", Args: bellhop.Args{"until": bellhop.Text("2h")}},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("entries are\n%+v\nwant\n%+v", e, want)
	}
}

func TestFullFollows(t *testing.T) {
	cfg, _ := loadFull(t, full(t))
	s, _ := cfg.Catalog.Service("example")
	for name, want := range map[string]bellhop.Job{
		"block": {
			Then:      []bellhop.Follow{{Job: "unblock", Delay: time.Hour, On: bellhop.FollowSuccess}},
			OnFailure: bellhop.OnFailure{Notify: []string{"alice"}}, Priority: 5,
		},
		"unblock": {
			Then: []bellhop.Follow{
				{Job: "note", Args: bellhop.Args{"text": bellhop.Text("{ip} is free again, {{ip}}"), "hosts": bellhop.List("{ip}", "7")}, On: bellhop.FollowAlways},
				{Job: "block", Delay: time.Minute, On: bellhop.FollowFailure},
			},
			OnFailure: bellhop.OnFailure{Notify: []string{"alice", "bob"}, Job: "note", Args: bellhop.Args{"text": bellhop.Text(`failed: {"ip": "{ip}"}`)}},
		},
		"note": {
			Retries: bellhop.Retries{Max: 1, Backoff: 10 * time.Second, Factor: 2, Jitter: 0.1, On: []string{"2"}},
			Keep:    bellhop.Keep{Runs: -1}, Priority: 5,
		},
	} {
		j, _ := s.Job(name)
		got := bellhop.Job{Then: j.Then, OnFailure: j.OnFailure, Retries: j.Retries, Keep: j.Keep, Priority: j.Priority}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is\n%+v\nwant\n%+v", name, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, "services: {}\n")
	const day = 24 * time.Hour
	if cfg.Catalog.Keep != (bellhop.Keep{Runs: 90 * day, Output: 30 * day, MaxOutput: 5e9}) || cfg.Catalog.Zone != nil {
		t.Errorf("keeps %+v, zone %v", cfg.Catalog.Keep, cfg.Catalog.Zone)
	}
	if cfg.Catalog.Bot != "bellhop" || cfg.Store != (config.Store{Kind: "sqlite", Path: filepath.Join(cfg.Home, "bellhop.db")}) ||
		cfg.Location != time.Local || cfg.Runner != (config.Runner{Slots: 16, KillAfter: 5 * time.Second}) ||
		cfg.Lease != 30*time.Second || cfg.Grace != 30*time.Second || cfg.Log != (config.Log{Format: "text"}) || len(cfg.Chats) != 0 {
		t.Errorf("defaults are %+v", cfg)
	}
}

// Output goes with its run at the latest, and no run is kept for less than what
// is said.
func TestKeep(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		written string
		want    bellhop.Keep
	}{
		{"{runs: 7d}", bellhop.Keep{Runs: 7 * day, Output: 7 * day, MaxOutput: 5e9}},
		{"{runs: 60d}", bellhop.Keep{Runs: 60 * day, Output: 30 * day, MaxOutput: 5e9}},
		{"{runs: never}", bellhop.Keep{Runs: -1, Output: 30 * day, MaxOutput: 5e9}},
		{"{runs: never, output: never, max_output: unlimited}", bellhop.Keep{Runs: -1, Output: -1}},
		{"{output: 12h, max_output: 2TiB}", bellhop.Keep{Runs: 90 * day, Output: day / 2, MaxOutput: 2 << 40}},
		{"{}", bellhop.Keep{Runs: 90 * day, Output: 30 * day, MaxOutput: 5e9}},
	} {
		if got := mustLoad(t, "keep: "+c.written+"\n").Catalog.Keep; got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.written, got, c.want)
		}
	}
}

// An entry's name is the same after everything around it has changed, and
// another one when what it asks for has.
func TestEntryNames(t *testing.T) {
	name := func(command string) string {
		cfg := mustLoad(t, "services: {ex: {jobs: {a: {run: 'x {n}'}, b: {run: 'x {n}'}}, commands: ["+command+"]}}")
		return cfg.Catalog.Services[0].Entries[0].Name
	}
	base := name("{command: go, job: a, args: {n: 1}}")
	if other := name("{help: Goes, job: a, command: go, delay: 5s, args: {n: 1}}"); other != base {
		t.Errorf("help and delay changed the name: %s, %s", base, other)
	}
	for _, c := range []string{"{command: go, job: b, args: {n: 1}}", "{command: go, job: a, args: {n: 2}}", "{command: went, job: a, args: {n: 1}}",
		"{regex: go, job: a, args: {n: 1}}", "{command: go, action: cancel, job: a, args: {n: 1}}"} {
		if name(c) == base {
			t.Errorf("%s has the name of another entry", c)
		}
	}
}

func TestDigest(t *testing.T) {
	base, _ := loadFull(t, full(t))
	digest := func(text string) string {
		cfg, dir := loadFull(t, text)
		cfg.Home, cfg.Path, cfg.Files = base.Home, base.Path, base.Files
		cfg.Store.Path = strings.Replace(cfg.Store.Path, dir, base.Home, 1)
		for _, c := range cfg.Chats {
			for _, p := range []*string{&c.SSH.AuthorizedKeys, &c.SSH.HostKey} {
				*p = strings.Replace(*p, dir, base.Home, 1)
			}
		}
		return cfg.Digest()
	}
	if digest("# another comment\n\n"+full(t)) != base.Digest() {
		t.Error("a comment changed the digest")
	}
	for _, c := range []string{"lease: 10s", "Says hello", "help: Deploys\n", "run: echo Hello", "[./deploy.sh, ", "delay: 1s"} {
		if digest(strings.Replace(full(t), c, strings.NewReplacer("10s", "11s", "hello", "hi", "Deploys", "Ships", "Hello", "Hi", "./", "../", "1s", "2s").Replace(c), 1)) == base.Digest() {
			t.Errorf("a change of %q did not change the digest", c)
		}
	}
}

// The catalog's digest is the same wherever the same is offered, and another
// one when anything of it changes.
func TestCatalogDigest(t *testing.T) {
	base, _ := loadFull(t, full(t))
	if len(base.Catalog.Digest) != 32 {
		t.Errorf("digest %q", base.Catalog.Digest)
	}
	digest := func(text string) string {
		cfg, _ := loadFull(t, text) // in a folder of its own
		return cfg.Catalog.Digest
	}
	for _, same := range []string{"# another comment\n\n" + full(t), strings.Replace(full(t), "lease: 10s", "lease: 11s", 1), strings.Replace(full(t), "sqlite:${STORE}.db", "postgres://h/x", 1)} {
		if digest(same) != base.Catalog.Digest {
			t.Errorf("another digest of %.60q", same)
		}
	}
	for _, c := range []struct{ old, now string }{
		{"bot: robot", "bot: rebot"}, {"Europe/London", "Europe/Paris"}, {"runs: never, output: 60d", "runs: 91d, output: 60d"}, {"1TB", "2TB"},
		{"Costs $5", "Costs $6"}, {"restricted: yes", "restricted: no"}, {"    prefix: none\n", ""}, {"run: echo Hello", "run: echo Hi"},
		{"help: Where to", "help: Whereto"}, {"help: Deploys\n", "help: Ships\n"}, {"priority: 9", "priority: 8"}, {"deadline: 10m", "deadline: 11m"},
		{"factor: 1.5", "factor: 1.6"}, {"jitter: 0,", "jitter: 1,"}, {"{runs: 7d", "{runs: 8d"}, {"{job: unblock, delay: 1h}", "{job: unblock, delay: 2h}"},
		{"on: always", "on: success"}, {"notify: alice", "notify: carol"}, {"say hello,", "say hi,"}, {"Says hello", "Greets"}, {"delay: 1s", "delay: 2s"},
		{"max_delay: 10m", "max_delay: 11m"}, {"on_repeat: reject", "on_repeat: queue"}, {"merge, priority: 0", "merge, priority: 1"}, {`"22:00"`, `"23:00"`},
		{"action: pause", "action: resume"}, {"running: true, ", ""}, {"name: go", "name: gone"}, {`["ship [env]`, `["send [env]`},
	} {
		changed := strings.Replace(full(t), c.old, c.now, 1)
		if changed == full(t) {
			t.Errorf("%q is not there to be changed", c.old)
		}
		if digest(changed) == base.Catalog.Digest {
			t.Errorf("a change of %q to %q did not change the digest", c.old, c.now)
		}
	}
}

func TestNothingToRead(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		code bellhop.Code
		want string
	}{
		"missing file": {filepath.Join(dir, "x.yaml"), bellhop.NotFound, "`bellhop init` makes one"},
		"folder":       {dir, bellhop.Invalid, "is a folder; name the file in it, such as " + filepath.Join(dir, "bellhop.yaml")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, faults, err := config.Load(c.path, options(nil))
			if cfg != nil || faults != nil || bellhop.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v, %v", cfg, faults, err)
			}
		})
	}
	t.Chdir(dir)
	if _, _, err := config.Load("", config.Options{}); err == nil || !strings.HasPrefix(err.Error(), "there is no bellhop.yaml; ") {
		t.Errorf("got %v", err)
	}
}

func TestMissingCompiler(t *testing.T) {
	dir := write(t, map[string]string{"bellhop.yaml": "services: {ex: {jobs: {a: {run: x}}}}"})
	_, _, err := config.Load(filepath.Join(dir, "bellhop.yaml"), config.Options{})
	if bellhop.CodeOf(err) != bellhop.Internal {
		t.Errorf("got %v", err)
	}
}

func TestFullSchedules(t *testing.T) {
	cfg, dir := loadFull(t, full(t))
	s, _ := cfg.Catalog.Service("example")
	york, err := time.LoadLocation("America/New_York")
	if err != nil || len(s.Schedules) != 3 {
		t.Fatal(s.Schedules, err)
	}
	got := s.Schedules
	for i := range got {
		if got[i].Pos.File != filepath.Join(dir, "bellhop.yaml") || got[i].Pos.Line < 90 || got[i].Pos.Col != 9 {
			t.Errorf("schedule %d is at %v", i, got[i].Pos)
		}
		got[i].Pos = bellhop.Position{}
	}
	if name := regexp.MustCompile(`^s[0-9a-f]{12}$`); !name.MatchString(got[0].Name) || !name.MatchString(got[2].Name) || got[0].Name == got[2].Name {
		t.Errorf("names %q, %q", got[0].Name, got[2].Name)
	}
	want := []bellhop.Schedule{
		{Service: "example", Name: got[0].Name, Cron: "0 6 * * 1-5", Job: "hello", Args: bellhop.Args{}, Missed: bellhop.MissedOne, Overlap: bellhop.OverlapSkip, ReportTo: "alice"},
		{
			Service: "example", Name: "night", Cron: "@every 90m", Zone: "America/New_York", Job: "deploy",
			Args: bellhop.Args{
				"env": bellhop.Text("yes"), "code": bellhop.Text("abc"), "n": bellhop.Text("9"), "words": bellhop.List("a", "1.10"), "note": bellhop.Text("-x"),
			},
			Jitter: 5 * time.Minute, Missed: bellhop.MissedAll, Overlap: bellhop.OverlapCancel,
			From: time.Date(2026, 12, 1, 0, 0, 0, 0, york), Until: time.Date(2026, 12, 24, 18, 0, 0, 0, york), Paused: true, ReportTo: "bob",
		},
		{
			Service: "example", Name: got[2].Name, Cron: "@daily", Job: "block", Args: bellhop.Args{"ip": bellhop.Text("10.0.0.1"), "why": bellhop.Text("none")},
			Missed: bellhop.MissedSkip, Overlap: bellhop.OverlapQueue, Until: time.Date(2027, 1, 1, 12, 30, 15, 0, time.UTC), ReportTo: "alice",
		},
	}
	for i := range want {
		if !got[i].From.Equal(want[i].From) || !got[i].Until.Equal(want[i].Until) {
			t.Errorf("schedule %d is from %s until %s", i, got[i].From, got[i].Until)
		}
		got[i].From, got[i].Until = want[i].From, want[i].Until // whatever zone they are kept in
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("schedule %d is\n%+v\nwant\n%+v", i, got[i], want[i])
		}
	}
	// The name follows from what it does, and from nothing else.
	text := full(t)
	for old, same := range map[string]bool{
		"job: hello}\n      - name: night": false, `"@daily", job: block`: true, "args: {ip: 10.0.0.1}": true, "missed: skip": true,
	} {
		changed := strings.Replace(text, old, map[string]string{
			"job: hello}\n      - name: night": "job: hello, timezone: Europe/Paris}\n      - name: night", `"@daily", job: block`: `"@hourly", job: block`,
			"args: {ip: 10.0.0.1}": "args: {ip: 10.0.0.2}", "missed: skip": "missed: all",
		}[old], 1)
		cfg, _ := loadFull(t, changed)
		s, _ := cfg.Catalog.Service("example")
		if (s.Schedules[0].Name == got[0].Name) != same {
			t.Errorf("%q: the first is called %s, was %s", old, s.Schedules[0].Name, got[0].Name)
		}
		if other := s.Schedules[2].Name == got[2].Name; other != (!same || old == "missed: skip") {
			t.Errorf("%q: the third is called %s, was %s", old, s.Schedules[2].Name, got[2].Name)
		}
	}
}
