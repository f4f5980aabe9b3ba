// Command maps makes maps and channels, says what is in them, and lets its
// standard input read its memory while they stay as they are.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"unsafe"
)

var (
	in  = bufio.NewReader(os.Stdin)
	out = bufio.NewWriter(os.Stdout)
	mem *os.File

	// sink keeps everything on the heap.
	sink []interface{}
)

func main() {
	var err error
	if mem, err = os.Open("/proc/self/mem"); err != nil {
		panic(err)
	}
	maps()
	chans()
	out.Flush()
}

// begin starts a state: what is there, where, and how many elements it has.
func begin(what string, addr unsafe.Pointer, n int) {
	fmt.Fprintf(out, "%s %x %d\n", what, uintptr(addr), n)
}

// bytes writes n bytes at p.
func bytes(p unsafe.Pointer, n uintptr) {
	for i := uintptr(0); i < n; i++ {
		fmt.Fprintf(out, "%02x", *(*byte)(unsafe.Pointer(uintptr(p) + i)))
	}
	out.WriteString(".")
}

// end ends a state, and answers until the next may begin.
func end() {
	out.WriteString("end\n")
	for {
		out.Flush()
		var addr uint64
		var n int
		line, err := in.ReadString('\n')
		if err != nil {
			os.Exit(1)
		}
		if _, err := fmt.Sscanf(line, "%x %d", &addr, &n); err != nil {
			return
		}
		b := make([]byte, n)
		if _, err := mem.ReadAt(b, int64(addr)); err != nil {
			fmt.Fprintf(out, "%v\n", err)
			continue
		}
		out.WriteString(hex.EncodeToString(b) + "\n")
	}
}

// show says whether to stop after the entry i was added, or removed: at small
// sizes, and where maps of either kind have just begun to grow.
func show(i int) bool {
	if i < 34 {
		return true
	}
	for _, n := range []int{53, 54, 60, 105, 106, 110, 209, 215, 225, 417, 430, 449, 834, 850, 897, 1000, 1665, 1680, 1700, 1793, 1999} {
		if i == n {
			return true
		}
	}
	return false
}

func name(i int) string { return fmt.Sprint("name", i) }

func number(i int) float64 {
	if i%2 == 1 {
		return math.NaN()
	}
	return float64(i)
}

func chans() {
	for n := 0; n < 6; n++ {
		c := make(chan [3]int16, n)
		sink = append(sink, c)
		var q [][3]int16
		state := func(closed bool) {
			begin(fmt.Sprintf("chan %d %v", n, closed), *(*unsafe.Pointer)(unsafe.Pointer(&c)), len(q))
			for i := range q {
				bytes(unsafe.Pointer(&q[i]), 6)
				out.WriteString("\n")
			}
			end()
		}
		state(false)
		for i := 0; i < 20 && n > 0; i++ {
			if v := [3]int16{int16(i), 2, 3}; i%3 != 2 && len(c) < n {
				c <- v
				q = append(q, v)
			} else if len(q) > 0 {
				<-c
				q = q[1:]
			}
			state(false)
		}
		close(c)
		state(true)
	}
}
