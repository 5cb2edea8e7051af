package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// catalog is an activated configuration, with what every ask needs at hand.
type catalog struct {
	*bellhop.Catalog
	services map[string]*bellhop.Service
	jobs     map[jobName]*offer
	entries  map[jobName]*bellhop.Entry // by the names of service and entry
	people   map[string]*bellhop.Member // by identity
	ruled    map[string]bool            // services of which a job or a command has rules

	schedules map[string][]*bellhop.Schedule    // by service
	webhooks  map[string][]*bellhop.Webhook     // by service
	brokers   map[string][]*bellhop.Broker      // by service
	sources   map[string][]*bellhop.SourceEntry // by service
}

type jobName struct{ service, job string }

// offer is a job as new runs of it are made.
type offer struct {
	job    *bellhop.Job
	title  string // SERVICE JOB, for people
	lane   string // the concurrency key, unless the job has a template
	digest string
	names  []string // of its parameters, sorted
	alike  bool     // some entry rejects what is asked for already

	entries []*bellhop.Entry // that ask for its runs
	ruled   bool             // some of them have rules
}

func newCatalog(cat *bellhop.Catalog) *catalog {
	c := &catalog{
		Catalog: cat, services: make(map[string]*bellhop.Service), jobs: make(map[jobName]*offer),
		entries: make(map[jobName]*bellhop.Entry), people: make(map[string]*bellhop.Member), ruled: make(map[string]bool),
		schedules: make(map[string][]*bellhop.Schedule), webhooks: make(map[string][]*bellhop.Webhook),
		brokers: make(map[string][]*bellhop.Broker), sources: make(map[string][]*bellhop.SourceEntry),
	}
	for i := range cat.Access.People {
		m := &cat.Access.People[i]
		for _, identity := range m.Identities {
			c.people[identity] = m
		}
	}
	for i := range cat.Services {
		s := &cat.Services[i]
		c.services[s.Name] = s
		for j := range s.Webhooks {
			c.webhooks[s.Name] = append(c.webhooks[s.Name], &s.Webhooks[j])
		}
		for j := range s.Brokers {
			c.brokers[s.Name] = append(c.brokers[s.Name], &s.Brokers[j])
		}
		for j := range s.Sources {
			c.sources[s.Name] = append(c.sources[s.Name], &s.Sources[j])
		}
		for j := range s.Schedules {
			c.schedules[s.Name] = append(c.schedules[s.Name], &s.Schedules[j])
		}
		for j := range s.Jobs {
			job := &s.Jobs[j]
			o := &offer{job: job, title: s.Name + " " + job.Name, lane: s.Name + "/" + job.Name, digest: job.Digest()}
			for _, p := range job.Params {
				o.names = append(o.names, p.Name)
			}
			slices.Sort(o.names)
			if len(job.Allow) > 0 {
				c.ruled[s.Name] = true
			}
			c.jobs[jobName{s.Name, job.Name}] = o
		}
		for k := range s.Entries {
			entry := &s.Entries[k]
			c.entries[jobName{s.Name, entry.Name}] = entry
			o := c.jobs[jobName{s.Name, entry.Job}]
			if len(entry.Allow) > 0 {
				c.ruled[s.Name] = true
			}
			if o == nil || entry.Action != bellhop.ActionRun && entry.Action != "" {
				continue
			}
			o.entries = append(o.entries, entry)
			o.ruled = o.ruled || len(entry.Allow) > 0
			o.alike = o.alike || entry.OnRepeat == bellhop.OnRepeatReject
		}
	}
	return c
}

// definitions returns what the store must know before runs name it.
func (c *catalog) definitions() []bellhop.Definition {
	defs := make([]bellhop.Definition, 0, len(c.jobs))
	for i := range c.Services {
		for j := range c.Services[i].Jobs {
			job := &c.Services[i].Jobs[j]
			defs = append(defs, bellhop.Definition{Digest: c.jobs[jobName{c.Services[i].Name, job.Name}].digest, Job: *job})
		}
	}
	return defs
}

