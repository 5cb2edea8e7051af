package sshchat_test

import (
	"os"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

func help(h *house) { h.desk.OnAnswer("help", bellhop.Answer{Action: bellhop.ActionHelp, Text: "ok"}) }

func TestTheKeyDecidesWhoItIs(t *testing.T) {
	for name, c := range map[string]struct {
		line   func(pub string) string
		name   string // "" = not admitted
		logged string
	}{
		"comment":             {line: same, name: "alice"},
		"principal":           {line: before(`principal="bob" `), name: "bob"},
		"harmless options":    {line: before(`no-pty,no-X11-forwarding,permitopen="none",principal="bob" `), name: "bob"},
		"not expired":         {line: before(`expiry-time="20990101" `), name: "alice"},
		"expired":             {line: before(`expiry-time="20200101Z" `), logged: "expired"},
		"from here":           {line: before(`from="10.0.0.0/8,127.0.0.*" `), name: "alice"},
		"from elsewhere":      {line: before(`from="10.0.0.0/8" `), logged: "may not be used from"},
		"from, not":           {line: before(`from="127.0.0.0/8,!127.0.0.1" `), logged: "may not be used from"},
		"unknown option":      {line: before(`command="say hello" `), logged: `option \"command\" is not known here`},
		"unknown, no value":   {line: before(`cert-authority `), logged: "is not known here"},
		"bad principal":       {line: before(`principal="Bob!" `), logged: "is not a name"},
		"comment is no name":  {line: func(p string) string { return strings.Replace(p, "Alice@laptop", "Al ice", 1) }, logged: "line=1"},
		"no comment":          {line: func(p string) string { return strings.Replace(p, " Alice@laptop", "", 1) }, logged: "principal="},
		"after faulty lines":  {line: func(p string) string { return "# a comment\n\nnonsense\n" + p }, name: "alice", logged: "line=3"},
		"windows line ends":   {line: func(p string) string { return "\r\n" + strings.TrimSpace(p) + "\r\n" }, name: "alice"},
		"twice, first counts": {line: func(p string) string { return p + `principal="bob" ` + p }, name: "alice", logged: "stands above"},
		"another's key":       {line: func(string) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			help(h)
			h.write(t, "authorized_keys", c.line(h.read(t, "alice.pub")))
			r := h.ssh(t, "alice", "", "-l", "root", "127.0.0.1", "help")
			if c.name == "" {
				wantResult(t, r, "", 255, "Permission denied")
			} else {
				wantResult(t, r, "ok\n", 0)
				if want := (bellhop.Person{Identity: "ssh:" + c.name, Name: c.name, Listed: true}); h.person(t) != want {
					t.Errorf("person %+v, want %+v", h.person(t), want)
				}
			}
			if !strings.Contains(h.log.String(), c.logged) {
				t.Errorf("%q is not in the log:\n%s", c.logged, h.log)
			}
		})
	}
}

func same(pub string) string { return pub }

func before(options string) func(string) string {
	return func(pub string) string { return options + pub }
}

func TestAuthorizedKeysAreReadAgain(t *testing.T) {
	h := open(t, nil)
	help(h)
	pub := h.read(t, "alice.pub")
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "ok\n", 0)
	h.write(t, "authorized_keys", "# nobody\n")
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "", 255, "Permission denied")
	h.write(t, "authorized_keys", `principal="carol" `+pub)
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "ok\n", 0)
	if h.person(t).Name != "carol" {
		t.Errorf("it is %+v", h.person(t))
	}
	if err := os.Remove(h.path("authorized_keys")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "", 255)
	}
	if n := strings.Count(h.log.String(), "authorized_keys admits nobody"); n != 1 {
		t.Errorf("the missing file was logged %d times", n)
	}
}

