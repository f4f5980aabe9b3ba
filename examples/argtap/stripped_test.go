package main

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// workSignature is main.work's, for a binary that knows no types.
const workSignature = "func(n int, s string, p *struct { X, Y int32; Name string; tag [2]uint8 }, b []byte, ok bool, u []uint16) int"

// noDebugInfo runs a test on the target without debug information, and without
// a symbol table as well.
func noDebugInfo(t *testing.T, test func(t *testing.T, path string)) {
	t.Run("-w", func(t *testing.T) { test(t, built.noDWARF) })
	t.Run("-s -w", func(t *testing.T) { test(t, built.stripped) })
}

// TestStrippedList wants the functions that the whole binary has.
func TestStrippedList(t *testing.T) {
	// The linker writes the dots of assembly as they are in symbol tables only.
	names := func(path string) []string {
		lines := argtap(t, "list", path).lines()
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], "·", ".")
		}
		slices.Sort(lines)
		return lines
	}
	want := names(built.target)
	if len(want) < 1000 {
		t.Fatalf("list finds %d functions in the whole binary", len(want))
	}
	noDebugInfo(t, func(t *testing.T, path string) {
		got := names(path)
		for _, name := range want {
			if _, ok := slices.BinarySearch(got, name); !ok {
				t.Errorf("%s is missing", name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d functions, want %d", len(got), len(want))
		}
	})
}

// TestStrippedInspect wants to be told what describes the arguments.
func TestStrippedInspect(t *testing.T) {
	noDebugInfo(t, func(t *testing.T, path string) {
		for _, test := range []struct {
			args []string
			want []string
		}{
			{[]string{path, "main.work"}, []string{"source\targument sizes\n", "signature\tfunc(uint64, group, uint64, group, uint8, group)\n",
				"_\tuint8\t(its register is not known without a signature):1\tsize only\tits register is not known without a signature\n"}},
			{[]string{"-signature", workSignature, path, "main.work"}, []string{"source\tas given\n",
				"\n    s\tstring\tRBX:8 RCX:8\tsizes agree\n", "\n    u\t[]uint16\t[CFA+0]:24\tsizes agree\n"}},
			{[]string{path, "fmt.(*pp).Write"}, []string{"source\truntime type data\n", "signature\tfunc (*fmt.pp) ([]uint8) (int, error)\n"}},
			{[]string{"-debug-file", built.target, path, "main.work"}, []string{"source\tdebug information", built.target, "\n    n\tint\tRAX:8\tagree\n"}},
		} {
			r := argtap(t, append([]string{"inspect"}, test.args...)...)
			if r.code != 0 || r.stderr != "" {
				t.Errorf("inspect %s: status %d\n%s", test.args, r.code, r.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("inspect %s: output lacks %q:\n%s", test.args, want, r.stdout)
				}
			}
		}
	})
}

// TestStrippedErrors gives descriptions that cannot be those of the function.
func TestStrippedErrors(t *testing.T) {
	noDebugInfo(t, func(t *testing.T, path string) {
		for _, test := range []struct {
			args  []string
			texts []string
		}{
			{[]string{"-signature", "func(n int", path, "main.work"}, []string{"main.work", "column 11", "write a Go func type"}},
			{[]string{"-signature", "func(n int)", path, "main.work"}, []string{"main.work", `"func(n int)"`, "recorded other arguments"}},
			{[]string{"-debug-file", built.argtap, path, "main.work"}, []string{built.argtap, "build"}},
			{[]string{"-debug-file", path + ".no", path, "main.work"}, []string{path + ".no", "no such file"}},
			{[]string{path, "main.wrok"}, []string{"no such function", "did you mean main.work"}},
		} {
			wantError(t, argtap(t, append([]string{"inspect"}, test.args...)...), test.texts...)
			if canTrace() {
				wantError(t, argtap(t, append([]string{"trace"}, test.args...)...), test.texts...)
			}
		}
	})
}

// TestStrippedTrace compares what is captured with what the target says.
func TestStrippedTrace(t *testing.T) {
	needTrace(t)
	noDebugInfo(t, func(t *testing.T, path string) {
		for name, flags := range map[string][]string{
			"signature":  {"-signature", workSignature},
			"debug file": {"-debug-file", built.target},
		} {
			t.Run(name, func(t *testing.T) {
				args := append([]string{"trace", "-json"}, flags...)
				r := argtap(t, append(args, path, "main.work", "--", path, "-n", "9")...)
				want := announced(t, r, "main.work")
				if c := countsOf(t, r); r.code != 0 || c != (counts{calls: 9, delivered: 9}) || len(want) != 9 || len(r.lines()) != 9 {
					t.Fatalf("status %d, %d calls announced, %+v\n%s", r.code, len(want), c, r.stderr)
				}
				for i, line := range r.lines() {
					var got struct{ Args []struct{ Value any } }
					if err := json.Unmarshal([]byte(line), &got); err != nil {
						t.Fatalf("%s: %v", line, err)
					}
					var values []any
					for _, a := range got.Args {
						values = append(values, a.Value)
					}
					if !reflect.DeepEqual(values, want[i].Args) {
						t.Errorf("call %d is %v, the target says %v", i, values, want[i].Args)
					}
				}
			})
		}
		// Of sizes alone nothing is made up.
		r := argtap(t, "trace", path, "main.work", "--", path, "-n", "2", "-quiet")
		if c := countsOf(t, r); c != (counts{calls: 2, delivered: 2}) || r.code != 0 {
			t.Errorf("status %d, counts %+v", r.code, c)
		}
		for _, line := range r.lines() {
			if !strings.Contains(line, "main.work(<its register is not known without a signature>, {<") {
				t.Errorf("line %q", line)
			}
		}
	})
}
