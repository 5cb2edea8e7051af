package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// notCarried are the fields that no front end has any use for.
var notCarried = map[string]bool{"Run.Digest": true, "Run.Result": true}

// fill sets every exported field below v to something that is not zero, and
// different each time; what is not carried stays zero.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Add(time.Duration(*n))
		return
	case *json.RawMessage:
		*x = json.RawMessage(`{"n":1}`)
		return
	case *bellhop.Value:
		*x = bellhop.Text("x y")
		return
	case *bellhop.Channel:
		*x = bellhop.Stderr
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && !notCarried[v.Type().Name()+"."+f.Name] {
				fill(t, v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map: // Args
		v.Set(reflect.ValueOf(bellhop.Args{"text": bellhop.Text("x y"), "list": bellhop.List("a", "b")}))
	case reflect.String:
		v.SetString("text " + time.Duration(*n).String())
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("a test must learn to fill %s", v.Type())
	}
}

// roundTrip writes a value as the server does and reads it as the client does.
func roundTrip[T, W any](t *testing.T, there func(T) W, back func(W) T) {
	t.Helper()
	var want T
	var n int64
	fill(t, reflect.ValueOf(&want).Elem(), &n)
	b, err := json.Marshal(there(want))
	if err != nil {
		t.Fatal(err)
	}
	wire, err := decode[W](b)
	if err != nil {
		t.Fatal(err)
	}
	if got := back(wire); !reflect.DeepEqual(got, want) {
		t.Errorf("%T does not come back as it was:\n got %s\nwant %s", want, dump(t, got), dump(t, want))
	}
}

// dump shows all fields, those that have no JSON form too.
func dump(t *testing.T, v any) string {
	t.Helper()
	var lines string
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch {
		case !v.IsValid():
			lines += "\n  " + name + ": nil"
		case v.Kind() == reflect.Pointer:
			walk(name, v.Elem())
		case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
			for i := range v.Len() {
				walk(name+"[]", v.Index(i))
			}
		default:
			b, err := json.Marshal(v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			lines += "\n  " + name + ": " + string(b)
		}
	}
	walk("", reflect.ValueOf(v))
	return lines
}

// A field that the root package gets and the wire forgets would be lost over
// the socket, and nowhere else.
func TestNothingIsLostOnTheWire(t *testing.T) {
	t.Run("answer", func(t *testing.T) { roundTrip(t, toAnswer, answer.back) })
	t.Run("report", func(t *testing.T) { roundTrip(t, toReport, report.back) })
	t.Run("chunk", func(t *testing.T) { roundTrip(t, toChunk, chunk.back) })
	t.Run("run", func(t *testing.T) { roundTrip(t, toRun, run.back) })
	t.Run("status", func(t *testing.T) {
		roundTrip(t, func(s bellhop.Status) *status { return toStatus(&s) }, func(s *status) bellhop.Status { return *s.back() })
	})
}

func TestTheRunObjectNamesTheRunsBeforeIt(t *testing.T) {
	for name, c := range map[string]struct {
		run  bellhop.Run
		want map[string]any
	}{
		"neither": {bellhop.Run{ID: 3}, map[string]any{}},
		"both":    {bellhop.Run{ID: 3, RetryOf: 1, After: 2}, map[string]any{"retry_of": "000001", "after": "000002"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := RunJSON(c.run)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode[map[string]any](b)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"retry_of", "after"} {
				if got[key] != c.want[key] {
					t.Errorf("%s is %v, want %v", key, got[key], c.want[key])
				}
			}
		})
	}
}
