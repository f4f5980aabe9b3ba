package site

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
)

// assembleARM64 assembles a listing: instructions as words in hexadecimal,
// one a line, with the text behind a semicolon for the reader.
func assembleARM64(t testing.TB, listing string) []byte {
	t.Helper()
	var code []byte
	for line := range strings.Lines(listing) {
		hex, _, _ := strings.Cut(line, ";")
		if hex = strings.TrimSpace(hex); hex == "" {
			continue
		}
		w, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(w))
	}
	return code
}

// Prologues of each shape, from programs that the release compiled, with the
// rest of the function cut.
const (
	small111 = ` ; Go 1.11, func f(a int8, b int64, c string, d int8) (int8, int64)
		f9400b81 ; 00 ldr x1,[x28,#16]
		910003e2 ; 04 mov x2,sp
		eb01005f ; 08 cmp x2,x1
		540000c9 ; 0c b.ls 24
		f81f0ffe ; 10 str x30,[sp,#-16]!
		f9401be0 ; 14 ldr x0,[sp,#48]
		94000400 ; 18 bl main.sink
		f84107fe ; 1c ldr x30,[sp],#16
		d65f03c0 ; 20 ret
		aa1e03e3 ; 24 mov x3,x30
		94000400 ; 28 bl runtime.morestack_noctxt
		17fffff5 ; 2c b 0`
	medium117 = ` ; Go 1.11 to 1.17 (without the frame pointer up to 1.11), a frame of 3040 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		d12d83e2 ; 04 sub x2,sp,#2912
		eb01005f ; 08 cmp x2,x1
		54000149 ; 0c b.ls 34
		d12f83fb ; 10 sub x27,sp,#3040
		f900037e ; 14 str x30,[x27]
		9100037f ; 18 mov sp,x27
		f81f83fd ; 1c stur x29,[sp,#-8]
		d10023fd ; 20 sub x29,sp,#8
		b4000040 ; 24 cbz x0,2c
		d503201f ; 28 nop
		912f83ff ; 2c add sp,sp,#3040
		d65f03c0 ; 30 ret
		aa1e03e3 ; 34 mov x3,x30
		94000400 ; 38 bl runtime.morestack_noctxt
		17fffff1 ; 3c b 0`
	huge111 = ` ; Go 1.11, a frame of 300080 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		9280a43b ; 04 mov x27,#-1314
		eb1b003f ; 08 cmp x1,x27
		54000240 ; 0c b.eq 54
		910dc3e2 ; 10 add x2,sp,#880
		cb010042 ; 14 sub x2,x2,x1
		18000263 ; 18 ldr w3,64
		eb03005f ; 1c cmp x2,x3
		540001a9 ; 20 b.ls 54
		1800023b ; 24 ldr w27,68
		cb3b63fb ; 28 sub x27,sp,x27
		f900037e ; 2c str x30,[x27]
		9100037f ; 30 mov sp,x27
		b4000040 ; 34 cbz x0,3c
		d503201f ; 38 nop
		f94003fe ; 3c ldr x30,[sp]
		180001bb ; 40 ldr w27,74
		8b3b63ff ; 44 add sp,sp,x27
		d65f03c0 ; 48 ret
		d503201f ; 4c nop
		d503201f ; 50 nop
		aa1e03e3 ; 54 mov x3,x30
		94000400 ; 58 bl runtime.morestack_noctxt
		17ffffe9 ; 5c b 0
		14000000 ; 60 b .
		000495a0 ; 64 framesize and guard
		00049430 ; 68 framesize
		d65f03c0 ; 6c that nothing refers to
		00000000 ; 70
		00049430 ; 74`
	huge116 = ` ; Go 1.16, a frame of 300048 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		9280a43b ; 04 mov x27,#-1314
		eb1b003f ; 08 cmp x1,x27
		54000240 ; 0c b.eq 54
		910e83e2 ; 10 add x2,sp,#928
		cb010042 ; 14 sub x2,x2,x1
		d292e603 ; 18 mov x3,#0x9730
		f2a00083 ; 1c movk x3,#4,lsl #16
		eb03005f ; 20 cmp x2,x3
		54000189 ; 24 b.ls 54
		d11043fb ; 28 sub x27,sp,#1040
		d141277b ; 2c sub x27,x27,#73,lsl #12
		f900037e ; 30 str x30,[x27]
		9100037f ; 34 mov sp,x27
		f81f83fd ; 38 stur x29,[sp,#-8]
		d10023fd ; 3c sub x29,sp,#8
		b4000040 ; 40 cbz x0,48
		d503201f ; 44 nop
		911043ff ; 48 add sp,sp,#1040
		914127ff ; 4c add sp,sp,#73,lsl #12
		d65f03c0 ; 50 ret
		aa1e03e3 ; 54 mov x3,x30
		94000400 ; 58 bl runtime.morestack_noctxt
		17ffffe9 ; 5c b 0`
	huge117 = ` ; Go 1.17
		f9400b81 ; 00 ldr x1,[x28,#16]
		d292721b ; 04 mov x27,#0x9390
		f2a0009b ; 08 movk x27,#4,lsl #16
		eb3b63e2 ; 0c subs x2,sp,x27
		54000143 ; 10 b.lo 38
		eb01005f ; 14 cmp x2,x1
		54000109 ; 18 b.ls 38
		d11043fb ; 1c sub x27,sp,#1040
		d141277b ; 20 sub x27,x27,#73,lsl #12
		f900037e ; 24 str x30,[x27]
		9100037f ; 28 mov sp,x27
		b4000040 ; 2c cbz x0,34
		d503201f ; 30 nop
		d65f03c0 ; 34 ret
		aa1e03e3 ; 38 mov x3,x30
		94000400 ; 3c bl runtime.morestack_noctxt
		17fffff0 ; 40 b 0`
	small118 = ` ; Go 1.18, func f(a int8, b int64, c string, d int8) (int8, int64)
		f9400b90 ; 00 ldr x16,[x28,#16]
		910003f1 ; 04 mov x17,sp
		eb10023f ; 08 cmp x17,x16
		54000109 ; 0c b.ls 2c
		f81e0ffe ; 10 str x30,[sp,#-32]!
		f81f83fd ; 14 stur x29,[sp,#-8]
		d10023fd ; 18 sub x29,sp,#8
		f9001fe2 ; 1c str x2,[sp,#56]
		94000400 ; 20 bl main.sink
		f84207fe ; 24 ldr x30,[sp],#32
		d65f03c0 ; 28 ret
		390023e0 ; 2c strb w0,[sp,#8]
		f9000be1 ; 30 str x1,[sp,#16]
		f9000fe2 ; 34 str x2,[sp,#24]
		f90013e3 ; 38 str x3,[sp,#32]
		3900a3e4 ; 3c strb w4,[sp,#40]
		aa1e03e3 ; 40 mov x3,x30
		94000400 ; 44 bl runtime.morestack_noctxt.abi0
		398023e0 ; 48 ldrsb x0,[sp,#8]
		f9400be1 ; 4c ldr x1,[sp,#16]
		f9400fe2 ; 50 ldr x2,[sp,#24]
		f94013e3 ; 54 ldr x3,[sp,#32]
		3980a3e4 ; 58 ldrsb x4,[sp,#40]
		17ffffe9 ; 5c b 0`
	small127 = ` ; Go 1.20 to 1.27, the same function
		f9400b90 ; 00 ldr x16,[x28,#16]
		eb3063ff ; 04 cmp sp,x16
		54000109 ; 08 b.ls 28
		f81e0ffe ; 0c str x30,[sp,#-32]!
		f81f83fd ; 10 stur x29,[sp,#-8]
		d10023fd ; 14 sub x29,sp,#8
		b4000040 ; 18 cbz x0,20
		94000400 ; 1c bl main.sink
		f84207fe ; 20 ldr x30,[sp],#32
		d65f03c0 ; 24 ret
		390023e0 ; 28 strb w0,[sp,#8]
		a9010be1 ; 2c stp x1,x2,[sp,#16]
		f90013e3 ; 30 str x3,[sp,#32]
		3900a3e4 ; 34 strb w4,[sp,#40]
		aa1e03e3 ; 38 mov x3,x30
		94000400 ; 3c bl runtime.morestack_noctxt.abi0
		398023e0 ; 40 ldrsb x0,[sp,#8]
		a9410be1 ; 44 ldp x1,x2,[sp,#16]
		f94013e3 ; 48 ldr x3,[sp,#32]
		3980a3e4 ; 4c ldrsb x4,[sp,#40]
		17ffffec ; 50 b 0`
	medium127 = ` ; Go 1.20 to 1.27, a frame of 3040 bytes
		f9400b90 ; 00 ldr x16,[x28,#16]
		d12d83f1 ; 04 sub x17,sp,#2912
		eb10023f ; 08 cmp x17,x16
		54000109 ; 0c b.ls 2c
		d12f83f4 ; 10 sub x20,sp,#3040
		a93ffa9d ; 14 stp x29,x30,[x20,#-8]
		9100029f ; 18 mov sp,x20
		d10023fd ; 1c sub x29,sp,#8
		b4000040 ; 20 cbz x0,28
		d503201f ; 24 nop
		d65f03c0 ; 28 ret
		aa1e03e3 ; 2c mov x3,x30
		94000400 ; 30 bl runtime.morestack_noctxt.abi0
		17fffff3 ; 34 b 0`
	huge120 = ` ; Go 1.20, a frame of 300048 bytes
		f9400b90 ; 00 ldr x16,[x28,#16]
		d292721b ; 04 mov x27,#0x9390
		f2a0009b ; 08 movk x27,#4,lsl #16
		eb3b63f1 ; 0c subs x17,sp,x27
		54000163 ; 10 b.lo 3c
		eb10023f ; 14 cmp x17,x16
		54000129 ; 18 b.ls 3c
		d11043f4 ; 1c sub x20,sp,#1040
		d1412694 ; 20 sub x20,x20,#73,lsl #12
		a93ffa9d ; 24 stp x29,x30,[x20,#-8]
		9100029f ; 28 mov sp,x20
		d10023fd ; 2c sub x29,sp,#8
		b4000040 ; 30 cbz x0,38
		d503201f ; 34 nop
		d65f03c0 ; 38 ret
		aa1e03e3 ; 3c mov x3,x30
		94000400 ; 40 bl runtime.morestack_noctxt.abi0
		17ffffef ; 44 b 0`
)
