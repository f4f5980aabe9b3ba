package uprobe

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/argtap/argtap/internal/probegen"
)

// Aggregate is what was counted of the calls of a function under a key: see
// [WithCount] and [WithHistogram].
type Aggregate struct {
	Func *Func
	// Key are the parts of the key, in the order in which they were given. It is nil
	// if there is no key, and of Other.
	Key []Key
	// Other says that these are the calls of all keys for which there was no room:
	// see [WithMaxKeys].
	Other bool
	// Count is the number of calls: of a histogram, that of those that have a value.
	Count uint64
	// Absent is the number of calls in which the value of the histogram is absent, and
	// AbsentWhy has the reasons that there were.
	Absent    uint64
	AbsentWhy []string
	// Buckets of a histogram, in the order of their values: from the first to the last
	// that is not empty.
	Buckets []Bucket

	value       aggregatedPart
	scale       *probegen.Buckets // nil if it is no histogram
	least, most Int
	sum         *big.Int
}

// Key is a part of a key.
type Key struct {
	// Expr is the expression.
	Expr string
	// Value is an int64, a uint64, a bool or a string, as the expression's kind is, a
	// [Frame] for "creator", and a [Stack] for "stack". It is nil if there was none.
	Value any
	// Absent is why there was no value, "" if there was.
	Absent string
	// Cut says that Value is the beginning of a longer string, and that all strings
	// with this beginning are counted here.
	Cut bool
}

// String returns the value in Go syntax, a string that was cut with "…" behind it, and
// of what is absent the reason, as in "(nil pointer)". A frame is function, file and
// line, a stack its functions, the innermost first: "main.work < main.main".
func (k Key) String() string {
	switch v := k.Value.(type) {
	case nil:
		return "(" + k.Absent + ")"
	case string:
		s := strconv.Quote(v)
		if k.Cut {
			s += "…"
		}
		return s
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case Frame:
		return v.brief()
	case Stack:
		return v.brief()
	}
	return ""
}

// Bucket is the number of calls whose value is from Low to High, both included.
type Bucket struct {
	Low, High Int
	Count     uint64
}

// Int is an integer of up to 64 bits, with or without a sign.
type Int struct {
	bits     uint64
	unsigned bool
}

// Int64 returns the integer. It is not ok if it does not fit.
func (i Int) Int64() (n int64, ok bool) { return int64(i.bits), !i.unsigned || i.bits <= math.MaxInt64 }

// Uint64 returns the integer. It is not ok if it is negative.
func (i Int) Uint64() (n uint64, ok bool) { return i.bits, i.unsigned || int64(i.bits) >= 0 }

// Float64 returns the integer, or what is next to it.
func (i Int) Float64() float64 {
	if i.unsigned {
		return float64(i.bits)
	}
	return float64(int64(i.bits))
}

func (i Int) big() *big.Int {
	if i.unsigned {
		return new(big.Int).SetUint64(i.bits)
	}
	// Not big.NewInt, whose sign some versions of QEMU get wrong: see internal/vm.
	return new(big.Int).SetInt64(int64(i.bits))
}

// String returns the integer in decimal.
func (i Int) String() string {
	if i.unsigned {
		return strconv.FormatUint(i.bits, 10)
	}
	return strconv.FormatInt(int64(i.bits), 10)
}

// MarshalJSON implements json.Marshaler: a number.
func (i Int) MarshalJSON() ([]byte, error) { return []byte(i.String()), nil }

// Expr returns the expression of the histogram, "" if there is none.
func (a *Aggregate) Expr() string { return a.value.text }

// IsDuration reports whether the values are durations in nanoseconds: those of the
// calls, or of an expression of type time.Duration.
func (a *Aggregate) IsDuration() bool {
	return a.scale != nil && (a.value.typ == nil || a.value.typ.Name == "time.Duration")
}

// Min returns the smallest value. It is 0 if Count is.
func (a *Aggregate) Min() Int { return a.least }

// Max returns the largest value. It is 0 if Count is.
func (a *Aggregate) Max() Int { return a.most }

// Sum returns the sum of all values. It is 0 for counts.
func (a *Aggregate) Sum() *big.Int {
	if a.sum == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(a.sum)
}

// Mean returns the mean of the values, NaN if there are none.
func (a *Aggregate) Mean() float64 {
	if a.sum == nil {
		return math.NaN()
	}
	sum, _ := new(big.Float).SetInt(a.sum).Float64()
	return sum / float64(a.Count)
}

// Quantile returns an estimate of the value that the fraction q of the values does not
// exceed, such as 0.99, NaN if there are none: what it would be if the values of a bucket
// lay evenly between the bounds of the bucket, or the extremes where these are closer.
func (a *Aggregate) Quantile(q float64) float64 {
	if a.sum == nil {
		return math.NaN()
	}
	left := min(max(q, 0), 1) * float64(a.Count)
	for i, b := range a.Buckets {
		n := float64(b.Count)
		if left > n && i < len(a.Buckets)-1 {
			left -= n
			continue
		}
		if n == 0 {
			break // by rounding
		}
		low, high := max(b.Low.Float64(), a.least.Float64()), min(b.High.Float64(), a.most.Float64())
		return low + (high-low)*min(left/n, 1)
	}
	return a.most.Float64()
}

