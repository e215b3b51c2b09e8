package app_test

import (
	"bytes"
	"net/http"
	"regexp"
	"testing"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestProfiles reads one where the operator asked for them, and finds none anywhere else.
func TestProfiles(t *testing.T) {
	s := testkit.Start(t, func(c *config.Serve) { c.PprofAddr = "127.0.0.1:0" })
	found := regexp.MustCompile(`pprof=(\S+)`).FindStringSubmatch(s.Log.String())
	if found == nil {
		t.Fatal("it does not say where profiles are")
	}
	get := func(url string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, body := fetch(t, http.DefaultClient, r)
		return res.StatusCode, body
	}
	heap := "http://" + found[1] + "/debug/pprof/heap"
	if status, body := get(heap); status != http.StatusOK || !bytes.HasPrefix([]byte(body), []byte{0x1f, 0x8b}) {
		t.Errorf("the heap's profile is %d, %.40q", status, body)
	}
	if status, _ := get("http://" + s.HTTPAddr().String() + "/debug/pprof/heap"); status != http.StatusNotFound {
		t.Errorf("the public port answers with %d", status)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(heap); err == nil { //nolint:noctx // nobody answers
		t.Error("profiles are served after the end")
	}
}
