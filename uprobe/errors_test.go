package uprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argtap/argtap/symbols"
)

func TestErrorTypes(t *testing.T) {
	cause := errors.New("permission denied by the verifier")
	var err error = fmt.Errorf("./app: %w", &VerifierError{Func: "main.f", Log: "0: r0 = 0\n1: exit", Err: cause})
	if !errors.Is(err, ErrVerifier) || !errors.Is(err, cause) || errors.Is(err, ErrKernel) {
		t.Errorf("%v is not what it is", err)
	}
	ve := new(VerifierError)
	if !errors.As(err, &ve) || ve.Func != "main.f" {
		t.Errorf("%#v", ve)
	}
	const short = "function main.f: kernel rejected the program: permission denied by the verifier"
	for format, want := range map[string]string{
		"%v": short, "%s": short, "%+v": short + "\n0: r0 = 0\n1: exit",
	} {
		if got := fmt.Sprintf(format, ve); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
	err = fmt.Errorf("./app: %w", &FuncError{"main.g", fmt.Errorf("%w: %w", ErrNoDebugInfo, cause)})
	fe := new(FuncError)
	if !errors.As(err, &fe) || fe.Func != "main.g" || !errors.Is(err, ErrNoDebugInfo) || !errors.Is(err, cause) {
		t.Errorf("%v is not what it is", err)
	}
	if got, want := err.Error(), "./app: function main.g: no debug information: "+cause.Error(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestInspectErrors provokes the errors of reading a file, on any system.
func TestInspectErrors(t *testing.T) {
	path := inspectFixture(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const emRISCV, offMachine = 243, 18 // elf.h
	riscv := append([]byte(nil), whole...)
	order.PutUint16(riscv[offMachine:], emRISCV)
	for _, tt := range []struct {
		name string
		path string
		fns  []string
		is   error
		want string
	}{
		{"no file", filepath.Join(dir, "none"), []string{"main.three"}, fs.ErrNotExist, "none"},
		{"empty", write("empty", nil), []string{"main.three"}, ErrNotELF, "empty"},
		{"script", write("script", []byte("#!/bin/sh\n")), []string{"main.three"}, ErrNotELF, "script"},
		{"cut off", write("cut", whole[:3000]), []string{"main.three"}, nil, "cut"},
		{"riscv64", write("riscv64", riscv), []string{"main.three"}, ErrArch, "built for riscv64"},
		{"misspelt", path, []string{"main.thre"}, ErrNoFunc, "main.three"},
		{"no match", path, []string{"main.zz*"}, ErrNoFunc, "main.zz*"},
		{"one of two", path, []string{"main.three", "main.none"}, ErrNoFunc, "main.none"},
		{"no function", path, []string{""}, nil, "no function given"},
		{"inlined", path, []string{"main.inlined"}, ErrInlined, "main.inlined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, err := Inspect(tt.path, tt.fns[0], WithFuncs(tt.fns[1:]...))
			if err == nil || len(fs) != 0 || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, %v, want …%s…", fs, err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	path := inspectFixture(t)
	fs, err := Inspect(path, "main.(*server).*", WithFuncs("main.three", "main.(*server).serve"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fs {
		got = append(got, f.String())
		p := f.EntryProbe()
		least, most := f.RecordSize()
		if f.Entry() == 0 || f.Size() == 0 || p.Addr < f.Entry() || p.Addr >= f.Entry()+symbols.VirtAddr(f.Size()) ||
			p.Offset == 0 || p.Instruction == "" || f.Why() == "" || least < 40 || most < least || f.Signature() == nil || !f.SignatureKnown() {
			t.Errorf("%s: entry %#x, %d bytes, probe %+v (%s), record %d to %d", f, f.Entry(), f.Size(), p, f.Why(), least, most)
		}
	}
	want := []string{
		"main.(*server).serve(s *main.server @RAX:8, path string @RBX:8 RCX:8, weight float64 @X0:8)",
		"main.three(n int @RAX:8, s string @RBX:8 RCX:8, p *main.point @RDI:8)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p := fs[0].Params()
	if len(p) != 3 || p[0].Name != "s" || p[0].TypeName() != "*main.server" || p[1].LocationText() != "RBX:8 RCX:8" {
		t.Errorf("%+v", p)
	}
	if why, absent := p[1].Absent(); absent {
		t.Errorf("path is absent: %s", why)
	}
	if why, absent := p[2].Absent(); !absent || why != "register not readable" {
		t.Errorf("weight: %q, %t", why, absent)
	}
}

func TestInspectAll(t *testing.T) {
	path := inspectFixture(t)
	var names []string
	err := InspectAll(path, "main.*", func(name string, f *Func, err error) bool {
		if err == nil && f.Name() != name || err != nil && f != nil {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		names = append(names, name)
		return true
	})
	if err != nil || strings.Join(names, " ") != "main.(*server).serve main.three main.main" {
		t.Errorf("%q, %v", names, err)
	}
	n := 0
	if err := InspectAll(path, "main.*", func(string, *Func, error) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("%d functions until stopped, %v", n, err)
	}
}
