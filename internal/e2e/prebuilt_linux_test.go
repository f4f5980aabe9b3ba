package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// prebuiltVar is a directory with fixture programs that were built elsewhere, for
// machines without Go: PROGRAM-MINOR, as in containers-27 for one that Go 1.27
// built.
const prebuiltVar = "ARGTAP_PREBUILT"

// TestPrebuilt does what the tests of fixture programs do with those of the
// directory.
func TestPrebuilt(t *testing.T) {
	dir := os.Getenv(prebuiltVar)
	if dir == "" {
		t.Logf("no directory of programs: %s names one", prebuiltVar)
		return
	}
	needRoot(t)
	files, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no programs in %s: %v", dir, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			name, release, _ := strings.Cut(filepath.Base(path), "-")
			minor, err := strconv.Atoi(release)
			if err != nil {
				t.Fatal(err)
			}
			if name != "containers" && name != "storm" && withoutLoops() {
				t.Log("the kernel has no loops")
				return
			}
			switch name {
			case "containers":
				testContainers(t, path, minor >= 23, minor < 12)
			case "storm":
				testStorm(t, path, 5*time.Second, 1000)
			case "walk":
				compareWalk(t, path, minor)
			case "stack":
				testStack(t, path, 64, minor)
				if minor >= 21 { // which have the parent's ID
					testAggregateStacks(t, path, 32, uprobe.WithCount(identity...))
				}
				testStackPlaces(t, path, minor, false)
			case "generic":
				compareGeneric(t, path, minor < 22)
			default:
				t.Fatalf("no test for %s", name)
			}
		})
	}
}