func TestAuthorizedKeysThatAnybodyMayWriteAdmitNobody(t *testing.T) {
	h := open(t, nil)
	if err := os.Chmod(h.path("authorized_keys"), 0o666); err != nil {
		t.Fatal(err)
	}
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "", 255)
	if !strings.Contains(h.log.String(), "chmod o-w") {
		t.Errorf("log: %s", h.log)
	}
}

func TestAuthorizedKeysThatAnybodyMayReplaceAdmitNobody(t *testing.T) {
	h := open(t, nil)
	if err := os.Chmod(h.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	h.write(t, "authorized_keys", h.read(t, "alice.pub")+"# replaced\n")
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "", 255)
	if !strings.Contains(h.log.String(), "everybody may write to its folder") {
		t.Errorf("log: %s", h.log)
	}
}

func TestRevokedWhileConnected(t *testing.T) {
	h := open(t, nil)
	help(h)
	h.desk.OnRun("work", chattest.Plan{Rule: chattest.TextRule(), Hold: true})
	x := chattest.OpenTerminal(t, 80, 24)
	wait := h.terminal(t, x, "-tt", "127.0.0.1")
	x.Expect(t, "> ")
	x.Type(t, "work\r")
	x.Expect(t, "accepted")
	h.write(t, "authorized_keys", "")
	x.Type(t, "help\r")
	x.Expect(t, "your key is not admitted any more; nothing was done")
	x.Type(t, "\x03")
	x.Expect(t, "[y/N]")
	x.Type(t, "y")
	x.Expect(t, "not admitted any more")
	h.desk.Finish(1) // what was asked before is still told
	x.Expect(t, "wrote nothing (000001)")
	x.Type(t, "\x04")
	wait()
	if n := len(h.desk.Asked()) + len(h.desk.Cancelled()); n != 1 {
		t.Errorf("%q was asked, %v cancelled", h.desk.Asked(), h.desk.Cancelled())
	}
}

func TestRevokedWhileConnectedOpensNoSession(t *testing.T) {
	h := open(t, nil)
	help(h)
	c := h.dial(t)
	defer func() { _ = c.Close() }()
	for _, admitted := range []bool{true, false} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run("help"); (err == nil) != admitted {
			t.Errorf("admitted %v: %v", admitted, err)
		}
		h.write(t, "authorized_keys", "")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.people) != 1 {
		t.Errorf("%d desks were opened", len(h.people))
	}
}

func TestCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		ca     string
		args   []string
		login  string
		name   string
		logged string
	}{
		"first principal":         {ca: "ca", args: []string{"-n", "bob,carol"}, login: "carol", name: "bob"},
		"no principal":            {ca: "ca", logged: "names no principal"},
		"expired":                 {ca: "ca", args: []string{"-n", "bob", "-V", "20200101:20200102"}, logged: "expired"},
		"not yet":                 {ca: "ca", args: []string{"-n", "bob", "-V", "20900101:20910102"}, logged: "not yet valid"},
		"another authority":       {ca: "other", args: []string{"-n", "bob"}, logged: "not trusted"},
		"host certificate":        {ca: "ca", args: []string{"-h", "-n", "bob"}, logged: ""},
		"forced command":          {ca: "ca", args: []string{"-n", "bob", "-O", "force-command=x"}, logged: "unsupported critical option"},
		"source address":          {ca: "ca", args: []string{"-n", "bob", "-O", "source-address=127.0.0.0/8"}, name: "bob"},
		"another source address":  {ca: "ca", args: []string{"-n", "bob", "-O", "source-address=10.0.0.0/8"}},
		"principal is not a name": {ca: "ca", args: []string{"-n", "bob@x"}, logged: "is not allowed in a name"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			help(h)
			for _, k := range []string{"ca", "other", "bob"} {
				h.keygen(t, k, k)
			}
			h.certify(t, c.ca, "bob", c.args...)
			login := c.login
			if login == "" {
				login = "bob"
			}
			r := h.ssh(t, "bob", "", "-l", login, "127.0.0.1", "help")
			if c.name == "" {
				wantResult(t, r, "", 255)
			} else {
				wantResult(t, r, "ok\n", 0)
				if want := (bellhop.Person{Identity: "ssh:" + c.name, Name: c.name}); h.person(t) != want {
					t.Errorf("person %+v, want %+v", h.person(t), want)
				}
			}
			if !strings.Contains(h.log.String(), c.logged) {
				t.Errorf("%q is not in the log:\n%s", c.logged, h.log)
			}
		})
	}
}