// offer returns a job of the catalog.
func (c *catalog) offer(service, job string) (*offer, error) {
	if o := c.jobs[jobName{service, job}]; o != nil {
		return o, nil
	}
	return nil, bellhop.Errorf(bellhop.NotFound, "there is no job %s %s in the configuration (see: help)", service, job)
}

// zone is where people say times.
func (c *catalog) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

// spec returns a run of the job: with arguments that were checked, and with
// what the job says of each of its runs.
func (o *offer) spec(args bellhop.Args, start time.Time) bellhop.RunSpec {
	s := bellhop.RunSpec{
		Service: o.job.Service, Job: o.job.Name, Digest: o.digest, Args: args, Start: start,
		ConcurrencyKey: o.concurrencyKey(args), Concurrency: o.job.Concurrency,
		Priority: o.job.Priority, Deadline: o.job.Deadline,
	}
	if o.alike {
		s.AlikeKey = o.alikeKey(args)
	}
	return s
}

// mergeKey is equal for runs of the same definition and arguments.
func (o *offer) mergeKey(args bellhop.Args) string { return o.key(o.digest, args) }

// alikeKey is equal for runs of the same job and arguments, whatever the
// definition was when they were asked for.
func (o *offer) alikeKey(args bellhop.Args) string {
	return o.key(o.lane, args)
}

// key is a digest of arguments. Every text goes in with its length, so that
// none can pass for another.
func (o *offer) key(of string, args bellhop.Args) string {
	names := o.names
	if !holds(args, names) { // an engine does not rely on who bound them
		names = slices.Sorted(maps.Keys(args))
	}
	var room [512]byte
	b := appendText(room[:0], of)
	for _, name := range names {
		v := args[name]
		b = appendText(b, name)
		if !v.IsList() {
			b = appendText(append(b, 't'), v.Text)
			continue
		}
		b = binary.AppendUvarint(append(b, 'l'), uint64(len(v.List)))
		for _, w := range v.List {
			b = appendText(b, w)
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// holds reports whether args are exactly those named.
func holds(args bellhop.Args, names []string) bool {
	if len(args) != len(names) {
		return false
	}
	for _, name := range names {
		if _, ok := args[name]; !ok {
			return false
		}
	}
	return true
}

// concurrencyKey is what a job's runs take turns by: the job itself, or the
// configured template, which jobs of one service may share.
func (o *offer) concurrencyKey(args bellhop.Args) string {
	if o.job.ConcurrencyKey == "" {
		return o.lane
	}
	key := o.job.Service + ":" + fill(o.job.ConcurrencyKey, args)
	if len(key) <= maxConcurrencyKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	cut := maxConcurrencyKey - 2*len(sum) - 1
	return strings.ToValidUTF8(key[:cut], "") + "~" + hex.EncodeToString(sum[:])
}

// maxConcurrencyKey is the longest concurrency key that is kept as it is, in
// bytes; of a longer one, the beginning and a hash.
const maxConcurrencyKey = 200

// fill replaces each {name} in a template by that argument, once; what names
// no argument stays as it is.
func fill(template string, args bellhop.Args) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		v, known := args[name]
		if !closed || !known {
			b.WriteByte('{')
			template = rest
			continue
		}
		b.WriteString(v.String())
		template = after
	}
}

// definitions remembers checked definitions, which never change.
type definitions struct {
	mu sync.RWMutex
	by map[string]*bellhop.Job // digest
}

// maxDefinitions bounds what is remembered.
const maxDefinitions = 10_000

// definition returns a job's checked definition by its digest. It is not to be
// changed.
func (e *Engine) definition(ctx context.Context, digest string) (*bellhop.Job, error) {
	e.defs.mu.RLock()
	known := e.defs.by[digest]
	e.defs.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	job, err := e.store.Definitions.Definition(ctx, digest)
	if err != nil {
		return nil, err
	}
	e.defs.mu.Lock()
	defer e.defs.mu.Unlock()
	if e.defs.by == nil || len(e.defs.by) > maxDefinitions { // reloaded very often: begin anew rather than grow
		e.defs.by = make(map[string]*bellhop.Job)
	}
	e.defs.by[digest] = &job
	return &job, nil
}
