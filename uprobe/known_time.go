package uprobe

import (
	"errors"
	"time"

	"github.com/argtap/argtap/abi"
)

// Constants of package time (time.go): what a Time counts its seconds from, and
// the flag that says that it has a monotonic clock reading.
const (
	hasMonotonic    = 1 << 63
	nsecMask        = 1<<30 - 1
	nsecShift       = 30
	secondsPerDay   = 86400
	unixToInternal  = (1969*365 + 1969/4 - 1969/100 + 1969/400) * secondsPerDay
	wallToInternal  = (1884*365 + 1884/4 - 1884/100 + 1884/400) * secondsPerDay
	maxNanoseconds  = 999_999_999
	maxZoneOffset   = 7 * secondsPerDay // more is no time zone
	maxZoneElements = 4096
)

// knownInstant is a time.Time. Where its zone was not captured, t is in UTC.
type knownInstant struct {
	t       time.Time
	zone    bool
	mono    int64
	hasMono bool
}

// String returns the time as time.Time.String does, without the monotonic clock
// reading; in UTC with the offset -0000 if the zone is not known, as RFC 3339 has
// it for that case.
func (k knownInstant) String() string {
	if k.zone {
		return k.t.String()
	}
	return k.t.Format("2006-01-02 15:04:05.999999999") + " -0000"
}

// fmtString returns it with the monotonic clock reading, as fmt prints it.
func (k knownInstant) fmtString() string {
	b := []byte(k.String())
	if !k.hasMono {
		return string(b)
	}
	b = append(b, " m="...)
	m := uint64(k.mono)
	if k.mono < 0 {
		b = append(b, '-')
		m = -m
	} else {
		b = append(b, '+')
	}
	const second = uint64(time.Second)
	b = append(appendUint(b, m/second), '.')
	for unit := second / 10; unit > 0; unit /= 10 {
		b = append(b, byte('0'+m/unit%10))
	}
	return string(b)
}

// MarshalJSON returns the time in RFC 3339, with the offset -00:00 if the zone is
// not known.
func (k knownInstant) MarshalJSON() ([]byte, error) {
	if k.zone {
		return k.t.MarshalJSON()
	}
	if y := k.t.Year(); y < 0 || y > 9999 {
		return nil, errors.New("year outside of RFC 3339")
	}
	return []byte(`"` + k.t.Format("2006-01-02T15:04:05.999999999") + `-00:00"`), nil
}

// unknownZone is the zone of a Go value that is made of a time whose zone was not
// captured.
var unknownZone = time.FixedZone("-00:00", 0)

func knownTime(v Value, m mode) (any, bool) {
	f, ok := v.parts("wall", "ext", "loc")
	if !ok {
		return nil, false
	}
	wall, ok1 := f[0].Uint()
	ext, ok2 := f[1].Int()
	if !ok1 || !ok2 || wall&nsecMask > maxNanoseconds {
		return nil, false
	}
	sec := ext
	k := knownInstant{hasMono: wall&hasMonotonic != 0}
	switch {
	case k.hasMono:
		sec = wallToInternal + int64(wall<<1>>(nsecShift+1))
		k.mono = ext
	case wall>>nsecShift != 0:
		return nil, false // these bits are for the seconds of the other form
	}
	sec -= unixToInternal
	k.t = time.Unix(sec, int64(wall&nsecMask)).UTC()
	if loc, ok := zoneAt(f[2], sec); ok {
		k.t, k.zone = k.t.In(loc), true
	}
	if m == inGo {
		if !k.zone {
			return k.t.In(unknownZone), true
		}
		return k.t, true
	}
	return k, true
}

