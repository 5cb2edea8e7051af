package e2e_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// bin is where the binary that is tested lies; TestMain sets it.
var bin = struct{ dir, path string }{}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "chaos-work" {
		os.Exit(rigWork(os.Args[2:]))
	}
	flag.Parse()
	// Under nohup, or in the background of a script, these are ignored, also by
	// what is started from here; what is caught here is not ignored there.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	// Whether the test itself is raced says nothing of what it builds.
	_ = os.Setenv("GOFLAGS", strings.Join(slices.DeleteFunc(strings.Fields(os.Getenv("GOFLAGS")), func(f string) bool { return f == "-race" }), " "))
	// Scripts mostly wait: let more of them wait at once than there are CPUs.
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = flag.Set("test.parallel", cmp.Or(os.Getenv("BELLHOP_E2E_PARALLEL"), "6"))
	}
	dir, err := os.MkdirTemp("", "bellhop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin.dir, bin.path = dir, filepath.Join(dir, "bellhop")
	if err := provide(bin.path); err != nil {
		fmt.Fprintln(os.Stderr, "no binary to test:", err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	status := m.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// provide puts the binary that is tested at path.
func provide(path string) error {
	if given := os.Getenv("BELLHOP_E2E_BIN"); given != "" {
		given, err := filepath.Abs(given)
		if err != nil {
			return err
		}
		return os.Symlink(given, path)
	}
	race := os.Getenv("BELLHOP_TEST_RACE")
	if race != "0" {
		err := build(path, "-race")
		if err == nil || race == "1" {
			return err
		}
		fmt.Fprintln(os.Stderr, "without the race detector, which needs a C compiler:", err)
	}
	return build(path)
}

// build builds the binary: without C as it is given out, unless flags need it
// (-race does). Its own version is no matter here.
func build(path string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "../cmd/bellhop")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if len(flags) > 0 {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// need looks for a program on PATH; without it the test is skipped, or fails
// when everything is required.
func need(t testing.TB, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		lack(t, fmt.Sprintf("%s is not on PATH; install it with: %s", program, install))
	}
}

// lack ends a test that this machine has not all for.
func lack(t testing.TB, text string) {
	t.Helper()
	if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
		t.Fatal(text)
	}
	t.Skip(text)
}
