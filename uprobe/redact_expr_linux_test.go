package uprobe

import (
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestRedactedExpressions captures parts of what is redacted by its type, or by a
// name that the expression does not have.
func TestRedactedExpressions(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "redact")
	for _, tt := range []struct {
		fn     string
		hidden []string
		seen   int // needles, without redaction
	}{
		{"hidden", []string{"v.Gold", "*v", "v.Name", "v.Name[2]", "len(v.Name)", `v.Name == "a"`, "k", "k[0]", "k[:9]", "len(k)", "list[0]", "list[0][1]",
			"len(list[0])", "list[:1]", "h.Text", "h.Text[1]", "c.Vault.Gold", "c.key[:0]", "cap(c.Keys)"}, 7},
		{"generic", []string{"x", "x[0]", "len(x)", "s", "s[0]", "len(s)", "*y", "y.Gold", "y.Name"}, 7},
	} {
		public := map[string]string{"hidden": "c.User", "generic": "user"}[tt.fn]
		opts := []Option{WithRedact("main.Vault", "main.Key"), WithCapture(append(tt.hidden, public)...)}
		c := redactedCalls(t, path, []string{tt.fn}, opts...)[tt.fn]
		for i, e := range tt.hidden {
			if r, ok := c.call.Arg(i).Absent(); !ok || r != abi.Redacted.String() {
				t.Errorf("%s: %s is %s", tt.fn, e, c.call.Arg(i))
			}
		}
		if n := c.seen(); n != 0 || !strings.Contains(c.text, public+`="PUBLIC"`) {
			t.Errorf("%s: %d secrets are seen: %s", tt.fn, n, c.text)
		}
		c = redactedCalls(t, path, []string{tt.fn}, append(opts, WithoutRedaction())...)[tt.fn]
		if n := c.seen(); n < tt.seen {
			t.Errorf("%s: %d secrets are seen without redaction, want %d: %s", tt.fn, n, tt.seen, c.text)
		}
	}
}