// zoneAt returns the zone that a *time.Location has at a time in seconds since
// 1970, following (*time.Location).lookup.
func zoneAt(loc Value, sec int64) (*time.Location, bool) {
	p, ok := loc.Pointer()
	if !ok || loc.Kind() != abi.Pointer {
		return nil, false
	}
	if p == 0 {
		return time.UTC, true
	}
	l := loc.Elem()
	if _, absent := l.Absent(); absent || l.Type().Name != "time.Location" {
		return nil, false
	}
	name, ok1 := l.FieldByName("name")
	zones, ok2 := l.FieldByName("zone")
	if !ok1 || !ok2 || zones.Len() < 0 {
		return nil, false
	}
	if zones.Len() == 0 {
		// The local zone has no name before it is used for the first time.
		if s, ok := name.wholeText(); ok && s != "" {
			return time.UTC, true
		}
		return nil, false
	}
	z, ok := cachedZone(l, zones, sec)
	if !ok {
		if z, ok = transitionZone(l, zones, sec); !ok {
			return nil, false
		}
	}
	return fixedZone(z)
}

// fixedZone makes a location of a zone.
func fixedZone(z Value) (*time.Location, bool) {
	zf, ok := z.parts("name", "offset", "isDST")
	if !ok {
		return nil, false
	}
	name, ok1 := zf[0].wholeText()
	offset, ok2 := zf[1].Int()
	if !ok1 || !ok2 || offset <= -maxZoneOffset || offset >= maxZoneOffset {
		return nil, false
	}
	return time.FixedZone(name, int(offset)), true
}

// cachedZone returns the zone that a location remembers for the time around its
// creation.
func cachedZone(l, zones Value, sec int64) (z Value, ok bool) {
	f1, ok1 := l.FieldByName("cacheStart")
	f2, ok2 := l.FieldByName("cacheEnd")
	f3, ok3 := l.FieldByName("cacheZone")
	if !ok1 || !ok2 || !ok3 {
		return Value{}, false
	}
	start, ok1 := f1.Int()
	end, ok2 := f2.Int()
	p, ok3 := f3.Pointer()
	if !ok1 || !ok2 || !ok3 || p == 0 || sec < start || sec >= end {
		return Value{}, false
	}
	if z := f3.Elem(); z.reason() == abi.Present {
		return z, true
	}
	// It is one of the zones, unless the rule for the future made it.
	base, ok := zones.Pointer()
	size := uint64(max(zones.Type().Elem.Size, 1))
	if !ok || p < base || (p-base)%size != 0 || (p-base)/size >= uint64(zones.Captured()) {
		return Value{}, false
	}
	return zones.Index(int((p - base) / size)), true
}

// transitionZone looks a zone up in the transitions of a location.
func transitionZone(l, zones Value, sec int64) (z Value, ok bool) {
	tx, ok := l.FieldByName("tx")
	if !ok || tx.Len() < 0 {
		return Value{}, false
	}
	n := min(tx.Captured(), maxZoneElements)
	last := -1 // the last transition that is not later
	var index uint64
	for i := range n {
		when, ok1 := tx.Index(i).FieldByName("when")
		idx, ok2 := tx.Index(i).FieldByName("index")
		if !ok1 || !ok2 {
			return Value{}, false
		}
		at, ok1 := when.Int()
		x, ok2 := idx.Uint()
		if !ok1 || !ok2 {
			return Value{}, false
		}
		if at > sec {
			break
		}
		last, index = i, x
	}
	switch {
	case last < 0, last == n-1 && n < tx.Len():
		// Before the first, which takes all of them to tell; or behind what
		// was captured.
		return Value{}, false
	case last == tx.Len()-1:
		if ext, ok := l.FieldByName("extend"); ok {
			if ext.Len() != 0 {
				return Value{}, false // a rule tells, not a transition
			}
		}
	}
	if index >= uint64(zones.Captured()) {
		return Value{}, false
	}
	return zones.Index(int(index)), true
}

func knownDuration(v Value, _ mode) (any, bool) {
	d, ok := v.Int()
	return time.Duration(d), ok
}

func knownMonth(v Value, _ mode) (any, bool) {
	m, ok := v.Int()
	return textOnly{time.Month(m)}, ok && m >= 1 && m <= 12
}

func knownWeekday(v Value, _ mode) (any, bool) {
	d, ok := v.Int()
	return textOnly{time.Weekday(d)}, ok && d >= 0 && d <= 6
}
