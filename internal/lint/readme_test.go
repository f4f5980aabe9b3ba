package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmePrograms vets the Go programs that README.md shows.
func TestReadmePrograms(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(read(t, "README.md")), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no program")
	}
	for _, b := range blocks {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(b[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "vet", file)
		cmd.Dir = root // so that it finds the module
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, b[1])
		}
		if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("program is not formatted: %v\n%s", err, b[1])
		}
	}
}

// TestReadmeNames checks that what README.md names is there: directories,
// linked files, and what it says uprobe exports.
func TestReadmeNames(t *testing.T) {
	text := string(read(t, "README.md"))
	files := allFiles(t)
	var exported []string
	for _, f := range goFiles(t) {
		if f.dir == "uprobe" && !f.test {
			for name := range f.exported() {
				exported = append(exported, name)
			}
		}
	}
	checked := 0
	for _, m := range regexp.MustCompile(`\./(examples/\w+|\.\w+/\w+)|\]\((\w+)\)|bash (\.ci/run)`).FindAllStringSubmatch(text, -1) {
		name := m[1] + m[2] + m[3]
		checked++
		if !slices.ContainsFunc(files, func(f string) bool { return f == name || strings.HasPrefix(f, name+"/") }) {
			t.Errorf("README.md names %s, which is not there", name)
		}
	}
	for _, m := range regexp.MustCompile("uprobe\\.([A-Z]\\w+)|`(With\\w+|Limits|Stats|Clone)").FindAllStringSubmatch(text, -1) {
		name := m[1] + m[2]
		checked++
		if !slices.Contains(exported, name) {
			t.Errorf("README.md names %s, which uprobe does not export", name)
		}
	}
	if checked < 10 {
		t.Errorf("only %d names found in README.md", checked)
	}
}
