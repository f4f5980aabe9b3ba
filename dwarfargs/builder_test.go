package dwarfargs

import (
	"encoding/binary"
)

// node is a DIE to be assembled. Attributes are triples of name, form, value:
// an int, a string, a []byte, or a label (type ref) of another node.
type node struct {
	label string
	tag   tag
	attrs []any
	kids  []*node
}

type ref string

// assemble returns .debug_info and .debug_abbrev of one unit. Every DIE has an
// abbreviation of its own.
func assemble(version int, root *node) (info, ab []byte) {
	le := binary.LittleEndian
	labels := make(map[string]int)
	type patch struct {
		at     int
		label  string
		global bool
	}
	var patches []patch
	info = []byte{0, 0, 0, 0, byte(version), 0}
	if version >= 5 {
		info = append(info, utCompile, 8, 0, 0, 0, 0)
	} else {
		info = append(info, 0, 0, 0, 0, 8)
	}
	uleb := binary.AppendUvarint
	code := uint64(0)
	var emit func(n *node)
	emit = func(n *node) {
		code++
		labels[n.label] = len(info)
		info = uleb(info, code)
		ab = uleb(uleb(ab, code), uint64(n.tag))
		if ab = append(ab, 0); len(n.kids) > 0 {
			ab[len(ab)-1] = 1
		}
		for i := 0; i < len(n.attrs); i += 3 {
			name, fm := n.attrs[i].(attrID), n.attrs[i+1].(form)
			ab = uleb(uleb(ab, uint64(name)), uint64(fm))
			switch v := n.attrs[i+2].(type) {
			case ref:
				patches = append(patches, patch{len(info), string(v), fm == formRefAddr})
				info = le.AppendUint32(info, 0)
			case string:
				info = append(append(info, v...), 0)
			case []byte:
				switch fm {
				case formBlock, formExprloc:
					info = uleb(info, uint64(len(v)))
				case formBlock1:
					info = append(info, byte(len(v)))
				case formBlock2:
					info = le.AppendUint16(info, uint16(len(v)))
				case formBlock4:
					info = le.AppendUint32(info, uint32(len(v)))
				}
				info = append(info, v...)
			case int:
				switch fm {
				case formImplicitConst:
					ab = append(ab, byte(v)&0x7f)
				case formFlagPresent:
				case formSdata:
					info = append(info, byte(v)&0x7f)
				case formUdata, formAddrx, formStrx, formLoclistx, formRnglistx, formRefUdata:
					info = uleb(info, uint64(v))
				case formIndirect:
					info = append(info, byte(formData1), byte(v))
				default:
					step, err := format{version: version, addrSize: 8}.step(fm)
					if err != nil {
						panic(err)
					}
					info = append(info, le.AppendUint64(nil, uint64(v))[:step.fixed]...)
				}
			}
		}
		ab = append(ab, 0, 0)
		for _, k := range n.kids {
			emit(k)
		}
		if len(n.kids) > 0 {
			info = append(info, 0)
		}
	}
	emit(root)
	ab = append(ab, 0)
	le.PutUint32(info, uint32(len(info)-4))
	for _, p := range patches {
		le.PutUint32(info[p.at:], uint32(labels[p.label]))
	}
	return info, ab
}
