package leaktest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// TestSince finds a file and a goroutine that are left, and nothing when they are
// gone.
func TestSince(t *testing.T) {
	before := Now()
	f, err := os.Open("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan bool)
	go func() { <-stop }()
	left := before.since()
	if len(left) != 2 || !strings.Contains(left[0], "1 goroutines, 0 before") || !strings.Contains(left[1], "doc.go") {
		t.Errorf("%q is left", left)
	}
	f.Close()
	close(stop)
	if left := before.Since(); len(left) != 0 {
		t.Errorf("%q is left", left)
	}
}

// TestObjects finds a map while it is open.
func TestObjects(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("must run as root")
		}
		t.Skip("needs root")
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	o := Object{"map", uint32(id)}
	if !slices.Contains(Objects(0), o) || !o.Alive() {
		t.Errorf("%v is not in %v, or not alive", o, Objects(0))
	}
	m.Close()
	if slices.Contains(Objects(0), o) {
		t.Errorf("%v is in %v", o, Objects(0))
	}
	// Maps are freed after a grace period.
	for deadline := time.Now().Add(patience); o.Alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v is still alive", o)
		}
	}
}
