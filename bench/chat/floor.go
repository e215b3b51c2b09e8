package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// floorServer is the least code that moves the same bytes over the same transport:
//
//   - what comes on /send is written to every socket of /receive, by one write call a delivery, or, with -merge, by one
//     for all that came in that time;
//   - what comes on /durable is written to a file, synced by one fdatasync for all that had come, and answered. The first
//     byte says to how many of these sockets a push of the same bytes goes as well.
func floorServer(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address")
	merge := flags.Duration("merge", 0, "messages of this long go out in one write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	relay := &relay{messages: make(chan []byte, 1024)}
	go relay.run(*merge)
	log, err := newFloorLog()
	if err != nil {
		return err
	}
	go log.run()
	mux := http.NewServeMux()
	mux.HandleFunc("/receive", func(w http.ResponseWriter, r *http.Request) {
		if s, err := acceptSocket(w, r); err == nil {
			relay.add(s)
		}
	})
	mux.HandleFunc("/send", func(w http.ResponseWriter, r *http.Request) {
		if s, err := acceptSocket(w, r); err == nil {
			go func() {
				for payload, err := s.next(); err == nil; payload, err = s.next() {
					relay.messages <- append(appendHeader(nil, opBinary, len(payload), false), payload...)
				}
				s.close()
			}()
		}
	})
	mux.HandleFunc("/durable", func(w http.ResponseWriter, r *http.Request) {
		if s, err := acceptSocket(w, r); err == nil {
			go log.serve(s)
		}
	})
	return http.Serve(l, mux)
}

// relay writes each message to every socket.
type relay struct {
	messages chan []byte
	mu       sync.Mutex
	sockets  []net.Conn
}

func (r *relay) add(s *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets = append(r.sockets, s.conn)
}

func (r *relay) run(merge time.Duration) {
	for frames := range r.messages {
		if merge > 0 {
			for end := time.After(merge); end != nil; {
				select {
				case frame := <-r.messages:
					frames = append(frames, frame...)
				case <-end:
					end = nil
				}
			}
		}
		r.mu.Lock()
		for i := 0; i < len(r.sockets); {
			if _, err := r.sockets[i].Write(frames); err == nil {
				i++
				continue
			}
			_ = r.sockets[i].Close()
			r.sockets[i] = r.sockets[len(r.sockets)-1]
			r.sockets = r.sockets[:len(r.sockets)-1]
		}
		r.mu.Unlock()
	}
}

// floorLog makes what comes durable.
type floorLog struct {
	file     *os.File
	requests chan floorRequest
	mu       sync.Mutex
	sockets  []*socket
}

type floorRequest struct {
	from   int // of sockets
	pushes int
	id     uint32
	bytes  []byte
}

// newFloorLog keeps its file, which goes with the process, where the databases of the other servers are.
func newFloorLog() (*floorLog, error) {
	file, err := os.CreateTemp("", "stoa-bench-floor-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	return &floorLog{file: file, requests: make(chan floorRequest, 1024)}, nil
}

func (l *floorLog) serve(s *socket) {
	l.mu.Lock()
	from := len(l.sockets)
	l.sockets = append(l.sockets, s)
	l.mu.Unlock()
	for payload, err := s.next(); err == nil; payload, err = s.next() {
		l.requests <- floorRequest{
			from: from, pushes: int(payload[0]), id: binary.BigEndian.Uint32(payload[1:]), bytes: bytes.Clone(payload[5:]),
		}
	}
	s.close()
}

func (l *floorLog) run() {
	for first := range l.requests {
		batch := []floorRequest{first}
		for more := true; more; {
			select {
			case next := <-l.requests:
				batch = append(batch, next)
			default:
				more = false
			}
		}
		var all []byte
		for _, r := range batch {
			all = append(all, r.bytes...)
		}
		if _, err := l.file.Write(all); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		if err := unix.Fdatasync(int(l.file.Fd())); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		l.mu.Lock()
		sockets := l.sockets
		l.mu.Unlock()
		for _, r := range batch {
			// The answer holds the message, as Stoa's does.
			_ = sockets[r.from].write(appendFrame(nil, r.id, replyKind, r.bytes))
			for i := range r.pushes {
				_ = sockets[(r.from+i)%len(sockets)].write(appendFrame(nil, 0, pushKind, r.bytes))
			}
		}
	}
}
