package router_test

import (
	"fmt"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// many makes a catalog of n commands in services of 100, like those that
// people write: shared first words, parameters in the middle and at the end.
func many(n int) *bellhop.Catalog {
	cat := &bellhop.Catalog{Bot: "bellhop"}
	for i := range n / 100 {
		var patterns []string
		for k := range 25 {
			patterns = append(patterns,
				fmt.Sprintf("deploy app%d to [env]", k), fmt.Sprintf("deploy app%d to [env] now", k),
				fmt.Sprintf("restart [host] in cluster%d", k), fmt.Sprintf("show logs of app%d since [when] [words...]", k))
		}
		s := simple(patterns...).Services[0]
		s.Name = fmt.Sprintf("team%d", i)
		cat.Services = append(cat.Services, s)
	}
	return cat
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		r := mustRouter(b, many(n))
		for _, c := range []struct{ name, line string }{
			{"literals and a word", "team7 deploy app24 to production now"},
			{"backtracking", "team7 restart web-1 in cluster24"},
			{"a phrase and a list", `team7 show logs of app3 since "5 minutes ago" a b c d`},
		} {
			b.Run(fmt.Sprintf("%d commands/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Resolve(c.line); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		for _, c := range []struct{ name, line string }{
			{"unknown", "deplyo app7 to prod"},
			{"unknown of a service", "team7 deplyo app7 to prod"},
		} {
			b.Run(fmt.Sprintf("%d commands/%s", n, c.name), func(b *testing.B) {
				for b.Loop() {
					if inv, err := r.Resolve(c.line); err == nil {
						b.Fatal(inv)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%d commands/complete", n), func(b *testing.B) {
			for b.Loop() {
				r.Complete("team7 deploy app2", nil)
			}
		})
	}
}

// Without prefix, all commands share one tree, and a line that matches nothing
// tries the most of it.
func BenchmarkAdversarial(b *testing.B) {
	var patterns []string
	for i := range 1 << 12 {
		p := ""
		for bit := range 12 {
			if i>>bit&1 == 1 {
				p += "a "
			} else {
				p += fmt.Sprintf("[p%d] ", bit)
			}
		}
		patterns = append(patterns, p+"end")
	}
	r := mustRouter(b, simple(patterns...))
	for b.Loop() {
		if inv, err := r.Resolve("s a a a a a a a a a a a a a"); err == nil {
			b.Fatal(inv)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	cat := many(10_000)
	for b.Loop() {
		mustRouter(b, cat)
	}
}
