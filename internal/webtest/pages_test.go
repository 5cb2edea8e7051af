package webtest

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestManyPages: pages that watch one busy run, with both streams of each, are
// all told what it writes. With BELLHOP_TEST_PAGES, a number of pages, it says
// how much of the machine the server takes for them, three times over 20 s.
func TestManyPages(t *testing.T) {
	pages, measured := 5, false
	if n, err := strconv.Atoi(os.Getenv("BELLHOP_TEST_PAGES")); err == nil {
		pages, measured = n, true
	}
	w := unstarted(t, "pages.yaml", "")
	w.start()
	id := runNumber.FindString(w.bellhop("ask", "--detach", "busy talk"))
	cookie := w.session()
	client := &http.Client{Transport: &http.Transport{}}
	var all, told sync.WaitGroup
	var sent atomic.Int64
	for range pages {
		for _, path := range []string{"/runs/" + id + "/live", "/live"} {
			req, err := http.NewRequest(http.MethodGet, w.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie)
			req.Header.Set("Accept", "text/event-stream")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", path, resp.Status)
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
			want := "event: lines"
			if path == "/live" {
				want = "event: hello"
			}
			told.Add(1)
			all.Go(func() {
				in := bufio.NewReader(resp.Body)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						t.Errorf("%s ended before it said %q: %v", path, want, err)
						told.Done()
						return
					}
					if strings.HasPrefix(line, want) {
						told.Done()
						break
					}
				}
				_, _ = io.Copy(counter{&sent}, in) // until the server ends
			})
		}
	}
	told.Wait()
	for range 3 {
		if !measured {
			break
		}
		cpu, bytes, at := w.ticks(), sent.Load(), time.Now()
		time.Sleep(20 * time.Second) // what is measured is what happens meanwhile
		took := time.Since(at).Seconds()
		t.Logf("%d pages: %.2f cores, %s resident, %.1f MB/s", pages, float64(w.ticks()-cpu)/100/took, w.resident(), float64(sent.Load()-bytes)/took/1e6)
	}
	w.bellhop("cancel", id)
	w.stop()
	all.Wait()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// session logs in without a browser, and returns the cookie.
func (w *world) session() string {
	w.t.Helper()
	resp, err := (&http.Transport{}).RoundTrip(w.form(w.bellhop("login")))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	if cookie == "" {
		w.t.Fatalf("no session: %s", resp.Status)
	}
	return cookie
}

func (w *world) form(to string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, to, strings.NewReader(url.Values{}.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// ticks is the processor time that the server has taken, in hundredths of a
// second (utime and stime of proc_pid_stat(5)).
func (w *world) ticks() int {
	w.t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(w.server.Process.Pid) + "/stat")
	if err != nil {
		w.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// resident is the server's memory.
func (w *world) resident() string {
	w.t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(w.server.Process.Pid) + "/status")
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
