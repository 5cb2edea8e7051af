package dial_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/dial"
)

func TestLogin(t *testing.T) {
	u, err := url.Parse("redis://u:p%40ss@h")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ user, password, wantUser, wantPassword string }{
		{"", "", "u", "p@ss"}, {"v", "", "v", "p@ss"}, {"", "q", "u", "q"}, {"v", "q", "v", "q"},
	} {
		if user, password := dial.Login(&bellhop.Broker{User: tt.user, Password: tt.password}, u); user != tt.wantUser || password != tt.wantPassword {
			t.Errorf("%+v: %s, %s", tt, user, password)
		}
	}
}

// TestFaultsTellNoSecret: clients quote what they were given.
func TestFaultsTellNoSecret(t *testing.T) {
	b := &bellhop.Broker{Kind: bellhop.BrokerNATS, URL: "nats://u:p%40ssword@h:1,tls://v:other-one@i", Password: "hunter2", Token: "tok-tok"}
	cause := errors.New(`read tcp 127.0.0.1:4711->127.0.0.1:1: nats://u:p%40ssword@h:1 p@ssword p%40ssword other-one hunter2 tok-tok`)
	err := dial.Fault(b, "the NATS server", cause)
	for _, secret := range []string{"ssword", "other-one", "hunter2", "tok-tok", "4711"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s is in %v", secret, err)
		}
	}
	if bellhop.CodeOf(err) != bellhop.Unavailable || !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "the NATS server: read tcp 127.0.0.1:1: ") {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{none: "holds no certificate", none + "x": "can't be read"} {
		if _, err := dial.TLS(&bellhop.Broker{CA: ca}, "h"); bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
	if c, err := dial.TLS(&bellhop.Broker{}, "h"); err != nil || c.ServerName != "h" || c.InsecureSkipVerify {
		t.Errorf("%+v, %v", c, err)
	}
}
