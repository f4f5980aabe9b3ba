package uprobe

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// TestInstanceCalls: an instance's name selects its calls alone, which are as the
// program says, whatever the kernel can do.
func TestInstanceCalls(t *testing.T) {
	needRoot(t)
	for _, arch := range []string{"amd64", "386"} {
		if (&executable{arch: abi.ArchFor(arch)}).checkMachine() != nil {
			continue
		}
		path := genericProgram(t, fixture.Toolchain{Arch: arch})
		cmd := exec.Command(path)
		cmd.Stdin = strings.NewReader("\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			switch {
			case f[0] == "main.Map" && strings.HasPrefix(f[1], "main.ID ") && strings.HasPrefix(f[2], "main.Name "),
				f[0] == "main.(*Stack).Push" && strings.HasPrefix(f[1], "*main.Stack[*main.Point] "),
				f[0] == "main.Text" && strings.HasPrefix(f[1], "main.ID "):
				line := f[0]
				for _, arg := range f[1:] {
					typ, _, _ := strings.Cut(arg, " ")
					line += " " + typ
				}
				want = append(want, line)
			}
		}
		if len(want) < 6 {
			t.Fatalf("%d calls", len(want))
		}
		forEachWay(t, func(t *testing.T, lack []string) {
			var got []string
			tr, err := Trace(path, "main.Map[main.ID, main.Name]", func(c *Call) {
				line := symbols.WithoutTypeArgs(c.Instance())
				for i := range c.NumArgs() {
					v := c.Arg(i)
					line += " " + v.TypeName()
					if strings.Contains(v.String(), "go.shape.") || strings.Contains(c.Instance(), "go.shape.") {
						t.Errorf("%s: %s", c.Instance(), v)
					}
				}
				got = append(got, line)
				switch symbols.WithoutTypeArgs(c.Instance()) {
				case "main.Map":
					if k, v := c.Arg(0).String(), c.Arg(1).String(); k != "2" || v != `"two"` {
						t.Errorf("Map(%s, %s)", k, v)
					}
				case "main.(*Stack).Push":
					// Without bpf_loop what a pointer's shape leads to is absent.
					p := c.Arg(1)
					x, ok := p.Elem().Field(0).Int()
					if looped := !strings.Contains(fmt.Sprint(lack), "loops"); ok != looped || ok && x != 5 && x != 7 && x != 9 {
						t.Errorf("Push(%s): %d, %t", p, x, ok)
					}
				}
			}, WithFuncs("main.(*Stack[*main.Point]).Push", "main.Text[main.ID]"), withoutFeatures(lack...))
			if err != nil {
				t.Fatalf("%+v", err)
			}
			cmd := exec.Command(path)
			cmd.Stdin = strings.NewReader("\n")
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
			if s := tr.Stats(); s.Calls != uint64(len(want)) || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
