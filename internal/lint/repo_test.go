package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/argtap/argtap"

// root is the repository's directory, as seen from this package's.
var root = filepath.Join("..", "..")

// repoFiles returns the paths of all files of the repository, from its root,
// with slashes.
var repoFiles = sync.OnceValues(func() ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		return slices.DeleteFunc(files, func(f string) bool {
			_, err := os.Lstat(filepath.Join(root, f))
			return err != nil // removed, but not yet committed
		}), nil
	}
	// Not a checkout, or no git here: everything that lies there.
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".cache") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	return files, err
})

func allFiles(t *testing.T) []string {
	t.Helper()
	files, err := repoFiles()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(files, "go.mod") || len(files) < 50 {
		t.Fatalf("this is not the repository: %d files", len(files))
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goFile is a parsed Go file of the module.
type goFile struct {
	path string // from the root
	dir  string // of path, "." for the root
	test bool
	fset *token.FileSet
	ast  *ast.File
}

// goFiles parses the Go files of the module's packages, whatever their build
// constraints say; not those in testdata, which are programs of their own.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	fset := token.NewFileSet()
	for _, path := range allFiles(t) {
		if !strings.HasSuffix(path, ".go") || strings.Contains("/"+path, "/testdata/") {
			continue
		}
		f, err := parser.ParseFile(fset, path, read(t, path), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		dir := "."
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			dir = path[:i]
		}
		files = append(files, goFile{path, dir, strings.HasSuffix(path, "_test.go"), fset, f})
	}
	return files
}

// exported returns the exported names that a file declares, methods included.
func (f goFile) exported() map[string]bool {
	names := map[string]bool{}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[d.Name.Name] = d.Name.IsExported()
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names[spec.Name.Name] = spec.Name.IsExported()
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						names[n.Name] = n.IsExported()
					}
				}
			}
		}
	}
	maps.DeleteFunc(names, func(_ string, exported bool) bool { return !exported })
	return names
}
