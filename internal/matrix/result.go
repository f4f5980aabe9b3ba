package matrix

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Result is what came of a cell on a kernel.
type Result struct {
	Cell
	// Kernel is the first two numbers of its release, as "6.1".
	Kernel string `json:"kernel"`
	// Impossible says why such programs can't be built, or not traced here.
	// All else is then zero.
	Impossible string `json:"impossible,omitempty"`
	// Functions that were traced, by all passes together.
	Functions int `json:"functions"`
	// Calls that were compared, and Values: scalars, strings and words that
	// were there and right.
	Calls  int `json:"calls"`
	Values int `json:"values"`
	// Wrong values, Missing calls and Extra ones.
	Wrong   int `json:"wrong"`
	Missing int `json:"missing"`
	Extra   int `json:"extra"`
	// Sources counts the functions by what tells of their arguments.
	Sources map[string]int `json:"sources,omitempty"`
	// Absent counts what was not there, by reason: see [fixture.Report].
	Absent map[string]int `json:"absent,omitempty"`
	// Not counts the functions that can't be traced, by reason.
	Not map[string]int `json:"not,omitempty"`
	// Failed are other failures: of programs that did not run, of probes that
	// were not attached, of values that are absent for no good reason.
	Failed []string `json:"failed,omitempty"`
	// Diffs are differences, for whoever looks for their cause.
	Diffs []string `json:"-"`
}

// OK reports whether everything that was seen is right, and there was something.
func (r *Result) OK() bool {
	return r.Impossible != "" || r.Calls > 0 && r.Wrong+r.Missing+r.Extra == 0 && len(r.Failed) == 0
}

func (r *Result) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Failed, text) {
		r.Failed = append(r.Failed, text)
	}
}

func count(m *map[string]int, key string, n int) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key] += n
}

// order sorts results: by machine, release, flavour and kernel.
func order(a, b Result) int {
	return cmp.Or(
		cmp.Compare(slices.Index(Archs, a.Arch), slices.Index(Archs, b.Arch)),
		compareNumbers(a.Release, b.Release),
		cmp.Compare(flavourIndex(a.Flavour), flavourIndex(b.Flavour)),
		compareNumbers(a.Kernel, b.Kernel),
	)
}

// compareNumbers compares "1.9.7" and "1.11.13".
func compareNumbers(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	return slices.CompareFunc(as, bs, func(a, b string) int {
		x, xerr := strconv.Atoi(a)
		y, yerr := strconv.Atoi(b)
		if xerr != nil || yerr != nil {
			return strings.Compare(a, b)
		}
		return cmp.Compare(x, y)
	})
}

// ReadResults reads results, one a line.
func ReadResults(r io.Reader) ([]Result, error) {
	var list []Result
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var res Result
		if err := json.Unmarshal(in.Bytes(), &res); err != nil {
			return list, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, res)
	}
	return list, in.Err()
}

// WriteResults writes results, one a line.
func WriteResults(w io.Writer, list []Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range list {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// Record puts results into a file of such, in the place of those of the same
// cells and kernels.
func Record(name string, results []Result) error {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := ReadResults(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, r := range results {
		i := slices.IndexFunc(all, func(o Result) bool { return order(o, r) == 0 })
		if i < 0 {
			all = append(all, r)
		} else {
			all[i] = r
		}
	}
	slices.SortStableFunc(all, order)
	var b bytes.Buffer
	if err := WriteResults(&b, all); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
