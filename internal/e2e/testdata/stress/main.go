// Command stress changes maps, slices, lists, channels, strings and interfaces
// without pause while it calls functions with them. Whatever is stored anywhere
// says itself whether it is whole: see TestStress of package e2e, which knows
// the same rules. It runs for the number of milliseconds in STRESS_MS.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fixture/truth"
)

// item is whole if sum is mix(id). Two words: it can be torn.
type item struct{ id, sum uint64 }

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func newItem(id uint64) item { return item{id, mix(id)} }

// node never changes but for next, and is always some list's.
type node struct {
	it   item
	name string
	next *node
}

// cat and dog are alike but for kind, which is 'c' or 'd'.
type cat struct {
	kind uint64
	it   item
}

type dog struct {
	kind uint64
	it   item
}

func (d dog) Error() string  { return "dog" }
func (c *cat) Error() string { return "cat" }

// holder has values of several words, which are overwritten in place.
type holder struct {
	text  string
	items []item
	any   interface{}
	err   error
	list  *node
}

const (
	ids   = 1000 // items are 1 to ids
	arena = 512
	width = 64 // of all strings and slices, used or not
)

// names[i] is the letter 'a'+i, lens[i] times, in memory that goes on with it.
var (
	lens  = []int{0, 1, 3, 8, 20, 33, 64}
	names []string
	items [][]item
	nodes [arena]node
	boxes []interface{}
	errs  []error
)

//go:noinline
func takeList(n *node) { atomic.AddUint64(&sink, 1) }

//go:noinline
func takeSlice(s []item) { atomic.AddUint64(&sink, 1) }

//go:noinline
func takeHolder(h *holder) { atomic.AddUint64(&sink, 1) }

//go:noinline
func takeMaps(m map[uint64]item, s map[string]*item) { atomic.AddUint64(&sink, 1) }

//go:noinline
func takeChan(c chan item) { atomic.AddUint64(&sink, 1) }

var sink, stop, garbage uint64

func prepare() {
	for i, n := range lens {
		names = append(names, strings.Repeat(string('a'+rune(i)), width)[:n])
		s := make([]item, width)
		for j := range s {
			s[j] = newItem(uint64(1 + (i*width+j)%ids))
		}
		items = append(items, s[:n])
	}
	for i := range nodes {
		nodes[i].it, nodes[i].name = newItem(uint64(1+i)), names[i%len(names)]
	}
	for i := uint64(1); i < 50; i++ {
		boxes = append(boxes, cat{'c', newItem(i)}, dog{'d', newItem(i)}, &cat{'c', newItem(i)})
		errs = append(errs, &cat{'c', newItem(i)}, dog{'d', newItem(i)})
	}
	boxes, errs = append(boxes, nil), append(errs, nil)
}

func main() {
	prepare()
	truth.Start()
	ms, err := strconv.Atoi(os.Getenv("STRESS_MS"))
	if err != nil {
		panic(err)
	}
	runtime.GOMAXPROCS(8)
	var (
		mu     sync.Mutex // of the maps
		byID   = map[uint64]item{}
		byName = map[string]*item{}
		h      holder
		shared = make([]item, width)
		ring   = make(chan item, 10)
		wg     sync.WaitGroup
		counts [5]uint64
		bad    uint64
	)
	h.list = &nodes[0]
	for i := range shared {
		shared[i] = newItem(uint64(1 + i))
	}
	forever := func(f func(r uint64)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for r := uint64(1); atomic.LoadUint64(&stop) == 0; r++ {
				f(mix(r))
				if r%64 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	forever(func(r uint64) { // maps that grow and shrink
		mu.Lock()
		defer mu.Unlock()
		id := 1 + r%ids
		if r>>32%1000 == 0 { // to begin anew
			byID, byName = map[uint64]item{}, map[string]*item{}
		}
		it := newItem(id)
		if r>>16%5 < 3 {
			byID[id], byName["k"+strconv.Itoa(int(id))] = it, &it
		} else {
			delete(byID, id)
			delete(byName, "k"+strconv.Itoa(int(id)))
		}
		if e, ok := byID[1+r>>40%ids]; ok && e.sum != mix(e.id) {
			atomic.AddUint64(&bad, 1)
		}
	})
	forever(func(r uint64) { // what is overwritten in place
		shared[r%width] = newItem(1 + r>>8%ids)
		i := int(r >> 20)
		h.text, h.items = names[i%len(names)], items[i>>4%len(items)]
		h.any, h.err = boxes[i>>8%len(boxes)], errs[i>>12%len(errs)]
	})
	forever(func(r uint64) { // a list whose nodes change places
		n := &nodes[r%arena]
		n.next = &nodes[r>>20%arena]
		if r%3 == 0 {
			n.next = nil
		}
		h.list = n
	})
	forever(func(r uint64) {
		select {
		case ring <- newItem(1 + r%ids):
		default:
		}
	})
	forever(func(r uint64) {
		select {
		case it := <-ring:
			if it.sum != mix(it.id) {
				atomic.AddUint64(&bad, 1)
			}
		default:
		}
		if r%16 == 0 { // something for the collector
			g := make([]uint64, 1+r>>8%100)
			for i := range g {
				g[i] = 0xeeeeeeeeeeeeeeee
			}
			atomic.AddUint64(&garbage, g[0])
		}
	})
	for i := 0; i < 2; i++ {
		forever(func(r uint64) { takeList(&nodes[r%arena]); atomic.AddUint64(&counts[0], 1) })
		forever(func(r uint64) { takeSlice(shared[:r%width]); atomic.AddUint64(&counts[1], 1) })
		forever(func(r uint64) { takeHolder(&h); atomic.AddUint64(&counts[2], 1) })
		forever(func(r uint64) {
			mu.Lock()
			m, s := byID, byName
			mu.Unlock()
			takeMaps(m, s)
			atomic.AddUint64(&counts[3], 1)
		})
		forever(func(r uint64) { takeChan(ring); atomic.AddUint64(&counts[4], 1) })
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	atomic.StoreUint64(&stop, 1)
	wg.Wait()
	for k, e := range byID {
		if e != newItem(k) {
			bad++
		}
	}
	for k, e := range byName {
		if k != fmt.Sprintf("k%d", e.id) || *e != newItem(e.id) {
			bad++
		}
	}
	for i := range nodes {
		if nodes[i].it != newItem(uint64(1+i)) || nodes[i].name != names[i%len(names)] {
			bad++
		}
	}
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	if sink != total || len(byID) != len(byName) {
		bad++
	}
	truth.Print(`{"ev":"end","bad":%d,"made":[%d,%d,%d,%d,%d]}`, bad, counts[0], counts[1], counts[2], counts[3], counts[4])
	truth.Wait()
}
