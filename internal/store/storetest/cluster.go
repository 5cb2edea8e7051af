package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) beat(server string, ttl time.Duration) {
	f.Helper()
	f.must(f.s.Cluster.Beat(f.ctx, server, ttl))
}

func (f *fixture) alive() []string {
	f.Helper()
	out, err := f.s.Cluster.Alive(f.ctx)
	f.must(err)
	return append([]string{}, out...)
}

func (f *fixture) lead(server string) bool {
	f.Helper()
	has, err := f.s.Cluster.Lead(f.ctx, bellhop.RoleKeeper, server, time.Minute)
	f.must(err)
	return has
}

func clusterTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Cluster/AServerLivesForItsTime": func(f *fixture) {
			f.same("nobody", f.alive(), []string{})
			f.beat("b", time.Minute)
			f.beat("a", time.Hour)
			f.same("alive", f.alive(), []string{"a", "b"})
			f.clock.Advance(30 * time.Second)
			f.beat("b", time.Minute)
			f.clock.Advance(45 * time.Second)
			f.same("beaten again", f.alive(), []string{"a", "b"})
			f.clock.Advance(time.Minute)
			f.same("run out", f.alive(), []string{"a"})
			f.beat("a", 0)
			f.same("left", f.alive(), []string{})
		},
		"Cluster/OneLeadsUntilItsTimeIsOver": func(f *fixture) {
			f.beat("a", time.Hour)
			f.beat("b", time.Hour)
			f.same("a", f.lead("a"), true)
			f.same("b", f.lead("b"), false)
			f.clock.Advance(45 * time.Second)
			f.same("a keeps it", f.lead("a"), true)
			f.clock.Advance(45 * time.Second)
			f.same("b still", f.lead("b"), false)
			f.clock.Advance(time.Minute)
			f.same("b then", f.lead("b"), true)
			f.same("a then", f.lead("a"), false)
			other, err := f.s.Cluster.Lead(f.ctx, "other", "a", time.Minute)
			f.must(err)
			f.same("another role", other, true)
		},
		"Cluster/WhoLeavesGivesUpItsRoles": func(f *fixture) {
			f.beat("a", time.Hour)
			f.same("a", f.lead("a"), true)
			f.beat("a", 0)
			f.same("b", f.lead("b"), true)
		},
		"Cluster/TheNewestActivationIsKept": func(f *fixture) {
			got, err := f.s.Cluster.Activated(f.ctx)
			f.must(err)
			f.same("at first", got, bellhop.Activation{})
			for _, digest := range []string{"one", "two"} {
				want := bellhop.Activation{Digest: digest, Server: "server-" + digest, At: f.now()}
				f.must(f.s.Cluster.Activate(f.ctx, want))
				f.clock.Advance(time.Second)
				f.reopen()
				got, err = f.s.Cluster.Activated(f.ctx)
				f.must(err)
				f.same("activated", got, want)
			}
		},
	}
}
