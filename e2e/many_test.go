package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const manyConfig = `
chats: {ssh: {listen: "127.0.0.1:%s", authorized_keys: authorized_keys}}
services:
  many:
    jobs: {echo: {run: [echo, "{word}"], concurrency: unlimited, report: {stdout: true}}}
    commands: [{command: "echo [word]", job: echo}]
`

// TestManyConnections has 200 SSH connections open at once, each asking 20
// times: every answer arrives at its own connection, and the server stays
// below 200 MB. Some of them are OpenSSH's own clients.
func TestManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("4,000 runs take a while; not with -short")
	}
	need(t, "ssh", "apt-get install openssh-client")
	const connections, openSSH, asks, limit = 200, 4, 20, 200 << 20
	p := newPlace(t)
	// What the race detector remembers is no measure of the server's memory.
	if os.Getenv("BELLHOP_E2E_BIN") == "" {
		if err := build(p.path("bin/bellhop")); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	p.env = append(p.env, "SSH_PORT="+port)
	p.write("bellhop.yaml", fmt.Sprintf(manyConfig, port))
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("person%d", i))
	}
	signers := p.admit(names...)
	server := p.serve("up")

	var connected, done sync.WaitGroup
	begin := make(chan struct{})
	for i := range connections - openSSH {
		connected.Add(1)
		done.Go(func() {
			client, err := dialSSH(port, signers[names[i%len(names)]])
			connected.Done()
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			defer client.Close()
			<-begin // until all are connected
			for n := range asks {
				if err := askOver(client, fmt.Sprintf("c%d-n%d", i, n)); err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
			}
		})
	}
	connected.Wait()
	close(begin)
	var lines strings.Builder
	for n := range asks {
		fmt.Fprintf(&lines, "many echo n%d-of-one-client\n", n)
	}
	for i := range openSSH {
		done.Go(func() {
			cmd := p.command("ssh-as", names[i])
			cmd.Stdin = strings.NewReader(strings.ReplaceAll(lines.String(), "one", strconv.Itoa(i)))
			r := finish(t, cmd)
			want := strings.ReplaceAll(strings.ReplaceAll(lines.String(), "one", strconv.Itoa(i)), "many echo ", "")
			if r.status != 0 || r.stdout != want {
				t.Errorf("OpenSSH client %d: status %d, answers %q, %s", i, r.status, r.stdout, r.stderr)
			}
		})
	}
	done.Wait()
	if got := len(p.runs()); got != connections*asks {
		t.Errorf("%d runs, want %d", got, connections*asks)
	}
	if runtime.GOOS == "linux" && os.Getenv("BELLHOP_E2E_BIN") == "" {
		peak := peakMemory(t, server.cmd.Process.Pid)
		t.Logf("the server's resident memory was at most %d MB", peak>>20)
		if peak > limit {
			t.Errorf("the server's resident memory was %d MB; at most %d are allowed", peak>>20, limit>>20)
		}
	}
}

func dialSSH(port string, signer ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", net.JoinHostPort("127.0.0.1", port), &ssh.ClientConfig{
		User: "whoever", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // it was made a moment ago
		Timeout:         patience,
	})
}

// askOver asks once over a connection and holds the answer against the asking.
func askOver(client *ssh.Client, word string) error {
	s, err := client.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	var errs strings.Builder
	s.Stderr = &errs
	cut := time.AfterFunc(4*patience, func() { client.Close() })
	defer cut.Stop()
	out, err := s.Output("many echo " + word)
	if err != nil || string(out) != word+"\n" {
		return fmt.Errorf("asked for %s and was told %q: %v %s", word, out, err, errs.String())
	}
	return nil
}

// peakMemory is the most that a process had of resident memory, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmHWM in /proc")
	return 0
}
