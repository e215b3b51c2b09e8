package balance_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/memhttp"
)

// What the balancer adds to a call: the same server in memory by its own client, and through a balancer of one and of
// four instances.
func BenchmarkCall(b *testing.B) {
	run := func(b *testing.B, client *http.Client, url string) {
		b.ReportAllocs()
		for b.Loop() {
			res, err := client.Post(url+"/x", "application/proto", strings.NewReader("hello"))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}
	b.Run("plain", func(b *testing.B) {
		s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "a")
		}))
		defer s.Close() //nolint:errcheck // a benchmark
		run(b, s.Client(), s.URL())
	})
	for name, list := range map[string][]string{"one": {"a"}, "four": {"a", "b", "c", "d"}} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, "", "a", "b", "c", "d")
			w.list(list...)
			run(b, w.client, "http://chat")
		})
	}
}