func TestHostKey(t *testing.T) {
	h := open(t, nil)
	help(h)
	stat, err := os.Stat(h.path("keys/host"))
	if err != nil {
		t.Fatal(err)
	}
	if stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", stat.Mode())
	}
	first := h.read(t, "keys/host")
	start := func() error {
		s, err := sshchat.New(sshchat.Options{Name: "ssh", Listen: "127.0.0.1:0", HostKey: h.path("keys/host"), AuthorizedKeys: "x", OpenDesk: h.openDesk})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Stop(t.Context()) }()
		return s.Start(t.Context())
	}
	if err := start(); err != nil {
		t.Errorf("the second start: %v", err)
	}
	if h.read(t, "keys/host") != first {
		t.Error("the second start made another key")
	}
	if err := os.Chmod(h.path("keys/host"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := start(); bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a host key that others may read: %v", err)
	}
	h.write(t, "keys/host", "nonsense")
	if err := os.Chmod(h.path("keys/host"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("a host key that is none: %v", err)
	}
}

func FuzzAuthorizedKeysLine(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1jyM4GxKrvJ7gXo3e4yFfbb0BkeNqdBLvfQ0YkKq3c"
	for _, seed := range []string{
		"", "#", key, key + " alice@laptop", `principal="alice" ` + key, `from="10.0.0.0/8,!*.1",expiry-time="20990101Z" ` + key + " bob",
		`principal="a\"b" ` + key, `principal=alice ` + key, `command="x y",no-pty ` + key + " x", "nonsense", "a,b,\"c " + key, key + "\n" + key,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := sshchat.ParseLine(text)
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.Invalid || k != nil {
				t.Errorf("%v, %v", k, err)
			}
			return
		}
		if k == nil {
			return
		}
		if bellhop.CheckName("person", k.Name) != nil || k.Public == nil {
			t.Errorf("%q admits %q", text, k.Name)
		}
		for _, option := range []string{"command=", "cert-authority", "verify-required"} {
			options, _, _ := strings.Cut(strings.TrimSpace(text), " ")
			if strings.HasPrefix(strings.ToLower(options), option) {
				t.Errorf("%q was accepted", text)
			}
		}
	})
}

// TestStill: who spoke here once, and whether they could do so now.
func TestStill(t *testing.T) {
	for name, c := range map[string]struct {
		line   func(pub string) string
		ca     bool
		listed bool
		want   bool
	}{
		"with the key":           {line: same, listed: true, want: true},
		"the key is gone":        {line: func(string) string { return "" }, listed: true},
		"the key is another's":   {line: before(`principal="bob" `), listed: true},
		"the key has expired":    {line: before(`expiry-time="20200101Z" `), listed: true},
		"an expiry to come":      {line: before(`expiry-time="20990101" `), listed: true, want: true},
		"a certificate, no CA":   {line: same},
		"a certificate":          {line: same, ca: true, want: true},
		"the key, and now a CA":  {line: func(string) string { return "" }, ca: true, listed: true},
		"a line that is refused": {line: before(`command="x" `), listed: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			h.write(t, "authorized_keys", c.line(h.read(t, "alice.pub")))
			if c.ca {
				h.write(t, "ca.pub", h.read(t, "alice.pub"))
			}
			err := h.server.StillKnown(bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: c.listed})
			if c.want != (err == nil) || err != nil && bellhop.CodeOf(err) != bellhop.NotAllowed {
				t.Errorf("it says %v", err)
			}
		})
	}
}
