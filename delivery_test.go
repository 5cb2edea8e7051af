package bellhop_test

import (
	"testing"

	"github.com/bellhop-io/bellhop"
)

func FuzzParseDeliveryID(f *testing.F) {
	for _, s := range []string{"site/merged/17", "site/w0123456789ab/1", "SITE/Merged/2", "site/merged/0", "site/merged/-1", "site//1", "a/b/c/1", "site/merged/99999999999999999999", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		service, name, n, err := bellhop.ParseDeliveryID(s)
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		d := bellhop.Delivery{Service: service, Name: name, N: n}
		again, other, m, err := bellhop.ParseDeliveryID(d.DeliveryID())
		if err != nil || again != service || other != name || m != n || n < 1 {
			t.Errorf("%q became %s, and that %s/%s/%d, %v", s, d.DeliveryID(), again, other, m, err)
		}
	})
}
