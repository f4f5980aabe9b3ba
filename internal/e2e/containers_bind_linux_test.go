package e2e

import (
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestContainersInGo: maps and channels become Go values of the handler's own.
func TestContainersInGo(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": containersSource, "shape.go": shapeSource})
	var texts []map[string]string
	var lists []map[string][]string
	var plain []any
	var chans [][]int
	bound := func(m map[string]string, n map[string][]string) {
		texts, lists = append(texts, m), append(lists, n)
	}
	names, err := uprobe.Trace(path, "main.names", func(c *uprobe.Call) {
		plain = append(plain, c.Arg(0).Any())
	}, uprobe.Bind(bound), uprobe.WithDepth(10))
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	channels, err := uprobe.Trace(path, "main.chans", func(c *uprobe.Call) {
		v := c.Arg(0)
		var elems []int
		for i := range v.Captured() {
			n, _ := v.Index(i).Int()
			elems = append(elems, int(n))
		}
		chans = append(chans, elems)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer channels.Close()
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names.Close()
	channels.Close()

	// What testdata/containers does.
	var wantTexts []map[string]string
	var wantLists []map[string][]string
	a, b := map[string]string{}, map[string][]string{}
	for i := range 20 {
		k := strings.Repeat("k", i%5) + fmt.Sprint(i)
		a[k] = "v" + k
		b[k] = []string{k, a[k]}[:i%3]
		if i%4 == 0 {
			ca, cb := map[string]string{}, map[string][]string{}
			for k := range a {
				ca[k], cb[k] = a[k], b[k]
			}
			wantTexts, wantLists = append(wantTexts, ca), append(wantLists, cb)
		}
	}
	if !reflect.DeepEqual(texts, wantTexts) || !reflect.DeepEqual(lists, wantLists) {
		t.Errorf("bound %v and %v, want %v and %v", texts, lists, wantTexts, wantLists)
	}
	if len(plain) != len(wantTexts) {
		t.Fatalf("%d values, want %d", len(plain), len(wantTexts))
	}
	for i, p := range plain {
		want := map[string]any{}
		for k, v := range wantTexts[i] {
			want[k] = v
		}
		if !reflect.DeepEqual(p, want) {
			t.Errorf("Any is %#v, want %#v", p, want)
		}
	}
	want := [][]int{nil, nil, {1, 2, 3}, {3, 4, 5, 6}, {3, 4, 5, 6, 7}, nil}
	if len(chans) < len(want) || !reflect.DeepEqual(chans[:len(want)], want) {
		t.Errorf("channels have %v, want %v", chans, want)
	}
}
