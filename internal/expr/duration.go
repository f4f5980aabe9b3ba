package expr

import (
	"fmt"
	"go/scanner"
	"go/token"
	"strings"
	"time"

	"github.com/argtap/argtap/abi"
)

// DurationType is the type that durations have: that of package time.
var DurationType = &abi.Type{Name: "time.Duration", Kind: abi.Int64, Size: 8, Align: 8}

// maskDurations makes Go of durations as time.ParseDuration has them, 10ms or
// 1h30m: it replaces each by an imaginary number of the same length. Everything
// else stays as it is, and where it is. It returns the durations by their offsets
// in the text, or where one is malformed its offset and what is wrong.
func maskDurations(text string) (masked string, found map[int]time.Duration, at int, wrong string) {
	if !strings.ContainsAny(text, "smh") {
		return text, nil, 0, ""
	}
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, 0)
	out := []byte(text)
	// A duration begins with a number and goes on with what follows it without a
	// space, a name at first.
	start, end, named := -1, -1, false
	finish := func() bool {
		if start < 0 || !named {
			start = -1
			return true
		}
		d, err := time.ParseDuration(text[start:end])
		if err != nil {
			at = start
			wrong = fmt.Sprintf("%s is no duration: one is a number with a unit, ns, us, ms, s, m or h, as 10ms, 1.5s or 1h30m", text[start:end])
			return false
		}
		if found == nil {
			found = map[int]time.Duration{}
		}
		found[start] = d
		for i := start; i < end-1; i++ {
			out[i] = '1'
		}
		out[end-1] = 'i'
		start = -1
		return true
	}
	for {
		pos, t, lit := s.Scan()
		if t == token.EOF {
			break
		}
		begin := file.Offset(pos)
		number := t == token.INT || t == token.FLOAT
		if start >= 0 && begin == end && (number && named || t == token.IDENT) {
			end += len(lit)
			named = named || t == token.IDENT
			continue
		}
		if !finish() {
			return text, nil, at, wrong
		}
		if number && len(lit) > 0 {
			start, end, named = begin, begin+len(lit), false
		}
	}
	if !finish() {
		return text, nil, at, wrong
	}
	return string(out), found, 0, ""
}
