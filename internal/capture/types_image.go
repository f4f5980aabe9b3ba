package capture

import (
	"encoding/binary"
)

// Sizes in bytes of a row, of a type, and of a dynamic type in the maps, and the
// offsets of their fields.
const (
	RowSize   = 16
	RowOffset = 0  // u32
	RowKindAt = 4  // u8
	RowHop    = 5  // u8
	RowType   = 8  // u32
	RowLimit  = 12 // u32

	TypeSize  = 16
	TypeFirst = 0 // u32: the first of its rows
	TypeRows  = 4 // u16: their number
	TypeErase = 6 // u16: the number of rows behind the others that say what to erase
	TypeBytes = 8 // u32: the bytes that are captured of a value
	// TypeScan is, of the header of a map, the number of the type of its groups,
	// and of the header of a channel, that of its elements: u32, otherwise 0.
	TypeScan = 12

	DynamicSize = 8
	DynamicType = 0 // u32: of what the interface's second word leads to, 0 for nothing
	DynamicHop  = 4 // u32: 1 if that is one pointer further away, or DynamicInline
	// DynamicInline says that the type is that of the interface's second word
	// itself, whose rows are to be followed there.
	DynamicInline = 2
)

// Image returns the image of a type, nil if there is none of that number.
func (t *Types) Image(id uint32) *Image {
	if id == noType || uint64(id) >= uint64(len(t.list)) {
		return nil
	}
	return t.list[id].image
}

// Len returns how many types and rows there are.
func (t *Types) Len() (types, rows int) { return len(t.list), len(t.rows) }

// Encode returns the types and rows as programs read them.
func (t *Types) Encode() (types, rows []byte) {
	types = make([]byte, max(len(t.list), 1)*TypeSize)
	for i, e := range t.list {
		b := types[i*TypeSize:]
		binary.LittleEndian.PutUint32(b[TypeFirst:], e.first)
		binary.LittleEndian.PutUint16(b[TypeRows:], uint16(e.rows))
		binary.LittleEndian.PutUint32(b[TypeBytes:], uint32(e.image.Size))
		binary.LittleEndian.PutUint16(b[TypeErase:], uint16(e.erase))
		binary.LittleEndian.PutUint32(b[TypeScan:], e.scan)
	}
	rows = make([]byte, max(len(t.rows), 1)*RowSize)
	for i, r := range t.rows {
		b := rows[i*RowSize:]
		binary.LittleEndian.PutUint32(b[RowOffset:], r.Offset)
		b[RowKindAt] = byte(r.Kind)
		if r.Hop {
			b[RowHop] = 1
		}
		binary.LittleEndian.PutUint32(b[RowType:], r.Type)
		binary.LittleEndian.PutUint32(b[RowLimit:], r.Limit)
	}
	return types, rows
}

// EncodeDynamic returns the dynamic types as programs look them up: the keys, and
// for each the number of the type that the interface's second word leads to.
// Types of whose values there is nothing to read are left out.
func (t *Types) EncodeDynamic() (keys []uint64, values []uint64) {
	for _, k := range t.order {
		d := t.dynamic[k]
		if d.target == noType {
			continue
		}
		if d.hop == DynamicInline && t.list[d.target].rows == 0 {
			continue
		}
		keys, values = append(keys, k), append(values, uint64(d.target)|uint64(d.hop)<<32)
	}
	return keys, values
}
