package dwarfargs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/typename"
)

// sourceOrder returns the names of the parameters of all functions of the
// release's standard library and of testdata/releases, by symbol, receiver
// first, blank ones left out; then an empty name, and those of the results, "_"
// for each without a name.
// Functions that are declared several times, for other systems, have several
// lists.
func sourceOrder(t testing.TB, release string) (map[string][][]string, error) {
	tc := toolchain(t, release, "amd64")
	cmd := random.GoCommand("env", "GOROOT")
	if tc.Release != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN=go"+tc.Release, "GOFLAGS=", "GO111MODULE=on")
		if path, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output(); err == nil {
			if cache, proxy, ok := strings.Cut(strings.TrimSpace(string(path)), "\n"); ok {
				cmd.Env = append(cmd.Env, "GOMODCACHE="+cache, "GOPROXY="+proxy)
			}
		}
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT of %s: %w", release, err)
	}
	all := make(map[string][][]string)
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "testdata" || e.Name() == "cmd"):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return readOrder(all, filepath.ToSlash(pkg), path)
	})
	if err != nil {
		return nil, err
	}
	own, err := filepath.Glob("testdata/releases/*.go")
	for _, path := range own {
		if err == nil {
			err = readOrder(all, "main", path)
		}
	}
	return all, err
}

func readOrder(all map[string][][]string, pkg, path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil // made to be rejected
	}
	// Symbols escape the dots of an import path's last element.
	if i := strings.LastIndexByte(pkg, '/'); i >= 0 {
		pkg = pkg[:i] + strings.ReplaceAll(pkg[i:], ".", "%2e")
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Type.TypeParams != nil || fn.Body == nil { // without: linked to another
			continue
		}
		name := pkg + "." + fn.Name.Name
		var names []string
		if fn.Recv != nil {
			recv, ok := receiverName(fn.Recv.List[0].Type)
			if !ok {
				continue // generic
			}
			name = pkg + "." + recv + "." + fn.Name.Name
			names = fieldNames(names, fn.Recv, false)
		}
		names = fieldNames(names, fn.Type.Params, false)
		names = append(names, "")
		all[name] = append(all[name], fieldNames(names, fn.Type.Results, true))
	}
	return nil
}

func receiverName(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return receiverName(e.X)
	case *ast.StarExpr:
		name, ok := receiverName(e.X)
		return "(*" + name + ")", ok
	case *ast.Ident:
		return e.Name, true
	}
	return "", false
}

func fieldNames(names []string, list *ast.FieldList, blanks bool) []string {
	if list == nil {
		return names
	}
	for _, f := range list.List {
		if len(f.Names) == 0 && blanks {
			names = append(names, "_")
		}
		for _, n := range f.Names {
			if n.Name != "_" || blanks {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// sameOrder compares the parameters and results of a function that are believed
// with its source. known is false if there is none, or if some of them are not
// believed.
func sameOrder(source [][]string, fd *Func, entry, ret []Resolved) (known bool, err error) {
	pkg, _ := splitPackage(fd.Name)
	if len(source) == 0 || fd.Wrapper || typename.Unescape(pkg) != fd.Unit { // another unit: linked to this name
		return false, nil
	}
	var names, none []string
	add := func(r *Resolved, blanks bool) bool {
		if r.Agreement == Unconfirmed || r.Agreement == Contradicted {
			return false
		}
		if r.Agreement == NoBytes && !blanks {
			if r.Param.Name != "_" {
				none = append(none, r.Param.Name) // of which the order does not show
			}
			return true
		}
		n := r.Param.Name
		if strings.HasPrefix(n, "~") {
			n = "_"
		}
		if n != "_" || blanks {
			names = append(names, n)
		}
		return true
	}
	for i := range entry {
		if !add(&entry[i], false) {
			return false, nil
		}
	}
	params := len(names)
	names = append(names, "")
	for i := range ret {
		if !add(&ret[i], true) {
			return false, nil
		}
	}
	for _, want := range source {
		want = slices.DeleteFunc(slices.Clone(want), func(n string) bool { return slices.Contains(none, n) })
		if fd.ResultsMissing && slices.Equal(names[:params], want[:min(params, len(want))]) || slices.Equal(names, want) {
			return true, nil
		}
	}
	return false, fmt.Errorf("%s: the source has %q", fd.Signature(), source)
}
