// Package p holds the signatures of TestAssignGolden. Bodies are not needed.
package p

import "unsafe"

type (
	empty  struct{}
	point  struct{ x, y int32 }
	padded struct {
		a int8
		b int64
		_ int32
		s string
	}
	nested struct {
		p point
		f float32
		_ empty
		q [1]point
	}
	tail struct {
		n int16
		_ empty
	}
	ten  struct{ a, b, c, d, e, f, g, h, i, j int }
	arr2 struct {
		n int
		a [2]int
	}
	zeroArr2 struct {
		n int
		a [2]empty
	}
	emptyArr2 struct {
		n int
		a [0][2]int
	}
	shape[P any] struct{ p *P }
)

func none()
func ints(a bool, b int8, c int16, d int32, e int64, f uint8, g uint16, h uint32, i uint64)
func tenInts(a, b, c, d, e, f, g, h, i, j int)
func tenth(a, b, c, d, e, f, g, h, i, j, k int8)
func floats(a float32, b float64, c complex64, d complex128)
func sixteenFloats(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p float32)
func mixed(a int, b float64, c string, d []byte, e any, f error)
func words(p *int, m map[int]int, c chan int, f func(), u unsafe.Pointer, w uintptr)
func strings5(a, b, c, d, e string)
func laterSmaller(a, b, c []int, d string, e int)
func laterSmall(a, b []int, c [2]int8, d []int, e string, f int, g int32)
func allOrNothing(a, b, c, d, e, f, g, h int, s string, i int)
func complexNoFit(a, b, c, d, e, f, g complex128, h float64, i complex64, j float32)
func array0(a [0]int, b int)
func array1(a [1]string, b [1][1]int8)
func array2(a [2]int8, b int)
func blank(_ int, _ string, a float64)
func unnamedParams(int, string)
func zeroSize(a empty, b int, c [0]int64, d int8)
func zeroAligns(a [3]int8, b [0]int64, c [3]int8)
func structs(a padded, b nested)
func trailing(a tail, b int)
func tooMany(a ten, b int)
func hasArray(a arr2, b int)
func hasZeroArray(a zeroArr2, b int)
func hasEmptyArray(a emptyArr2, b int)
func stackAligned(a [3]int8, b [3]int16, c [3]int8, d [2]int64, e int)
func (p *point) pointerMethod(n int)
func (p point) valueMethod(n int) int
func (t ten) stackMethod(n int) ten
func one() int
func named() (n int, err error)
func unnamedResults() (int, string, error)
func resultArray() ([2]int, int)
func resultsFloat(a float64) (float32, complex128)
func resultStack(a [3]int8) (b [3]int8, c [5]int8, d int)
func tenResults() (a, b, c, d, e, f, g, h, i, j int)
func zeroResult() (empty, int, [0]int)
func specExample(a1 uint8, a2 [2]uintptr, a3 uint8) (r1 struct {
	x uintptr
	y [2]uintptr
}, r2 string)
func spills(a int8, b int64, c int16, d string, e bool)
func generic[P any](p P, n int) P                     {}
func genericTen[P any](a, b, c, d, e, f, g, h, i int) {}
func (s *shape[P]) method(p P) P                      {}
func (s shape[P]) nullary()                           {}
func variadic(format string, args ...any)
