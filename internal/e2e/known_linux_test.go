package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// knownProgram calls functions with pointers to structs of known types, after
// saying what each field is: as package fmt prints it, or in the words of the
// program where fmt prints fields; and as encoding/json does, if that is more than
// fields. Go 1.11 must be able to build it.
var knownProgram = fixture.Source{
	"main.go": `package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"fixture/truth"
)

type (
	times struct {
		Now, UTC, Wall, Berlin, Zero, Old time.Time
		Fixed *time.Time
		D     time.Duration
		Month time.Month
		Day   time.Weekday
	}
	nets struct {
		IP4, IP6 net.IP
		Mask     net.IPMask
		Net      *net.IPNet
		URL      *url.URL
		Plain    url.URL
	}
	uuid [16]byte
	misc struct {
		Big, Neg, Nought *big.Int
		Builder          *strings.Builder
		Buffer           *bytes.Buffer
		Raw              json.RawMessage
		Mode             os.FileMode
		Err              *error
		Type, List       reflect.Type
	}
	ids   struct{ UUID UUID }
	UUID  [16]byte
	locks struct {
		Free, Held       sync.Mutex
		RFree, RHeld, RR sync.RWMutex
		Todo, Done       sync.Once
		Idle             sync.WaitGroup
	}
)

// What is announced of a field: its JSON is compared if it is not empty.
func want(name, text string, js interface{}) {
	line := map[string]interface{}{"ev": "want", "name": name, "text": text, "json": ""}
	if js != nil {
		b, err := json.Marshal(js)
		if err != nil {
			panic(err)
		}
		line["json"] = string(b)
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	truth.Print("%s", b)
}

func both(name string, x interface{})  { want(name, fmt.Sprintf("%v", x), x) }
func text(name string, x interface{})  { want(name, fmt.Sprintf("%v", x), nil) }
func said(name string, x string)       { want(name, x, nil) }

//go:noinline
func takeTimes(x *times) {}

//go:noinline
func takeNets(x *nets) {}

//go:noinline
func takeMisc(x *misc) {}

//go:noinline
func takeIDs(x *ids) {}

//go:noinline
func takeLocks(x *locks) {}

// more is what needs later releases.
var more []func()

func main() {
	truth.Start()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	now := time.Now()
	fixed := time.Date(1999, 12, 31, 23, 59, 59, 1, time.FixedZone("HERE", -3*3600-1800))
	t := &times{now.In(time.UTC), now.UTC(), now.Round(0).UTC(), now.In(berlin), time.Time{}, time.Date(1, 2, 3, 4, 5, 6, 7, time.UTC), &fixed,
		1500 * time.Millisecond, time.May, time.Sunday}
	both("Now", t.Now)
	both("UTC", t.UTC)
	both("Wall", t.Wall)
	both("Berlin", t.Berlin)
	both("Zero", t.Zero)
	both("Old", t.Old)
	both("Fixed", t.Fixed)
	both("D", t.D)
	both("Month", t.Month)
	both("Day", t.Day)
	takeTimes(t)

	_, ipnet, _ := net.ParseCIDR("2001:db8::/32")
	u, _ := url.Parse("https://a:b@example.com:8080/x%2Fy?q=1&r=%20#frag")
	n := &nets{net.ParseIP("192.0.2.1").To4(), net.ParseIP("2001:db8::1"), net.CIDRMask(20, 32), ipnet, u, url.URL{Scheme: "mailto", Opaque: "a@b"}}
	both("IP4", n.IP4)
	both("IP6", n.IP6)
	text("Mask", n.Mask)
	text("Net", n.Net)
	text("URL", n.URL)
	text("Plain", &n.Plain)
	takeNets(n)

	large, _ := new(big.Int).SetString("123456789012345678901234567890123456789", 10)
	m := &misc{large, big.NewInt(-42), new(big.Int), new(strings.Builder), bytes.NewBufferString("0123456789"), json.RawMessage("[1,\"a\"]"), 0755 | os.ModeDir, new(error), nil, nil}
	m.Builder.WriteString("built ü")
	m.Buffer.Next(4)
	*m.Err = errors.New("x")
	m.Type, m.List = reflect.TypeOf(m), reflect.TypeOf([]net.IP{})
	text("Type", m.Type)
	text("List", m.List)
	both("Big", m.Big)
	both("Neg", m.Neg)
	both("Nought", m.Nought)
	want("Builder", m.Builder.String(), m.Builder.String())
	want("Buffer", m.Buffer.String(), m.Buffer.Bytes())
	want("Raw", string(m.Raw), m.Raw)
	both("Mode", m.Mode)
	takeMisc(m)

	id := &ids{UUID{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8}}
	want("UUID", "12345678-9abc-def0-0102-030405060708", "12345678-9abc-def0-0102-030405060708")
	takeIDs(id)

	l := new(locks)
	l.Held.Lock()
	l.RHeld.Lock()
	l.RR.RLock()
	l.RR.RLock()
	l.Done.Do(func() {})
	said("Free", "sync.Mutex(unlocked)")
	said("Held", "sync.Mutex(locked)")
	said("RFree", "sync.RWMutex(unlocked)")
	said("RHeld", "sync.RWMutex(locked)")
	said("RR", "sync.RWMutex(2 reading)")
	said("Todo", "sync.Once(not done)")
	said("Done", "sync.Once(done)")
	said("Idle", "sync.WaitGroup(0)")
	takeLocks(l)
	for _, f := range more {
		f()
	}
	truth.Done()
}
`,
	"netip.go": `//go:build go1.18
// +build go1.18

package main

import (
	"net/netip"
	"sync"
)

type addrs struct {
	None, Addr4, Mapped, Addr6, Zone netip.Addr
	PNone, Pre4, Pre6                netip.Prefix
	Port                             netip.AddrPort
}

type groups struct{ Three sync.WaitGroup }

//go:noinline
func takeAddrs(x *addrs) {}

//go:noinline
func takeGroups(x *groups) {}

func init() {
	more = append(more, func() {
		a := &addrs{netip.Addr{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
			netip.MustParseAddr("fe80::1%eth0"), netip.Prefix{}, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
			netip.MustParseAddrPort("[::1]:80")}
		both("None", a.None)
		both("Addr4", a.Addr4)
		both("Mapped", a.Mapped)
		both("Addr6", a.Addr6)
		both("Zone", a.Zone)
		both("PNone", a.PNone)
		both("Pre4", a.Pre4)
		both("Pre6", a.Pre6)
		both("Port", a.Port)
		takeAddrs(a)
		g := new(groups)
		g.Three.Add(3)
		said("Three", "sync.WaitGroup(3)")
		takeGroups(g)
	})
}
`,
	"atomic.go": `//go:build go1.19
// +build go1.19

package main

import "sync/atomic"

type atomics struct {
	I32 atomic.Int32
	I64 atomic.Int64
	U32 atomic.Uint32
	U64 atomic.Uint64
	B   atomic.Bool
	V   atomic.Value
	P   atomic.Pointer[int]
}

//go:noinline
func takeAtomics(x *atomics) {}

func init() {
	more = append(more, func() {
		a := new(atomics)
		a.I32.Store(-7)
		a.I64.Store(-1 << 40)
		a.U32.Store(1 << 31)
		a.U64.Store(1 << 63)
		a.B.Store(true)
		both("I32", a.I32.Load())
		both("I64", a.I64.Load())
		both("U32", a.U32.Load())
		both("U64", a.U64.Load())
		both("B", a.B.Load())
		both("V", nil)
		both("P", nil)
		takeAtomics(a)
	})
}
`,
}

