package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) put(key, value string, version int64, ttl time.Duration) int64 {
	f.Helper()
	v, err := f.s.Values.Put(f.ctx, "space", key, []byte(value), version, ttl, f.now())
	f.must(err)
	return v
}

func (f *fixture) keys(prefix, after string, n int) []string {
	f.Helper()
	list, err := f.s.Values.List(f.ctx, "space", prefix, after, n, f.now())
	f.must(err)
	keys := []string{}
	for _, v := range list {
		keys = append(keys, v.Key)
	}
	return keys
}

func valueTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Value/IsThereWithItsVersion": func(f *fixture) {
			_, err := f.s.Values.Get(f.ctx, "space", "k", f.now())
			f.code(err, bellhop.NotFound)
			f.put("other", "x", 0, 0)
			v := f.put("k", "one", 0, time.Minute)
			f.reopen()
			got, err := f.s.Values.Get(f.ctx, "space", "k", f.now())
			f.must(err)
			f.same("value", got, bellhop.Stored{Key: "k", Value: []byte("one"), Version: v, Expires: f.now().Add(time.Minute).Truncate(time.Microsecond)})
			_, err = f.s.Values.Get(f.ctx, "another", "k", f.now())
			f.code(err, bellhop.NotFound)
		},
		"Value/IsWrittenUnderItsVersionOnly": func(f *fixture) {
			v := f.put("k", "one", 0, 0)
			for _, wrong := range []int64{0, v + 1, v - 1, -2} {
				if wrong == v {
					continue
				}
				_, err := f.s.Values.Put(f.ctx, "space", "k", nil, wrong, 0, f.now())
				f.code(err, bellhop.Conflict)
			}
			w := f.put("k", "two", v, 0)
			x := f.put("k", "", -1, 0)
			if w <= v || x <= w {
				f.Errorf("versions are %d, %d, %d", v, w, x)
			}
			got, err := f.s.Values.Get(f.ctx, "space", "k", f.now())
			f.must(err)
			f.same("value", string(got.Value), "")
			_, err = f.s.Values.Put(f.ctx, "space", "none", nil, v, 0, f.now())
			f.code(err, bellhop.Conflict)
		},
		"Value/IsRemovedUnderItsVersionOnly": func(f *fixture) {
			v := f.put("k", "one", -1, 0)
			f.code(f.s.Values.Delete(f.ctx, "space", "k", v+1, f.now()), bellhop.Conflict)
			f.code(f.s.Values.Delete(f.ctx, "space", "k", 0, f.now()), bellhop.Conflict)
			f.must(f.s.Values.Delete(f.ctx, "space", "k", v, f.now()))
			f.must(f.s.Values.Delete(f.ctx, "space", "k", v, f.now()))
			if w := f.put("k", "two", 0, 0); w <= v {
				f.Errorf("version is %d after %d", w, v)
			}
			f.must(f.s.Values.Delete(f.ctx, "space", "k", -1, f.now()))
			f.same("keys", f.keys("", "", 10), []string{})
		},
		"Value/IsNotThereOnceItHasExpired": func(f *fixture) {
			v := f.put("k", "one", 0, time.Minute)
			f.clock.Advance(time.Minute)
			_, err := f.s.Values.Get(f.ctx, "space", "k", f.now())
			f.code(err, bellhop.NotFound)
			f.same("keys", f.keys("", "", 10), []string{})
			_, err = f.s.Values.Put(f.ctx, "space", "k", nil, v, 0, f.now())
			f.code(err, bellhop.Conflict)
			f.must(f.s.Values.Delete(f.ctx, "space", "k", v+7, f.now()))
			if w := f.put("k", "two", 0, 0); w <= v {
				f.Errorf("version is %d after %d", w, v)
			}
		},
		"Value/IsNoLargerThanAllowed": func(f *fixture) {
			long := strings.Repeat("é", 100)
			_, err := f.s.Values.Put(f.ctx, long, long, make([]byte, 1<<20), 0, 0, f.now())
			f.must(err)
			for _, names := range [][2]string{{long + "x", "k"}, {"n", long + "x"}} {
				_, err = f.s.Values.Put(f.ctx, names[0], names[1], nil, 0, 0, f.now())
				f.code(err, bellhop.Invalid)
			}
			_, err = f.s.Values.Put(f.ctx, "n", "k", make([]byte, 1<<20+1), 0, 0, f.now())
			f.code(err, bellhop.Invalid)
		},
		"Value/AreListedByKeyByteByByte": func(f *fixture) {
			for _, key := range []string{"b", "a/2", "a", "B", "a/10", "é", "a0", "a/\xff"} {
				f.put(key, key, 0, 0)
			}
			f.same("all", f.keys("", "", 10), []string{"B", "a", "a/10", "a/2", "a/\xff", "a0", "b", "é"})
			f.same("of a prefix", f.keys("a/", "", 10), []string{"a/10", "a/2", "a/\xff"})
			f.same("after one", f.keys("a/", "a/10", 1), []string{"a/2"})
			f.same("after the prefix", f.keys("a/", "b", 10), []string{})
			f.same("none", f.keys("", "", 0), []string{})
		},
		"Value/AreForgottenOnceTheyHaveExpired": func(f *fixture) {
			for i := range 5 {
				f.put(fmt.Sprint("old", i), "x", 0, time.Minute)
			}
			f.put("later", "x", 0, time.Hour)
			f.put("always", "x", 0, 0)
			f.clock.Advance(time.Minute)
			f.put("old0", "again", 0, 0)
			for _, want := range []bool{true, false, false} {
				more, err := f.s.Values.ForgetValues(f.ctx, f.now(), 3)
				f.must(err)
				f.same("more", more, want)
			}
			f.same("kept", f.keys("", "", 10), []string{"always", "later", "old0"})
		},
		"Value/OfManyWritersOneWins": func(f *fixture) {
			var wg sync.WaitGroup
			for round, version := 0, int64(0); round < 5; round++ {
				var won, last atomic.Int64
				for range 8 {
					wg.Go(func() {
						v, err := f.s.Values.Put(f.ctx, "space", "k", nil, version, 0, f.now())
						if err == nil {
							won.Add(1)
							last.Store(v)
						} else if bellhop.CodeOf(err) != bellhop.Conflict {
							f.Errorf("error is %v", err)
						}
					})
				}
				wg.Wait()
				f.same("writers that won", won.Load(), int64(1))
				version = last.Load()
			}
		},
	}
}
