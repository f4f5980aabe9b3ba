// Command app is a program to be traced: a web server that approximates
// Euler's number, like the one in Zain Asgar's article "Debugging Go in prod
// using eBPF" (2020). It knows nothing of argtap.
//
//	go run ./examples/app -port 8080
//	curl 'http://127.0.0.1:8080/e?iters=10'
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
)

// computeE sums the first terms of 1/0! + 1/1! + 1/2! + …
//
//go:noinline
func computeE(iterations int64) float64 {
	sum, term := 0.0, 1.0
	for i := int64(1); i <= iterations; i++ {
		sum += term
		term /= float64(i)
	}
	return sum
}

func handleE(w http.ResponseWriter, r *http.Request) {
	iterations, err := strconv.ParseInt(r.FormValue("iters"), 10, 64)
	if err != nil {
		http.Error(w, "iters must be an integer: /e?iters=10", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%.15g\n", computeE(iterations))
}

func main() {
	port := flag.Int("port", 0, "TCP port on loopback to listen on; 0 chooses a free one")
	flag.Parse()
	http.HandleFunc("/e", handleE)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	log.Fatal(http.Serve(l, nil))
}