// knownReleases are those at which the layout of a known type changed, and the
// last before.
var knownReleases = []string{"1.11.13", "1.12.17", "1.16.15", "1.17.13", "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.11", "1.26.8", "1.27.4"}

// TestKnownTypes compares how values of known types are shown with what the
// program itself prints: one that the local toolchain builds, and with
// ARGTAP_TOOLCHAINS=1 those of all releases between which a layout changed.
func TestKnownTypes(t *testing.T) {
	needRoot(t)
	t.Run("local", func(t *testing.T) { testKnownTypes(t, fixture.Toolchain{}) })
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, release := range knownReleases {
		t.Run(release, func(t *testing.T) { testKnownTypes(t, fixture.Toolchain{Release: release}) })
		if runtime.GOARCH == "amd64" {
			t.Run(release+"/386", func(t *testing.T) { testKnownTypes(t, fixture.Toolchain{Release: release, Arch: "386"}) })
		}
	}
}

// knownWant is what the program says of a field.
type knownWant struct{ Name, Text, JSON string }

func testKnownTypes(t *testing.T, tc fixture.Toolchain) {
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	path := fixture.BuildWith(t, tc, knownProgram)
	root, err := fixture.GoCommand("env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	target := fixture.Start(t, path, "ZONEINFO="+filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	got := map[string][3]string{} // text, JSON, String
	tr, err := uprobe.Trace(path, "main.take*", func(c *uprobe.Call) {
		v := c.Arg(0).Elem()
		for i, f := range v.Type().Fields {
			x := v.Field(i)
			got[f.Name] = [3]string{fmt.Sprintf("%v", x), string(x.AppendJSON(nil)), x.String()}
		}
	}, uprobe.WithPID(target.PID), uprobe.WithLimits(uprobe.Limits{Depth: 4}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer tr.Close()
	target.Go()
	want := map[string]knownWant{}
	calls := 5
	if minor >= 18 {
		calls += 2
	}
	if minor >= 19 {
		calls++
	}
	fields := []int{10, 6, 9, 1, 8, 9, 1, 7}
	n := 0
	for _, k := range fields[:calls] {
		n += k
	}
	for range n {
		var w knownWant
		target.Event("want", &w)
		want[w.Name] = w
	}
	target.Calls()
	closeAll(t, tr)
	target.Close()
	if s := tr.Stats(); s.Calls != uint64(calls) {
		t.Errorf("%d calls, want %d", s.Calls, calls)
	}
	unsure := 0
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			t.Errorf("%s was not seen", name)
			continue
		}
		if knownUnsure(name, minor, tc.Arch) {
			if !strings.HasPrefix(g[2], "netip.") && !strings.HasPrefix(g[2], "sync.WaitGroup{") || g[0] == w.Text {
				t.Errorf("%s is %s: nothing tells so in 1.%d", name, g[2], minor)
			}
			unsure++
			continue
		}
		if name == "Zone" && minor < 23 && strings.HasPrefix(g[2], "netip.") {
			continue // it is behind an interface
		}
		if g[0] != w.Text {
			t.Errorf("%s is %s, want %s", name, g[0], w.Text)
		}
		if w.JSON != "" && g[1] != unescaped(t, w.JSON) {
			t.Errorf("%s is %s, want %s", name, g[1], w.JSON)
		}
		t.Logf("%s: %s", name, g[2])
	}
	t.Logf("%d values, of them %d that nothing tells", len(want), unsure)
}

// knownUnsure says of which values the memory of a program does not tell what
// they are.
func knownUnsure(name string, minor int, arch string) bool {
	switch name {
	case "Idle", "Three":
		return arch == "386" && (minor == 18 || minor == 19)
	case "Addr4", "Mapped", "Pre4":
		return minor < 23
	}
	return false
}

// unescaped removes the escapes that encoding/json makes for browsers.
func unescaped(t *testing.T, js string) string {
	t.Helper()
	for esc, c := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		js = strings.ReplaceAll(js, esc, c)
	}
	if !json.Valid([]byte(js)) {
		t.Fatalf("%s is no JSON", js)
	}
	return js
}
