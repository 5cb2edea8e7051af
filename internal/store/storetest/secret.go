package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) sealed(owner, name, key string) bellhop.SealedSecret {
	return bellhop.SealedSecret{Owner: owner, Name: name, KeyID: key, Sealed: []byte{0, 0xff, byte(len(name)), key[0]}, Updated: f.now().Truncate(time.Microsecond), By: "alice"}
}

func (f *fixture) secrets() []bellhop.SealedSecret {
	f.Helper()
	all, err := f.s.Secrets.Secrets(f.ctx)
	f.must(err)
	return all
}

func secretTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Secret/IsThereAsItWasSet": func(f *fixture) {
			_, err := f.s.Secrets.Secret(f.ctx, "", "token")
			f.code(err, bellhop.NotFound)
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("", "token", "1")))
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("bob", "token", "1")))
			second := f.sealed("", "token", "2")
			f.must(f.s.Secrets.PutSecret(f.ctx, second))
			f.reopen()
			got, err := f.s.Secrets.Secret(f.ctx, "", "token")
			f.must(err)
			f.same("secret", got, second)
			f.same("secrets", len(f.secrets()), 2)
		},
		"Secret/AreListedByOwnerAndName": func(f *fixture) {
			want := []bellhop.SealedSecret{f.sealed("", "B", "1"), f.sealed("", "a", "1"), f.sealed("", "é", "1"), f.sealed("bob", "a", "1")}
			for _, i := range []int{2, 0, 3, 1} {
				f.must(f.s.Secrets.PutSecret(f.ctx, want[i]))
			}
			f.same("secrets", f.secrets(), want)
		},
		"Secret/IsRemovedOnce": func(f *fixture) {
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("bob", "a", "1")))
			f.code(f.s.Secrets.RemoveSecret(f.ctx, "", "a"), bellhop.NotFound)
			f.must(f.s.Secrets.RemoveSecret(f.ctx, "bob", "a"))
			f.code(f.s.Secrets.RemoveSecret(f.ctx, "bob", "a"), bellhop.NotFound)
		},
		"Secret/AreSealedAnewAllOrNone": func(f *fixture) {
			was := []bellhop.SealedSecret{f.sealed("", "a", "1"), f.sealed("bob", "b", "1")}
			now := []bellhop.SealedSecret{f.sealed("", "a", "2"), f.sealed("bob", "b", "2")}
			for _, s := range was {
				f.must(f.s.Secrets.PutSecret(f.ctx, s))
			}
			f.code(f.s.Secrets.Reseal(f.ctx, was, now[:1]), bellhop.Invalid)
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("", "c", "1")))
			f.code(f.s.Secrets.Reseal(f.ctx, was, now), bellhop.Conflict)
			f.must(f.s.Secrets.RemoveSecret(f.ctx, "", "c"))
			f.same("secrets", f.secrets(), was)
			f.must(f.s.Secrets.Reseal(f.ctx, was, now))
			f.must(f.s.Secrets.Reseal(f.ctx, was, now)) // the same call again
			f.same("secrets", f.secrets(), now)
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("", "a", "3")))
			f.code(f.s.Secrets.Reseal(f.ctx, now, was), bellhop.Conflict)
		},
	}
}
