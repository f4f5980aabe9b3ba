package goruntime_test

import (
	"encoding/binary"

	"github.com/argtap/argtap/internal/goruntime"
)

// scan reads a map in the order that a Scan has, as a program in the kernel does.
// read returns the bytes at an address, nil if some cannot be read.
func scan(l *goruntime.MapLayout, header []byte, read func(addr uint64, n int64) []byte) goruntime.Scan {
	s := goruntime.Scan{Header: header, Again: header, Whole: true}
	if int64(len(header)) < l.HeaderSize {
		return s
	}
	ptr := l.SwissMap.DirLen - l.SwissMap.DirPtr
	if !l.Swiss {
		ptr = l.BucketMap.OldBuckets - l.BucketMap.Buckets
	}
	word := func(b []byte, off int64) uint64 {
		if ptr == 4 {
			return uint64(binary.LittleEndian.Uint32(b[off:]))
		}
		return binary.LittleEndian.Uint64(b[off:])
	}
	group := func(addr uint64) []byte {
		b := read(addr, l.Size)
		live := b == nil
		for i := 0; i < 8 && b != nil; i++ {
			live = live || l.Swiss && b[i]&0x80 == 0 || !l.Swiss && b[i] >= l.MinTopHash()
		}
		if live {
			s.Parts = append(s.Parts, goruntime.Part{Addr: addr, Bytes: b})
		}
		return b
	}
	if l.Swiss {
		m := l.SwissMap
		dir, n := word(header, m.DirPtr), word(header, m.DirLen)
		if n == 0 && dir != 0 {
			group(dir)
		}
		last := uint64(0)
		for i := uint64(0); i < n; i++ {
			b := read(dir+i*uint64(ptr), ptr)
			if b == nil || word(b, 0) == 0 || i > 1<<12 {
				s.Whole = false
				break
			}
			addr := word(b, 0)
			if addr == last {
				continue
			}
			last = addr
			t := read(addr, m.TableSize)
			s.Parts = append(s.Parts, goruntime.Part{Table: true, Addr: addr, Bytes: t})
			if t == nil {
				continue
			}
			mask := binary.LittleEndian.Uint64(t[m.TableMask:])
			for j := uint64(0); j <= min(mask, 1<<10); j++ {
				group(word(t, m.TableGroups) + j*uint64(l.Size))
			}
		}
		return s
	}
	m := l.BucketMap
	array := func(addr uint64, log byte) {
		for i := uint64(0); addr != 0 && i < 1<<min(log, 14); i++ {
			at := addr + i*uint64(l.Size)
			for range 100 {
				b := group(at)
				if b == nil {
					break
				}
				if at = word(b, m.Overflow); at == 0 {
					break
				}
			}
		}
	}
	log := header[m.B]
	array(word(header, m.Buckets), log)
	if header[m.Flags]&goruntime.FlagSameSizeGrow == 0 {
		log--
	}
	array(word(header, m.OldBuckets), log)
	return s
}
