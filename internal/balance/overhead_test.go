package balance

import (
	"net/http"
	"testing"
)

// stub answers without a network.
type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// What the balancer alone adds to a call: net/http on both sides, and nothing behind it.
func BenchmarkOverhead(b *testing.B) {
	run := func(b *testing.B, client *http.Client) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://chat/x", nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			res, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
		}
	}
	b.Run("plain", func(b *testing.B) {
		t := &http.Transport{}
		t.RegisterProtocol("http", stub{})
		run(b, &http.Client{Transport: t})
	})
	for name, n := range map[string]int{"one": 1, "four": 4, "sixty": 60} {
		b.Run(name, func(b *testing.B) {
			balancer := New(Options{Name: "chat"})
			defer balancer.Close()
			var list []Instance
			for i := range n {
				list = append(list, Instance{ID: string(rune('a' + i)), URL: "http://a:1", Weight: 1})
			}
			if err := balancer.Update(list); err != nil {
				b.Fatal(err)
			}
			for _, m := range balancer.members {
				m.transport.RegisterProtocol("http", stub{})
			}
			run(b, &http.Client{Transport: balancer})
		})
	}
}
