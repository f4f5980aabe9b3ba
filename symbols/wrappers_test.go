package symbols

import "testing"

func TestMethodName(t *testing.T) {
	for _, tt := range []struct {
		fn, recv, name string
		ok             bool
	}{
		{"main.T.M", "main.T", "M", true},
		{"main.(*T).M", "main.(*T)", "M", true},
		{"main.T.M-fm", "main.T", "M", true},
		{"main.(*T).M-fm", "main.(*T)", "M", true},
		{"example.com/a.b/p.(*T).M", "example.com/a.b/p.(*T)", "M", true},
		{"example.com/a%2eb.T.M", "example.com/a%2eb.T", "M", true},
		{"main.G[int].M", "main.G[int]", "M", true},
		{"main.(*G[go.shape.[]a/b.T]).M", "main.(*G[go.shape.[]a/b.T])", "M", true},
		{"main.F", "", "", false},
		{"example.com/a.b/p.F", "", "", false},
		{"main.F[a/b.T]", "", "", false},
		{"main.F.func1", "", "", false},
		{"main.F.func1.2", "", "", false},
		{"main.F.gowrap1", "", "", false},
		{"main.F·dwrap·1", "", "", false},
		{"main.F-range1", "", "", false},
		{".M", "", "", false},
		{"main.", "", "", false},
		{"", "", "", false},
	} {
		recv, name, ok := MethodName(tt.fn)
		if recv != tt.recv || name != tt.name || ok != tt.ok {
			t.Errorf("MethodName(%q) = %q, %q, %t, want %q, %q, %t", tt.fn, recv, name, ok, tt.recv, tt.name, tt.ok)
		}
	}
}
