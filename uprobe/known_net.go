package uprobe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"net/url"

	"github.com/argtap/argtap/abi"
)

func knownIP(v Value, m mode) (any, bool) {
	b, ok := v.wholeBytes()
	switch {
	case !ok, len(b) == 0 && m != inJSON && m != inGo, len(b) != 0 && len(b) != net.IPv4len && len(b) != net.IPv6len:
		return nil, false
	case v.IsNil():
		return net.IP(nil), true
	}
	return net.IP(append([]byte{}, b...)), true
}

func knownIPMask(v Value, _ mode) (any, bool) {
	b, ok := v.wholeBytes()
	return textOnly{net.IPMask(append([]byte{}, b...))}, ok && len(b) > 0
}

func knownIPNet(v Value, _ mode) (any, bool) {
	f, ok := v.parts("IP", "Mask")
	if !ok {
		return nil, false
	}
	ip, ok1 := f[0].wholeBytes()
	mask, ok2 := f[1].wholeBytes()
	n := &net.IPNet{IP: append(net.IP{}, ip...), Mask: append(net.IPMask{}, mask...)}
	return textOnly{n}, ok1 && ok2 && len(ip) > 0 && len(ip) == len(mask) && n.String() != "<nil>"
}

func knownAddr(v Value, _ mode) (any, bool) {
	a, ok := addrOf(v)
	return a, ok
}

// addrOf returns a netip.Addr. Whether it is an IPv4 address, and the zone of an
// IPv6 one, is in what its second field refers to: since Go 1.23 a description;
// before, an object that is the same for all addresses of a kind, of which
// nothing tells which it is. So the IPv4 addresses of old programs cannot be told
// from IPv6 addresses that map them.
func addrOf(v Value) (a netip.Addr, ok bool) {
	f, ok := v.parts("addr", "z")
	if !ok {
		return a, false
	}
	u, ok := f[0].parts("hi", "lo")
	if !ok {
		return a, false
	}
	hi, ok1 := u[0].Uint()
	lo, ok2 := u[1].Uint()
	if !ok1 || !ok2 {
		return a, false
	}
	z := f[1]
	handle := z.Kind() == abi.Struct
	if handle {
		h, ok := z.parts("value")
		if !ok {
			return a, false
		}
		z = h[0]
	}
	if z.Kind() != abi.Pointer {
		return a, false
	}
	if z.IsNil() {
		return a, hi == 0 && lo == 0
	}
	v6, zone := true, ""
	if handle {
		v6, zone, ok = addrDetail(z.Elem())
	} else {
		if hi == 0 && lo>>32 == 0xffff {
			return a, false
		}
		zone, ok = internedZone(z.Elem())
	}
	if !ok {
		return a, false
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	if !v6 {
		return netip.AddrFrom4([4]byte(b[12:])), hi == 0 && lo>>32 == 0xffff && zone == ""
	}
	return netip.AddrFrom16(b).WithZone(zone), true
}

// addrDetail reads a netip.addrDetail (Go 1.23).
func addrDetail(v Value) (v6 bool, zone string, ok bool) {
	f, ok := v.parts("isV6", "zoneV6")
	if !ok {
		return false, "", false
	}
	v6, ok1 := f[0].Bool()
	zone, ok2 := f[1].wholeText()
	return v6, zone, ok1 && ok2
}

// internedZone reads the zone of an intern.Value (Go 1.18 to 1.22): that of
// addresses without one holds nothing.
func internedZone(v Value) (zone string, ok bool) {
	f, ok := v.FieldByName("cmpVal")
	if !ok {
		return "", false
	}
	if f.Kind() != abi.Interface || f.reason() != abi.Present {
		return "", false
	}
	if f.IsNil() {
		return "", true
	}
	zone, ok = f.Dynamic().wholeText()
	return zone, ok && zone != ""
}

func knownPrefix(v Value, _ mode) (any, bool) {
	if f, ok := v.parts("ip", "bits"); ok { // before Go 1.21
		a, ok1 := addrOf(f[0])
		bits, ok2 := f[1].Int()
		return prefixOf(a, bits, ok1 && ok2)
	}
	f, ok := v.parts("ip", "bitsPlusOne")
	if !ok {
		return nil, false
	}
	a, ok1 := addrOf(f[0])
	bits, ok2 := f[1].Uint()
	return prefixOf(a, int64(bits)-1, ok1 && ok2)
}

// prefixOf is sure of valid prefixes, and of the zero Prefix, only.
func prefixOf(a netip.Addr, bits int64, ok bool) (any, bool) {
	if !ok || bits < -1 || bits > 128 {
		return nil, false
	}
	if !a.IsValid() {
		return netip.Prefix{}, true
	}
	p := netip.PrefixFrom(a, int(bits))
	return p, p.IsValid()
}

func knownAddrPort(v Value, _ mode) (any, bool) {
	f, ok := v.parts("ip", "port")
	if !ok {
		return nil, false
	}
	a, ok1 := addrOf(f[0])
	port, ok2 := f[1].Uint()
	return netip.AddrPortFrom(a, uint16(port)), ok1 && ok2 && a.IsValid()
}

// knownURL is a URL that is not empty.
func knownURL(v Value, _ mode) (any, bool) {
	if v.Kind() != abi.Struct {
		return nil, false
	}
	u := new(url.URL)
	for i := range v.NumField() {
		f := v.Field(i)
		var dst *string
		switch v.typ.Fields[i].Name {
		case "Scheme":
			dst = &u.Scheme
		case "Opaque":
			dst = &u.Opaque
		case "Host":
			dst = &u.Host
		case "Path":
			dst = &u.Path
		case "RawPath":
			dst = &u.RawPath
		case "RawQuery":
			dst = &u.RawQuery
		case "Fragment":
			dst = &u.Fragment
		case "RawFragment":
			dst = &u.RawFragment
		case "ForceQuery", "OmitHost":
			b, ok := f.Bool()
			if !ok {
				return nil, false
			}
			if v.typ.Fields[i].Name == "ForceQuery" {
				u.ForceQuery = b
			} else {
				u.OmitHost = b
			}
			continue
		case "User":
			var ok bool
			if u.User, ok = userinfo(f); !ok {
				return nil, false
			}
			continue
		default:
			return nil, false
		}
		var ok bool
		if *dst, ok = f.wholeText(); !ok {
			return nil, false
		}
	}
	return textOnly{u}, *u != url.URL{}
}

func userinfo(v Value) (*url.Userinfo, bool) {
	if v.Kind() != abi.Pointer || v.reason() != abi.Present {
		return nil, false
	}
	if v.IsNil() {
		return nil, true
	}
	f, ok := v.Elem().parts("username", "password", "passwordSet")
	if !ok {
		return nil, false
	}
	name, ok1 := f[0].wholeText()
	password, ok2 := f[1].wholeText()
	set, ok3 := f[2].Bool()
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	if set {
		return url.UserPassword(name, password), true
	}
	return url.User(name), true
}
