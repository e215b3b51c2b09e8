package app_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestTenThousandGuesses tries passwords of a known name and of one that nobody has, 64 at a time, claiming another
// address each time. The guesses are written by hand: under the race detector a client costs more than the server.
func TestTenThousandGuesses(t *testing.T) {
	const guesses, atOnce = 10_000, 64
	s := testkit.Start(t, func(c *config.Serve) { c.LogLevel = "warn" })
	victim, device := s.User(t, "victim"), s.Device(t)
	before := heap(true)
	var next, wrong, cut atomic.Int64
	var largest atomic.Uint64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := next.Add(1); i <= guesses; i = next.Add(1) {
				name := []string{victim.User.GetUsername(), "nobody-has-this"}[i%2]
				status, body := guess(t, s, fmt.Sprintf(`{"deviceId":%q,"username":%q,"password":"guess %d"}`, device, name, i), int(i))
				switch {
				case status == http.StatusUnauthorized && strings.Contains(body, "WRONG_CREDENTIALS"):
					wrong.Add(1)
				case status == http.StatusTooManyRequests && strings.Contains(body, "TOO_MANY_ATTEMPTS") && strings.Contains(body, "retry_after_ms"):
					cut.Add(1)
				default:
					t.Errorf("guess %d: %d %s", i, status, body)
				}
				if i%500 == 0 {
					if now := heap(false); now > largest.Load() {
						largest.Store(now)
					}
				}
			}
		})
	}
	all.Wait()
	// 10 for each name are compared; a few more where the test lasts for minutes.
	if wrong.Load() > 25 || wrong.Load()+cut.Load() != guesses {
		t.Errorf("%d guesses were compared, %d cut off", wrong.Load(), cut.Load())
	}
	// Two hashes of 19 MiB at a time, and what waits to be collected of them.
	if grown := int64(largest.Load()) - int64(before); grown > 256<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if kept := int64(heap(true)) - int64(before); kept > 32<<20 {
		t.Errorf("%d MiB are kept", kept>>20)
	}
	if _, err := as(s, binary, victim.Token).auth.GetMe(t.Context(), &authv1.GetMeRequest{}); err != nil {
		t.Errorf("who is signed in: %v", err)
	}
	if _, err := as(s, binary, "").live.ListRooms(t.Context(), &livev1.ListRoomsRequest{}); err != nil {
		t.Errorf("others: %v", err)
	}
}

func guess(t *testing.T, s *testkit.Server, body string, n int) (status int, answer string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/stoa.auth.v1.AuthService/SignIn", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", "application/json")
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "X-Stoa-Client-Address"} {
		r.Header.Set(name, fmt.Sprintf("203.0.%d.%d", n>>8, n&255))
	}
	res, err := s.HTTP2.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	raw, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(raw)
}

// TestAuthKnowsTheRealAddress holds the limits of auth, which are by address, to what the gateway saw.
func TestAuthKnowsTheRealAddress(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	key, err := os.ReadFile(filepath.Join(s.DataDir, "operator.key"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, call := connect.NewClientContext(t.Context())
	call.RequestHeader().Set("X-Forwarded-For", "203.0.113.9")
	call.RequestHeader().Set("X-Stoa-Client-Address", "203.0.113.9")
	if _, err := as(s, binary, "").auth.SignInAsOperator(ctx, &authv1.SignInAsOperatorRequest{OperatorKey: string(key)}); err != nil {
		t.Fatal(err)
	}
	if log := s.Log.String(); !strings.Contains(log, "address=127.0.0.1") || strings.Contains(log, "203.0.113.9") {
		t.Errorf("the operator signed in from elsewhere:\n%s", log)
	}
}

// heap returns the bytes of live and not yet collected objects, after a collection if asked.
func heap(collect bool) uint64 {
	if collect {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
