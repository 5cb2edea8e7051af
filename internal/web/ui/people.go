package ui

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Rights is what somebody may do, and why.
type Rights struct {
	Who   bellhop.Principal
	Known string // how the gate knows them, for people
	List  []bellhop.Right
}

// personData is everything about one person.
type personData struct {
	Rights
	Own      bool // whoever looks
	Admin    bool // they are one
	Sessions []bellhop.Session
	Current  string // the session that looks
	Back     string
}

// peopleData is who there is, and who may do what.
type peopleData struct {
	Access   bellhop.Access
	Services []bellhop.Service
	Groups   []groupOf
}

type groupOf struct {
	Name    string
	Members []string
}

func (h *Handler) peopleRoutes() {
	h.get("/me", h.me)
	h.get("/people", h.people)
	h.post("/sessions/{id}/end", h.endSession)
}

func (h *Handler) me(v *view) error {
	r, err := h.house.Rights(v.ctx(), v.person, "")
	if err != nil {
		return err
	}
	d := personData{Rights: r, Own: true, Admin: v.page.Admin, Current: v.s.ID, Back: "/me"}
	if err := h.sessionsOf(v, &d); err != nil {
		return err
	}
	return v.show("You", personPage(v.page, d))
}

// sessionsOf finds those of the person who is shown.
func (h *Handler) sessionsOf(v *view, d *personData) error {
	all, err := h.house.Sessions(v.ctx(), v.person)
	for _, s := range all {
		if s.Principal == d.Who.Principal() {
			d.Sessions = append(d.Sessions, s)
		}
	}
	return err
}

func (h *Handler) people(v *view) error {
	access, services, err := h.house.Access(v.ctx(), v.person)
	if err != nil {
		return err
	}
	if as := v.query("who"); as != "" {
		d := personData{Current: v.s.ID, Back: v.r.URL.RequestURI()}
		if d.Rights, err = h.house.Rights(v.ctx(), v.person, as); err != nil {
			return err
		}
		d.Admin = h.house.Manages(v.ctx(), d.Who.Person)
		if err := h.sessionsOf(v, &d); err != nil {
			return err
		}
		return v.show(d.Who.Principal(), personPage(v.page, d))
	}
	return v.show("People", peoplePage(v.page, peopleData{access, services, groupsOf(access.People)}))
}

func groupsOf(people []bellhop.Member) (all []groupOf) {
	members := map[string][]string{}
	for _, m := range people {
		for _, g := range m.Groups {
			members[g] = append(members[g], m.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		all = append(all, groupOf{name, members[name]})
	}
	return all
}

func (h *Handler) endSession(v *view) error {
	id := v.r.PathValue("id")
	if err := h.house.EndSession(v.ctx(), v.person, id); err != nil {
		return err
	}
	if id == v.s.ID {
		h.setCookie(v.w, v.r, "")
		if part(v.r) {
			v.w.Header().Set("HX-Redirect", "/login")
			return nil
		}
		http.Redirect(v.w, v.r, "/login", http.StatusSeeOther)
		return nil
	}
	return v.did("The session has ended.", here(v.r.PostFormValue("back")))
}

// ruleText is a rule in words: "allow group ops, from ssh, when env=staging".
func ruleText(r bellhop.Rule) string {
	var who []string
	for _, g := range r.Groups {
		if g == bellhop.GroupInternal {
			who = append(who, "internal people")
			continue
		}
		who = append(who, "group "+g)
	}
	who = append(who, r.People...)
	if len(who) == 0 {
		who = []string{"everybody"}
	}
	text := "allow "
	if r.Refuse {
		text = "refuse "
	}
	text += strings.Join(who, " or ")
	if len(r.Sources) > 0 {
		text += ", from " + strings.Join(r.Sources, " or ")
	}
	if len(r.In) > 0 {
		text += ", in " + strings.Join(r.In, " or ")
	}
	return text + whenText(r.When)
}

func whenText(when map[string][]string) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(when)) {
		text += ", when " + name + " is " + strings.Join(when[name], " or ")
	}
	return text
}

// approveText is an approval in words.
func approveText(a bellhop.Approve) string {
	by := strings.Join(a.By, " or ")
	if a.Count > 1 {
		by = fmt.Sprintf("%d of %s", a.Count, by)
	}
	text := "approved by " + by
	if a.Self {
		text += ", who asked included"
	}
	return text + whenText(a.When)
}

// openText says who may use a service that has no rules.
func openText(s bellhop.Service) string {
	if s.Restricted {
		return "restricted: internal people alone"
	}
	return "open to everybody"
}

// placeText is where something stands: bellhop.yaml:12.
func placeText(pos bellhop.Position) string {
	if pos.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", path.Base(pos.File), pos.Line)
}

func dash(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
