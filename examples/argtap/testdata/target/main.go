// Command target is what the tests of argtap trace. It says on standard output
// what it calls its functions with.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type point struct {
	X, Y int32
	Name string
	tag  [2]uint8
}

type pair struct {
	n int8
	f float32
}

type server struct{ name string }

var sink int

//go:noinline
func work(n int, s string, p *point, b []byte, ok bool, u []uint16) int {
	sink += n
	return len(s) + len(b) + len(u)
}

//go:noinline
func (s *server) serve(id uint16) { sink += int(id) }

//go:noinline
func (s *server) close(id uint16) { sink -= int(id) }

// odd has parameters of which not everything can be captured.
//
//go:noinline
func odd(x float64, v pair, err error) {
	sink += int(v.n)
	if err != nil && x < 0 {
		println(err.Error())
	}
}

// tiny is inlined everywhere.
func tiny(a int) int { return a + 1 }

func announce(name string, args ...any) {
	b, err := json.Marshal(map[string]any{"func": name, "args": args})
	if err != nil {
		panic(err)
	}
	fmt.Printf("CALL %s\n", b)
}

func main() {
	n := flag.Int("n", 1, "rounds of calls; negative for no end")
	pause := flag.Duration("pause", 0, "time between rounds")
	quiet := flag.Bool("quiet", false, "do not say what is called")
	exit := flag.Int("exit", 0, "exit status")
	suicide := flag.Bool("suicide", false, "end by SIGKILL")
	polite := flag.Bool("polite", false, "on SIGTERM or SIGINT, make a last call and exit with status 5")
	flag.Parse()
	if *polite {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt, syscall.SIGTERM)
		go func() {
			<-c
			(&server{"last"}).close(9)
			os.Exit(5)
		}()
	}
	srv := &server{"main"}
	for i := 0; i != *n; i++ {
		s := strings.Repeat("ü\n", i%5)
		p := &point{int32(i), int32(-i), fmt.Sprint("p", i), [2]uint8{1, uint8(i)}}
		b := []byte{byte(i), 0, 255}
		u := make([]uint16, i%3)
		if !*quiet {
			announce("main.work", i, s, map[string]any{"X": p.X, "Y": p.Y, "Name": p.Name, "tag": []int{1, i & 255}}, b, i%2 == 0, u)
		}
		work(i, s, p, b, i%2 == 0, u)
		if !*quiet {
			announce("main.(*server).serve", map[string]any{"name": "main"}, uint16(i))
		}
		srv.serve(uint16(i))
		time.Sleep(*pause)
	}
	odd(1.5, pair{n: int8(tiny(*n))}, errors.New("odd"))
	if *suicide {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(*exit)
}
