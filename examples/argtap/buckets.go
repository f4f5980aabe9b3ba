package main

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// bucketLabels returns the bounds of each bucket of a histogram: in mathematical
// notation, the second of which does not belong to it. Integers, and the bounds that a
// user has given to durations, are exact; durations that are powers of two have four
// digits.
func bucketLabels(a *uprobe.Aggregate) (labels []string) {
	round := a.IsDuration() && !slices.ContainsFunc(a.Buckets, func(k uprobe.Bucket) bool { return !powerOfTwo(k) })
	text := func(v uprobe.Int, more uint64) string {
		n, signed := v.Int64()
		u, _ := v.Uint64()
		switch {
		case !signed:
			return strconv.FormatUint(u+more, 10)
		case !a.IsDuration():
			return strconv.FormatInt(n+int64(more), 10)
		case round:
			return a.Format(float64(n + int64(more)))
		}
		return time.Duration(n + int64(more)).String()
	}
	for _, k := range a.Buckets {
		low, lowOK := k.Low.Int64()
		high, highOK := k.High.Int64()
		above, _ := k.High.Uint64()
		switch {
		case k.Low == k.High:
			labels = append(labels, text(k.Low, 0))
		case lowOK && low == math.MinInt64:
			labels = append(labels, "(-inf, "+text(k.High, 1)+")")
		case highOK && high == math.MaxInt64, above == math.MaxUint64:
			labels = append(labels, "["+text(k.Low, 0)+", inf)")
		default:
			labels = append(labels, "["+text(k.Low, 0)+", "+text(k.High, 1)+")")
		}
	}
	return labels
}

// powerOfTwo reports whether a bucket of durations may be one of a scale by powers of
// two.
func powerOfTwo(k uprobe.Bucket) bool {
	low, _ := k.Low.Int64()
	high, _ := k.High.Int64()
	switch {
	case low == math.MinInt64:
		return true
	case high < 0:
		low, high = -high, -low
	}
	return low == 0 && high == 0 || bits.OnesCount64(uint64(low)) == 1 && uint64(high) == 2*uint64(low)-1
}
