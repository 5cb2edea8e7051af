package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is who has no rights here.
const nobody = 65534

const badConfig = `
services:
  e:
    jobs: {hi: {run: "echo hi", report: {stdout: true}}}
    commands: [{command: hi, job: hi}]
`

// TestWrongRights takes away the rights to one thing after the other from a
// user who is not root: each time what lacks is named, and what to do.
func TestWrongRights(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t, "becoming another user")
	p := newPlace(t)
	program, err := os.ReadFile(bin.path)
	if err != nil {
		t.Fatal(err)
	}
	p.write("bin/bellhop", string(program))
	for path, mode := range map[string]os.FileMode{p.dir: 0o755, p.path("bin/bellhop"): 0o755, p.path(".tmp"): 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name   string
		spoil  func(dir string) error
		args   string
		status int
		want   []string
	}{
		{"the configuration", mode("bellhop.yaml", 0), "up", 5, []string{"bellhop.yaml can't be read", "permission denied"}},
		{"the store's file", mode("bellhop.db", 0), "up", 5, []string{"bellhop.db may not be opened by this user", "look at the rights of the file and its folder"}},
		{"the store's file, to read it", mode("bellhop.db", 0), "status", 5, []string{"bellhop.db", "look at the disk and the folder's rights"}},
		{"writing to the store's file", mode("bellhop.db", 0o400), "up", 5, []string{"bellhop.db may not be opened by this user", "rights"}},
		{"writing to it, for who asks", mode("bellhop.db", 0o400), "ask e hi", 5, []string{"bellhop.db may not be opened by this user", "rights"}},
		{"the store's lock", mode("bellhop.db.lock", 0), "up", 5, []string{"its lock", "look at the folder's rights"}},
		{"the folder", owner(".", 0), "up", 5, []string{"bellhop.db", "look at the disk and the folder's rights"}},
		{"the folder, without a store", func(dir string) error {
			return firstError(remove("bellhop.db", "bellhop.db-wal", "bellhop.db-shm", "bellhop.db.lock")(dir), owner(".", 0)(dir))
		}, "up", 5, []string{"bellhop.db may not be opened by this user", "rights"}},
		{"the control socket's folder", owner(".bellhop", 0), "up", 5, []string{".bellhop is not a folder of yours; remove it and try again"}},
	} {
		dir := p.path(strings.ReplaceAll(tc.name, " ", "-"))
		p.write(filepath.Join(dir, "bellhop.yaml"), badConfig)
		if err := firstError(owner(".", nobody)(dir), owner("bellhop.yaml", nobody)(dir)); err != nil {
			t.Fatal(err)
		}
		if r := finish(t, p.asNobody(dir, "ask", "e", "hi")); r.status != 0 || r.stdout != "hi\n" { // makes all there is
			t.Fatalf("%s: before anything is wrong: status %d\n%s%s", tc.name, r.status, r.stdout, r.stderr)
		}
		if err := tc.spoil(dir); err != nil {
			t.Fatal(err)
		}
		r := finish(t, p.asNobody(dir, strings.Fields(tc.args)...))
		if r.status != tc.status {
			t.Errorf("%s: status %d, want %d\n%s", tc.name, r.status, tc.status, r.stderr)
		}
		for _, want := range tc.want {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("%s: it says %q, which has no %q", tc.name, r.stderr, want)
			}
		}
	}
}

// asNobody is Bellhop run by another user.
func (p *place) asNobody(dir string, args ...string) *exec.Cmd {
	cmd := p.command("bellhop", args...)
	cmd.Path, cmd.Dir = p.path("bin/bellhop"), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

func mode(name string, to os.FileMode) func(string) error {
	return func(dir string) error { return os.Chmod(filepath.Join(dir, name), to) }
}

func owner(name string, uid int) func(string) error {
	return func(dir string) error { return os.Chown(filepath.Join(dir, name), uid, uid) }
}

func remove(names ...string) func(string) error {
	return func(dir string) error {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
