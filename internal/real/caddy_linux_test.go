package real

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// server is a caddy that runs.
type server struct {
	path, addr string
	pid        int
}

// startCaddy starts caddy with a site that says what it was asked.
func startCaddy(t testing.TB) *server {
	t.Helper()
	i := slices.IndexFunc(programs, func(p program) bool { return p.name == "caddy" })
	path, _ := programs[i].find(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	config := fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
}
http://:%s {
	header X-Server-Says {http.request.header.X-Id}
	respond "{http.request.method} {http.request.host} {http.request.uri}"
}
`, port)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "run", "--config", "Caddyfile")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("caddy says\n%s", stderr.Bytes())
		}
	})
	for range 300 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return &server{path, addr, cmd.Process.Pid}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("caddy does not listen")
	return nil
}

// request is what a client sent, and what it was answered.
type request struct {
	method, host, path, query string
	header                    http.Header
	remote                    string // the client's end of the connection
	response                  []byte // without the date
}

// makeRequests returns requests that all differ.
func makeRequests(n int) []*request {
	methods := []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
	list := make([]*request, n)
	for i := range list {
		r := &request{
			method: methods[i%len(methods)], host: fmt.Sprintf("host%d.example", i), path: fmt.Sprintf("/dir/%d", i), query: fmt.Sprintf("n=%d", i*i),
			header: http.Header{"X-Id": {fmt.Sprint("id-", i)}, "User-Agent": {"argtap-test"}, "Accept-Encoding": {"identity"}},
		}
		if i%3 == 0 {
			r.header["X-Several"] = []string{"one", fmt.Sprint(i)}
		}
		list[i] = r
	}
	return list
}

// send sends requests on several connections at once.
func (s *server) send(t *testing.T, list []*request, clients int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				if err := s.sendOne(transport, list[i]); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func (s *server) sendOne(transport *http.Transport, r *request) error {
	req, err := http.NewRequest(r.method, "http://"+s.addr+r.path+"?"+r.query, nil)
	if err != nil {
		return err
	}
	req.Host, req.Header = r.host, r.header.Clone()
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { r.remote = c.Conn.LocalAddr().String() },
	}))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	resp.Header.Del("Date")
	r.response, err = httputil.DumpResponse(resp, true)
	return err
}

// captured is a request as it was seen in the server.
type captured struct{ method, host, path, query, remote string }

const (
	serveHTTP      = "net/http.serverHandler.ServeHTTP"
	caddyServeHTTP = "github.com/caddyserver/caddy/v2/modules/caddyhttp.(*Server).ServeHTTP"
)

// TestCaddyLive traces requests in a caddy that serves them. Each must be seen
// once by each function, with what the client sent; and be answered as it is when
// nothing is traced.
func TestCaddyLive(t *testing.T) {
	s := startCaddy(t)
	const n = 2000
	before, during, after := makeRequests(n), makeRequests(n), makeRequests(n)
	s.send(t, before, 8)

	var mu sync.Mutex
	seen := map[string]map[captured]int{}
	headers := map[string]map[string]http.Header{}
	texts := map[string]string{}
	tr, err := uprobe.Trace(s.path, serveHTTP, func(c *uprobe.Call) {
		mu.Lock()
		defer mu.Unlock()
		name := c.Name()
		if seen[name] == nil {
			seen[name], headers[name] = map[captured]int{}, map[string]http.Header{}
			texts[name] = requestArg(c).String()
		}
		v := requestArg(c)
		var r struct {
			Method, Host, RemoteAddr string
			URL                      struct{ Path, RawQuery string }
			Header                   http.Header
		}
		if err := v.Decode(&r); err != nil {
			t.Errorf("%s: %v: %.300s", name, err, v)
			return
		}
		seen[name][captured{r.Method, r.Host, r.URL.Path, r.URL.RawQuery, r.RemoteAddr}]++
		headers[name][r.URL.Path] = r.Header
		// The server, which is an argument too, leads to much, and what a call may
		// take is shared by all: less than this cuts the request's header.
	}, uprobe.WithFuncs(caddyServeHTTP), uprobe.WithPID(s.pid), uprobe.WithBufferSize(256<<20),
		uprobe.WithLimits(uprobe.Limits{Depth: 3, Objects: 1024, Record: 32 << 10}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer tr.Close()
	s.send(t, during, 8)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	s.send(t, after, 8)

	stats := tr.Stats()
	t.Logf("%+v", stats)
	if stats.Lost != 0 || stats.Calls != 2*n || stats.Delivered != 2*n {
		t.Errorf("stats %+v, want %d calls", stats, 2*n)
	}
	want := map[captured]int{}
	for i, r := range during {
		want[captured{r.method, r.host, r.path, r.query, r.remote}]++
		if !bytes.Equal(r.response, before[i].response) || !bytes.Equal(after[i].response, before[i].response) {
			t.Errorf("request %d was answered\n%s\nbefore, while traced\n%s\nand after that\n%s", i, before[i].response, r.response, after[i].response)
		}
	}
	if text := "POST host7.example /dir/7?n=49"; len(want) != n || !bytes.Contains(during[7].response, []byte(text)) {
		t.Errorf("%d requests; the answer to number 7 is %s, want %s in it", len(want), during[7].response, text)
	}
	for _, name := range []string{serveHTTP, caddyServeHTTP} {
		t.Logf("%s: %.1500s", name, texts[name])
		if !maps.Equal(seen[name], want) {
			t.Errorf("%s: saw %d requests, want %d: %s", name, len(seen[name]), len(want), firstOther(seen[name], want))
		}
		for _, r := range during {
			if got := headers[name][r.path]; !sameHeader(got, r.header) {
				t.Errorf("%s: %s: header %v, want %v", name, r.path, got, r.header)
			}
		}
	}
}

// requestArg returns the parameter that is a request.
func requestArg(c *uprobe.Call) uprobe.Value {
	for _, v := range c.Args() {
		if v.TypeName() == "*http.Request" {
			return v
		}
	}
	return uprobe.Value{}
}

// sameHeader compares what came with what was sent; a body that is empty has a
// length where the method may have one.
func sameHeader(got, want http.Header) bool {
	got = got.Clone()
	got.Del("Content-Length")
	return maps.EqualFunc(got, want, slices.Equal)
}

// firstOther says how two sets of requests differ.
func firstOther(got, want map[captured]int) string {
	for r, n := range got {
		if want[r] != n {
			return fmt.Sprintf("%+v %d times, want %d", r, n, want[r])
		}
	}
	for r, n := range want {
		if got[r] != n {
			return fmt.Sprintf("%+v %d times, want %d", r, got[r], n)
		}
	}
	return ""
}

// load sends requests for a time and returns how many were answered a second.
func (s *server) load(tb testing.TB, clients int, d time.Duration) float64 {
	tb.Helper()
	var answered atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range clients {
		wg.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for time.Since(start) < d {
				req, _ := http.NewRequest("GET", "http://"+s.addr+"/x?y=z", nil)
				resp, err := transport.RoundTrip(req)
				if err != nil {
					tb.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(answered.Load()) / time.Since(start).Seconds()
}

// BenchmarkCaddy compares the requests that caddy answers a second with those
// that it answers untraced, in turns in one run: while a function is traced that
// is not called (idle), and while requests are traced three pointers deep
// (requests). Client and reader share the machine with it. Run it with
// -benchtime=10x or more.
func BenchmarkCaddy(b *testing.B) {
	for _, bb := range []struct {
		name, fn string
		calls    bool
	}{
		{"idle", "github.com/caddyserver/caddy/v2/modules/caddyhttp.(*App).Stop", false},
		{"requests", caddyServeHTTP, true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := startCaddy(b)
			s.load(b, 4, time.Second) // to warm up
			var plain, traced float64
			var calls uint64
			rounds := 0
			for b.Loop() {
				trace := func() {
					tr, err := uprobe.Trace(s.path, bb.fn, func(*uprobe.Call) {}, uprobe.WithPID(s.pid), uprobe.WithDepth(3))
					if err != nil {
						b.Fatal(err)
					}
					defer tr.Close()
					traced += s.load(b, 4, 500*time.Millisecond)
					tr.Close()
					stats := tr.Stats()
					if calls += stats.Calls; stats.Lost > 0 {
						b.Errorf("stats %+v", stats)
					}
				}
				// Each comes first every other time.
				if rounds%2 == 1 {
					trace()
				}
				plain += s.load(b, 4, 500*time.Millisecond)
				if rounds%2 == 0 {
					trace()
				}
				rounds++
			}
			if calls > 0 != bb.calls {
				b.Errorf("%d calls of %s", calls, bb.fn)
			}
			b.ReportMetric(traced/plain, "traced/untraced")
			b.ReportMetric(plain/float64(rounds), "untraced-req/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
