package e2e

import (
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestGenericCapture captures expressions over parameters of generic code, whose
// types are shapes, and which take a walk to follow.
func TestGenericCapture(t *testing.T) {
	needRoot(t)
	path := fixture.BuildWith(t, fixture.Toolchain{}, genericSource(t))
	want, whole := runGeneric(t, path, []string{"main.Words"})
	_, got := runGeneric(t, path, []string{"main.Words"}, uprobe.WithCapture("len(m)", "m", "c", "f", "cap(c)"))
	if len(got) != len(whole) || len(got) == 0 || len(want) == 0 {
		t.Fatalf("%d calls with expressions, %d without", len(got), len(whole))
	}
	for i, c := range got {
		if c.instance != whole[i].instance {
			t.Errorf("call %d: of %s, want %s", i, c.instance, whole[i].instance)
		}
		if c.args[0] != "int 1" || c.args[4] != "int 1" {
			t.Errorf("call %d: %s", i, c)
		}
		if !strings.Contains(c.args[1], "map[") {
			t.Errorf("call %d: no map: %s", i, c)
		}
	}
}
