package lint

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// maxLines is how long a Go file may be that is no test.
const maxLines = 600

// magics begin files that no repository of sources has.
var magics = map[string]string{
	"\x7fELF":           "ELF",
	"MZ":                "PE",
	"\xfe\xed\xfa\xce":  "Mach-O",
	"\xfe\xed\xfa\xcf":  "Mach-O",
	"\xce\xfa\xed\xfe":  "Mach-O",
	"\xcf\xfa\xed\xfe":  "Mach-O",
	"\xca\xfe\xba\xbe":  "Mach-O or Java",
	"!<arch>\n":         "archive",
	"\x1f\x8b":          "gzip",
	"\x28\xb5\x2f\xfd":  "zstd",
	"PK\x03\x04":        "zip",
	"\xfd7zXZ\x00":      "xz",
	"\x89PNG\r\n\x1a\n": "PNG",
	"go object ":        "Go object",
}

// kindOf returns what kind of binary a file is, "" for text.
func kindOf(b []byte) string {
	for magic, kind := range magics {
		if bytes.HasPrefix(b, []byte(magic)) {
			return kind
		}
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "binary"
	}
	return ""
}

// machinePath matches paths that only exist where somebody works.
var machinePath = regexp.MustCompile(`(?:^|[^\w.)\]*])/(?:work|root|home|Users|mnt)/[\w.]`)

func TestFiles(t *testing.T) {
	for _, file := range allFiles(t) {
		b := read(t, file)
		if kind := kindOf(b); kind != "" {
			t.Errorf("%s is a %s file: tests build what they need from source", file, kind)
			continue
		}
		if m := machinePath.FindIndex(b); m != nil {
			t.Errorf("%s:%d: names a path of a machine: %q", file, 1+bytes.Count(b[:m[0]], []byte("\n")), b[m[0]:m[1]])
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
			if n := bytes.Count(b, []byte("\n")); n > maxLines {
				t.Errorf("%s has %d lines, at most %d are allowed: split it", file, n, maxLines)
			}
		}
	}
}

// TestFileRules makes sure that the rules can be broken.
func TestFileRules(t *testing.T) {
	for text, want := range map[string]string{
		"package x\n": "", "\x7fELF\x02": "ELF", "MZ\x90": "PE", "a\x00b": "binary", "\xcf\xfa\xed\xfe\x07": "Mach-O",
	} {
		if got := kindOf([]byte(text)); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, dir := range []string{"work", "root", "home", "Users"} {
		if s := "see /" + dir + "/x"; !machinePath.MatchString(s) {
			t.Errorf("%q is not noticed", s)
		}
	}
	for _, s := range []string{"frame/work/x", "https://example.com/home/x", "main.(*T)/work/x", "/proc/self/exe"} {
		if machinePath.MatchString(s) {
			t.Errorf("%q is noticed", s)
		}
	}
}
