package ui

import (
	crand "crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

func newKey() string { return crand.Text() }

// argField is what the names of arguments begin with in a form, so that none
// is taken for a field of its own.
const argField = "arg."

// arg is one argument, as people read it.
type arg struct{ Name, Value string }

func argList(args bellhop.Args) (all []arg) {
	for n, v := range args {
		all = append(all, arg{n, v.String()})
	}
	slices.SortFunc(all, func(a, b arg) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// formText is a value as it stands in a form: a list has a word on each line.
func formText(v bellhop.Value) string {
	if v.IsList() {
		return strings.Join(v.List, "\n")
	}
	return v.Text
}

// formValue is what a form's text means to a parameter; false: nothing was
// written, and the default is meant.
func formValue(p bellhop.Param, text string) (bellhop.Value, bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if p.Type == bellhop.TypeList {
		words := []string{}
		for w := range strings.SplitSeq(text, "\n") {
			if w = strings.TrimSpace(w); w != "" {
				words = append(words, w)
			}
		}
		return bellhop.List(words...), len(words) > 0 || p.Default == nil
	}
	return bellhop.Text(text), text != "" || p.Default == nil && p.Type == bellhop.TypeString
}

func (h *Handler) services(v *view) error {
	list, err := h.house.Services(v.ctx(), v.person)
	if err != nil {
		return err
	}
	return v.show("Services", servicesPage(v.page, list))
}

func (h *Handler) service(v *view) error {
	s, err := h.find(v)
	if err != nil {
		return err
	}
	return v.show(s.Name, servicePage(v.page, s))
}

// find returns the service that a path names, as far as the person sees it.
func (h *Handler) find(v *view) (bellhop.Service, error) {
	name := strings.ToLower(v.r.PathValue("service"))
	list, err := h.house.Services(v.ctx(), v.person)
	if err != nil {
		return bellhop.Service{}, err
	}
	for _, s := range list {
		if s.Name == name {
			return s, nil
		}
	}
	return bellhop.Service{}, bellhop.Errorf(bellhop.NotFound, "there is no service %.60q that you may use", name)
}

// field is one of a form's, with what was written and what is wrong with it.
type field struct {
	bellhop.Param
	Text  string
	Fault string
}

// jobData is the page of a job with its form.
type jobData struct {
	Service bellhop.Service
	Job     bellhop.Job
	Entries []bellhop.Entry // that ask for it
	Fields  []field
	Key     string
	Fault   string
	Days    []ended        // the last 30
	Right   *bellhop.Right // why the viewer may have it done
	Alone   []asksAlone    // what asks for it without anybody
}

// asksAlone is what asks for a job without anybody's asking.
type asksAlone struct{ Kind, Name, Path, Text string }

// alone are the schedules and webhooks of a job that somebody sees.
func (h *Handler) alone(v *view, service, job string) (all []asksAlone, err error) {
	schedules, err := h.house.Schedules(v.ctx(), v.person)
	if err != nil {
		return nil, err
	}
	for _, s := range schedules {
		if s.Service == service && s.Job == job {
			all = append(all, asksAlone{"schedule", s.Name, "/schedules", s.Cron})
		}
	}
	hooks, err := h.house.Webhooks(v.ctx(), v.person)
	if err != nil {
		return nil, err
	}
	for _, w := range hooks {
		if w.Service == service && w.Job == job {
			all = append(all, asksAlone{"webhook", w.Name, "/hooks/" + w.Service + "/" + w.Name, strings.TrimSpace(string(w.Proof) + " " + w.Repo)})
		}
	}
	for _, b := range h.house.Brokers(v.ctx(), v.person) {
		if b.Service == service && b.Job == job {
			all = append(all, asksAlone{"broker", b.Name, "", string(b.Kind)})
		}
	}
	return all, nil
}

func (h *Handler) findJob(v *view) (d jobData, err error) {
	if d.Service, err = h.find(v); err != nil {
		return d, err
	}
	name := strings.ToLower(v.r.PathValue("job"))
	job, ok := d.Service.Job(name)
	if !ok {
		return d, bellhop.Errorf(bellhop.NotFound, "service %s has no job %.60q that you may have done", d.Service.Name, name)
	}
	d.Job, d.Key = *job, newKey()
	buckets, err := h.house.Tally(v.ctx(), v.person, v.page.now.Add(-29*24*time.Hour), 24*time.Hour, d.Service.Name, name)
	if err != nil {
		return d, err
	}
	d.Days = endedIn(buckets)
	if d.Alone, err = h.alone(v, d.Service.Name, name); err != nil {
		return d, err
	}
	rights, err := h.house.Rights(v.ctx(), v.person, "")
	if err != nil {
		return d, err
	}
	for i, r := range rights.List {
		if r.Service == d.Service.Name && r.Job == name {
			d.Right = &rights.List[i]
		}
	}
	for _, e := range d.Service.Entries {
		if e.Job == name {
			d.Entries = append(d.Entries, e)
		}
	}
	return d, nil
}

func (h *Handler) job(v *view) error {
	d, err := h.findJob(v)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	for _, p := range d.Job.Params {
		f := field{Param: p}
		if q.Has(argField + p.Name) {
			f.Text = q.Get(argField + p.Name)
		} else if p.Default != nil {
			f.Text = formText(*p.Default)
		}
		d.Fields = append(d.Fields, f)
	}
	return v.show(d.Service.Name+" "+d.Job.Name, jobPage(v.page, d))
}

// ask has a job done with the arguments of a form. With a fault, the form is
// shown again as it was filled in, and says what is wrong where.
func (h *Handler) ask(v *view) error {
	d, err := h.findJob(v)
	if err != nil {
		return err
	}
	args, bad := bellhop.Args{}, false
	for _, p := range d.Job.Params {
		f := field{Param: p, Text: v.r.PostFormValue(argField + p.Name)}
		if value, given := formValue(p, f.Text); given {
			if err := p.Check(value); err != nil {
				f.Fault, bad = err.Error(), true
			}
			args[p.Name] = value
		} else if p.Default == nil {
			f.Fault, bad = "this is needed", true
		}
		d.Fields = append(d.Fields, f)
	}
	d.Key = v.key()
	status := http.StatusUnprocessableEntity
	if !bad {
		to, err := h.askFor(v, d, args)
		if err == nil {
			http.Redirect(v.w, v.r, to, http.StatusSeeOther)
			return nil
		}
		if code := bellhop.CodeOf(err); code != bellhop.Invalid && code != bellhop.NotAllowed && code != bellhop.Conflict {
			return err
		}
		d.Fault, status = err.Error(), http.StatusForbidden
	}
	v.page.Title = d.Service.Name + " " + d.Job.Name
	return v.page.show(v.w, v.r, status, jobPage(v.page, d))
}

// askFor returns where what was asked for is seen.
func (h *Handler) askFor(v *view, d jobData, args bellhop.Args) (to string, err error) {
	bound, err := h.house.Bind(v.ctx(), v.person, d.Service.Name, d.Job.Name, args)
	if err != nil {
		return "", err
	}
	a, err := v.do(d.Key, bellhop.Invocation{Action: bellhop.ActionRun, Service: d.Service.Name, Job: d.Job.Name, Args: bound, OnRepeat: bellhop.OnRepeatQueue})
	if err != nil {
		return "", err
	}
	return "/runs/" + url.PathEscape(a.Accepted.Run.String()), nil
}