// Format returns a value as people read it: as a duration of four digits if it is one.
func (a *Aggregate) Format(value float64) string {
	switch {
	case math.IsNaN(value):
		return "-"
	case a.IsDuration() && math.Abs(value) < 1<<62:
		d, unit := time.Duration(value), time.Duration(1)
		for d/unit >= 1e4 || d/unit <= -1e4 {
			unit *= 10
		}
		return d.Round(unit).String()
	}
	return strconv.FormatFloat(math.Round(value), 'f', -1, 64)
}

// String returns the key and what was counted in one line:
//
//	main.serve "GET" true: 1204, mean 310, min 0, p50 290, p90 500, p99 990, max 1021
func (a Aggregate) String() string {
	var b strings.Builder
	b.WriteString(a.Func.Name())
	for _, k := range a.Key {
		b.WriteString(" " + k.String())
	}
	if a.Other {
		b.WriteString(" (other keys)")
	}
	b.WriteString(": " + strconv.FormatUint(a.Count, 10))
	if s := a.Summary(); s != "" {
		b.WriteString(", " + s)
	}
	return b.String()
}

// Summary returns mean, extremes and quantiles of a histogram in one line, and what is
// absent. It is empty for counts.
func (a *Aggregate) Summary() string {
	var parts []string
	if a.sum != nil {
		parts = []string{
			"mean " + a.Format(a.Mean()), "min " + a.extreme(a.least), "p50 " + a.Format(a.Quantile(0.5)),
			"p90 " + a.Format(a.Quantile(0.9)), "p99 " + a.Format(a.Quantile(0.99)), "max " + a.extreme(a.most),
		}
	}
	if a.Absent > 0 {
		parts = append(parts, strconv.FormatUint(a.Absent, 10)+" absent ("+strings.Join(a.AbsentWhy, ", ")+")")
	}
	return strings.Join(parts, ", ")
}

// extreme returns a minimum or maximum as text, all its digits if it is no duration.
func (a *Aggregate) extreme(i Int) string {
	if a.IsDuration() {
		return a.Format(i.Float64())
	}
	return i.String()
}

// MarshalJSON implements json.Marshaler:
//
//	{"func":"main.serve","key":[{"expr":"r.Method","value":"GET"}],"count":3,"value":"len(body)",
//	 "sum":60,"mean":20,"min":10,"p50":16,"p90":30,"p99":31,"max":31,
//	 "buckets":[{"low":8,"high":15,"count":1},{"low":16,"high":31,"count":2}]}
//
// A part of a key that has no value is {"expr":…,"absent":"reason"}, a string that was cut
// has "cut":true. A frame is {"func":…,"file":…,"line":…}, a stack a list of frames, with "end":"reason"
// beside it if there are more. Durations have "unit":"ns", lines "file" and "line". Calls without a value are "absent":1,"absent_why":["reason"], those
// of other keys have "other":true.
func (a Aggregate) MarshalJSON() ([]byte, error) {
	type part struct {
		Expr   string `json:"expr"`
		Value  any    `json:"value,omitempty"`
		Absent string `json:"absent,omitempty"`
		Cut    bool   `json:"cut,omitempty"`
		End    string `json:"end,omitempty"`
	}
	type bucket struct {
		Low   Int    `json:"low"`
		High  Int    `json:"high"`
		Count uint64 `json:"count"`
	}
	type stats struct {
		Sum  *big.Int `json:"sum"`
		Mean float64  `json:"mean"`
		Min  Int      `json:"min"`
		P50  float64  `json:"p50"`
		P90  float64  `json:"p90"`
		P99  float64  `json:"p99"`
		Max  Int      `json:"max"`
	}
	out := struct {
		Func  string `json:"func"`
		File  string `json:"file,omitempty"`
		Line  int    `json:"line,omitempty"`
		Key   []part `json:"key,omitempty"`
		Other bool   `json:"other,omitempty"`
		Count uint64 `json:"count"`
		Value string `json:"value,omitempty"`
		Unit  string `json:"unit,omitempty"`
		*stats
		Absent    uint64   `json:"absent,omitempty"`
		AbsentWhy []string `json:"absent_why,omitempty"`
		Buckets   []bucket `json:"buckets,omitempty"`
	}{
		Func: a.Func.Name(), Other: a.Other, Count: a.Count, Value: a.value.text, Absent: a.Absent, AbsentWhy: a.AbsentWhy,
	}
	out.File, out.Line = a.Func.Line()
	if a.IsDuration() {
		out.Unit = "ns"
	}
	for _, k := range a.Key {
		p := part{Expr: k.Expr, Value: k.Value, Absent: k.Absent, Cut: k.Cut}
		switch v := k.Value.(type) {
		case Frame:
			p.Value = json.RawMessage(append(v.appendJSON([]byte{'{'}), '}'))
		case Stack:
			p.End = v.End()
		}
		out.Key = append(out.Key, p)
	}
	for _, b := range a.Buckets {
		out.Buckets = append(out.Buckets, bucket(b))
	}
	if a.sum != nil {
		out.stats = &stats{a.sum, a.Mean(), a.least, a.Quantile(0.5), a.Quantile(0.9), a.Quantile(0.99), a.most}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // expressions have < and &
	err := enc.Encode(out)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
