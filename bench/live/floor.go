package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// floorServer is the least code that moves the same bytes: every viewer is sent the same merged write of 350 ms of
// stream, by one goroutine each and one system call a write.
func floorServer(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address")
	bitrate := flags.Int("bitrate", 970_000, "bits a second")
	merge := flags.Duration("merge", 350*time.Millisecond, "stream time in one write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	block := make([]byte, int(float64(*bitrate)/8*merge.Seconds()))
	var mu sync.Mutex
	next := make(chan struct{})
	go func() {
		for range time.Tick(*merge) {
			mu.Lock()
			close(next)
			next = make(chan struct{})
			mu.Unlock()
		}
	}()
	fmt.Println("listening on", l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			out := []byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			for {
				if _, err := conn.Write(out); err != nil {
					return
				}
				out = block
				mu.Lock()
				wait := next
				mu.Unlock()
				<-wait
			}
		}()
	}))
}
