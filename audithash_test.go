package bellhop_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func auditKey() []byte { return []byte(strings.Repeat("k", bellhop.AuditKeySize)) }

func fullAudit() bellhop.AuditRecord {
	return bellhop.AuditRecord{
		Chain: "one", Seq: 2, At: time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC), Action: "run", Principal: "alice", Identity: "ssh:alice",
		Source: "ssh", Channel: "c", Service: "example", Job: "hello", Run: 7, Rule: "access[0]", Detail: "dé",
		Args: bellhop.Args{"a": bellhop.Text("1"), "b": bellhop.List("x", ""), "c": bellhop.List()}, Allowed: true,
	}
}

func prev() string { return strings.Repeat("0", 64) }

// TestSumsAreForGood: a store that exists must verify with every later Bellhop.
func TestSumsAreForGood(t *testing.T) {
	r := fullAudit()
	for name, c := range map[string]struct {
		rec  bellhop.AuditRecord
		want string
	}{
		"a full record": {r, "36d92f0da6fab4138f2a37dbde016d051e32aaa212465cbdb337047605cd8f8a"},
		"an empty one":  {bellhop.AuditRecord{}, "311e0880457016bf8cf934dfc0c25dfd8180d892f83b5d6640503c48e97127df"},
	} {
		if got := c.rec.Sum(auditKey(), prev()); got != c.want {
			t.Errorf("%s has the sum %s, want %s", name, got, c.want)
		}
	}
	for _, bad := range []string{"", "0", prev() + "0", strings.Repeat("x", 64)} {
		if got := r.Sum(auditKey(), bad); got != "" {
			t.Errorf("behind %q: %s", bad, got)
		}
	}
}

// TestASumCoversAllThatARecordSays but Prev, which comes with it, and Hash.
func TestASumCoversAllThatARecordSays(t *testing.T) {
	r := fullAudit()
	sums := map[string]string{r.Sum(auditKey(), prev()): "nothing", r.Sum(auditKey(), "1"+prev()[1:]): "the hash before", r.Sum([]byte("other"), prev()): "the key"}
	change := func(what string, r bellhop.AuditRecord) {
		sum := r.Sum(auditKey(), prev())
		if former, there := sums[sum]; there {
			t.Errorf("a change of %s gives the same sum as one of %s", what, former)
		}
		sums[sum] = what
	}
	fields := reflect.TypeFor[bellhop.AuditRecord]()
	for i := range fields.NumField() {
		changed := fullAudit()
		f := reflect.ValueOf(&changed).Elem().Field(i)
		name := fields.Field(i).Name
		switch v := f.Addr().Interface().(type) {
		case *string:
			*v += "x"
		case *int64:
			*v++
		case *bellhop.RunID:
			*v++
		case *bool:
			*v = !*v
		case *time.Time:
			*v = v.Add(time.Microsecond)
		case *bellhop.Args:
			(*v)["a"] = bellhop.Text("2")
		default:
			t.Fatalf("%s is of a kind that this test does not know", name)
		}
		if name != "Prev" && name != "Hash" {
			change(name, changed)
		}
	}
	for what, args := range map[string]bellhop.Args{
		"a list for a text": {"a": bellhop.List("1"), "b": bellhop.List("x", ""), "c": bellhop.List()},
		"an argument less":  {"a": bellhop.Text("1"), "b": bellhop.List("x", "")},
		"a word less":       {"a": bellhop.Text("1"), "b": bellhop.List("x"), "c": bellhop.List("")},
	} {
		changed := fullAudit()
		changed.Args = args
		change(what, changed)
	}
	moved := fullAudit()
	moved.Principal, moved.Identity = "alices", "sh:alice"
	change("where a text ends", moved)
}

// TestASumIsTheSameAfterJSON, which a trail may be exported as.
func TestASumIsTheSameAfterJSON(t *testing.T) {
	r := fullAudit()
	r.At = r.At.Add(789).In(time.FixedZone("x", 3600))
	r.Detail, r.Args["a"] = "a\xff\xfeb\x00", bellhop.Text("\xc3")
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again bellhop.AuditRecord
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if got, want := again.Sum(auditKey(), prev()), r.Sum(auditKey(), prev()); got != want {
		t.Errorf("sum is %s, want %s", got, want)
	}
}

func FuzzUnpackAudit(f *testing.F) {
	r := fullAudit()
	f.Add([]byte(r.Pack()))
	f.Add([]byte((&bellhop.AuditRecord{}).Pack()))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again bellhop.AuditRecord
		if !r.Unpack(b) {
			return
		}
		if !again.Unpack(r.Pack()) || !reflect.DeepEqual(r, again) {
			// Bytes that are no UTF-8 are packed as what JSON makes of them.
			if clean := strings.ToValidUTF8(string(b), "") == string(b); clean {
				t.Errorf("%q is %+v, then %+v", b, r, again)
			}
		}
	})
}
