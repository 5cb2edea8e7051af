package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// later has somebody want something said.
func (r *rig) later(person, key, text string, in time.Duration) bellhop.Later {
	r.t.Helper()
	now := r.clock.Now()
	l, err := r.c.Add(r.t.Context(), bellhop.Later{
		At: now.Add(in), Text: text, Key: key, Made: now, Person: bellhop.Person{Identity: person}, Origin: bellhop.Origin{Source: "ssh", Channel: "c"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// said is what was said since the last call.
func (r *rig) said() string {
	var list []string
	for _, l := range r.house.said {
		list = append(list, l.Text)
	}
	r.house.said = nil
	return strings.Join(list, " ")
}

func (r *rig) wantSaid(when, want string) {
	r.t.Helper()
	if got := r.said(); got != want {
		r.t.Errorf("%s: %q was said, want %q", when, got, want)
	}
}

// listed are the texts of what is to be said, and why others came to nothing.
func (r *rig) listed() string {
	r.t.Helper()
	all, err := r.c.Later(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var list []string
	for _, l := range all {
		text := l.Text
		if l.Failed != "" {
			text += "(" + l.Failed + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func TestLaterIsSaidOnceInOrder(t *testing.T) {
	r := newRig(t)
	r.later("ssh:a", "3", "third", 3*time.Minute)
	first := r.later("ssh:a", "1", "first", time.Minute)
	r.later("ssh:b", "2", "second", 2*time.Minute)
	if got := r.listed(); got != "first second third" {
		t.Errorf("listed: %s", got)
	}
	r.goOn(time.Minute - 400*time.Millisecond)
	r.wantSaid("before its time", "")
	if wait := r.c.Round(t.Context()); wait != 400*time.Millisecond {
		t.Errorf("it waits %s", wait)
	}
	r.goOn(400 * time.Millisecond)
	if len(r.house.said) != 1 || r.house.said[0].ID != first.ID || !r.house.said[0].At.Equal(first.At) || r.house.said[0].Person.Identity != "ssh:a" || r.house.said[0].Origin.Channel != "c" {
		t.Errorf("said: %+v", r.house.said)
	}
	r.wantSaid("at its time", "first")
	r.pass()
	r.c = r.new()
	r.goOn(10 * time.Minute)
	r.wantSaid("after a restart, late", "second third")
	r.pass()
	r.wantSaid("again", "")
	if got := r.listed(); got != "" {
		t.Errorf("still listed: %s", got)
	}
}

func TestSameEventIsTheSameWish(t *testing.T) {
	r := newRig(t)
	one := r.later("ssh:a", "k", "x", time.Minute)
	r.clock.set(r.clock.Now().Add(time.Second))
	if again := r.later("ssh:a", "k", "x", time.Minute); again.ID != one.ID || !again.At.Equal(one.At) {
		t.Errorf("%+v, and again %+v", one, again)
	}
	if other := r.later("ssh:a", "k2", "x", time.Minute); other.ID == one.ID {
		t.Error("another event is the same")
	}
	if got := r.listed(); got != "x x" {
		t.Errorf("listed: %s", got)
	}
	r.goOn(2 * time.Minute)
	r.wantSaid("in the end", "x x")
}

func TestLaterIsTakenBack(t *testing.T) {
	r := newRig(t)
	one := r.later("ssh:a", "1", "one", time.Minute)
	r.later("ssh:a", "2", "two", time.Minute)
	found, err := r.c.Find(t.Context(), strings.ToUpper(one.ID))
	if err != nil || found.Text != "one" {
		t.Fatal(found, err)
	}
	for range 2 {
		if err := r.c.Remove(t.Context(), found); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.c.Find(t.Context(), one.ID); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("it is found still: %v", err)
	}
	r.goOn(time.Minute)
	r.wantSaid("in the end", "two")

	// While what comes before it is being said.
	r.later("ssh:a", "3", "three", time.Minute)
	four := r.later("ssh:a", "4", "four", time.Minute+time.Second)
	r.house.onSay = func(l bellhop.Later) {
		if err := r.c.Remove(t.Context(), four); err != nil {
			t.Error(err)
		}
	}
	r.goOn(2 * time.Minute)
	r.wantSaid("taken back at the last moment", "three")
}

func TestLaterWhileTheHouseIsAway(t *testing.T) {
	r := newRig(t)
	r.later("slack:a", "1", "one", time.Minute)
	r.later("slack:b", "2", "two", 2*time.Minute)
	r.later("ssh:a", "3", "three", 3*time.Minute)
	r.house.says["one"] = errAway
	r.goOn(5 * time.Minute)
	r.wantSaid("while Slack is away", "three") // two after one, as they were asked for
	r.goOn(time.Hour)
	r.wantSaid("while it still is", "")
	if got := r.listed(); got != "one two" {
		t.Errorf("listed: %s", got)
	}
	clear(r.house.says)
	r.c = r.new()
	r.pass()
	r.wantSaid("once it is back", "one two")
	r.pass()
	r.wantSaid("again", "")
	r.later("ssh:a", "4", "four", time.Minute)
	r.later("ssh:a", "5", "five", 2*time.Minute)
	r.house.says["four"] = bellhop.Errorf(bellhop.Internal, "a fault")
	r.goOn(5 * time.Minute)
	r.wantSaid("after a fault of one of them", "five")
	clear(r.house.says)
	r.pass()
	r.wantSaid("and without", "four")
}

func TestLaterThatIsRefused(t *testing.T) {
	r := newRig(t)
	one := r.later("ssh:a", "1", "one", time.Minute)
	r.later("ssh:a", "2", "two", time.Minute)
	r.house.says["one"] = bellhop.Errorf(bellhop.NotAllowed, "no")
	r.goOn(time.Minute)
	r.wantSaid("at first", "two")
	if got := r.listed(); got != "one(no)" {
		t.Errorf("listed: %s", got)
	}
	clear(r.house.says)
	r.goOn(7*24*time.Hour - time.Second)
	if got := r.listed(); got != "one(no)" {
		t.Errorf("listed a week later: %s", got)
	}
	r.goOn(time.Second)
	r.wantSaid("allowed now", "")
	if got := r.listed(); got != "" {
		t.Errorf("listed after a week: %s", got)
	}
	r.house.says["one"] = bellhop.Errorf(bellhop.NotAllowed, "no")
	r.later("ssh:a", "1", "one", time.Minute)
	r.goOn(time.Minute)
	failed, err := r.c.Find(t.Context(), one.ID)
	if err != nil || failed.Failed != "no" {
		t.Fatal(failed, err)
	}
	if err := r.c.Remove(t.Context(), failed); err != nil || r.listed() != "" {
		t.Errorf("taken back, and still listed: %s, %v", r.listed(), err)
	}
}

// TestFailedCanNotBeWritten: it is said again, and refused again.
func TestFailedCanNotBeWritten(t *testing.T) {
	r := newRig(t)
	r.later("ssh:a", "1", "one", time.Minute)
	r.house.says["one"] = bellhop.Errorf(bellhop.NotAllowed, "no")
	r.values.before = 1
	r.goOn(time.Minute)
	if got := r.listed(); got != "one" {
		t.Errorf("listed: %s", got)
	}
	r.values.after = 1
	r.pass()
	r.pass()
	if got := r.listed(); got != "one(no)" {
		t.Errorf("listed: %s", got)
	}
}

func TestManyLater(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 130 {
		text := fmt.Sprintf("n%03d", i)
		want = append(want, text)
		r.later(fmt.Sprintf("ssh:a%d", i%2), text, text, time.Minute+time.Duration(i)*time.Millisecond)
	}
	for i := range 60 { // of somebody else, and that can't be said
		text := fmt.Sprintf("away%d", i)
		r.later("slack:a", text, text, time.Second)
		r.house.says[text] = errAway
	}
	if n := len(strings.Fields(r.listed())); n != 190 {
		t.Errorf("%d are listed", n)
	}
	r.goOn(time.Minute + 99*time.Millisecond)
	r.wantSaid("the first hundred", strings.Join(want[:100], " "))
	r.goOn(time.Minute)
	r.wantSaid("the rest", strings.Join(want[100:], " "))
	if n := len(strings.Fields(r.listed())); n != 60 {
		t.Errorf("%d are listed in the end", n)
	}
}

// TestOneCanNotPutOffWithoutEnd: a hundred things wait for somebody at a time;
// what was asked for before is found, and somebody else is not kept from it.
func TestOneCanNotPutOffWithoutEnd(t *testing.T) {
	r := newRig(t)
	for i := range 100 {
		text := fmt.Sprint("n", i)
		r.later("ssh:a", text, text, time.Minute)
	}
	add := func(who, key string) error {
		_, err := r.c.Add(t.Context(), bellhop.Later{Key: key, Text: "x", At: r.clock.Now().Add(time.Hour), Person: bellhop.Person{Identity: who}})
		return err
	}
	if err := add("ssh:a", "more"); bellhop.CodeOf(err) != bellhop.Conflict || !strings.Contains(err.Error(), "unschedule") {
		t.Errorf("one more: %v", err)
	}
	if err := add("ssh:a", "n7"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := add("ssh:b", "other"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	r.goOn(time.Minute)
	if err := add("ssh:a", "more"); err != nil {
		t.Errorf("when they are done: %v", err)
	}
}

// TestLaterThatCanNotBeRead keeps nobody else back.
func TestLaterThatCanNotBeRead(t *testing.T) {
	r := newRig(t)
	if _, err := r.values.Put(t.Context(), "later", "due/00000000000000000001/x", []byte("{"), -1, 0, r.clock.Now()); err != nil {
		t.Fatal(err)
	}
	// Add looks for its like and says what is wrong; what was there before is said.
	if _, err := r.c.Add(t.Context(), bellhop.Later{Key: "k"}); bellhop.CodeOf(err) != bellhop.Internal {
		t.Errorf("Add says %v", err)
	}
	if err := r.values.Delete(t.Context(), "later", "due/00000000000000000001/x", -1, r.clock.Now()); err != nil {
		t.Fatal(err)
	}
	r.later("ssh:a", "1", "one", time.Minute)
	if _, err := r.values.Put(t.Context(), "later", "due/00000000000000000001/x", []byte("{"), -1, 0, r.clock.Now()); err != nil {
		t.Fatal(err)
	}
	r.goOn(time.Minute)
	r.wantSaid("beside one that can't be read", "one")
}
