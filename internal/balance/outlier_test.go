package balance_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFailingInstanceIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", "a", "b", "c")
		defer w.end()
		w.list("a", "b", "c")
		w.servers["a"].answers(status(http.StatusBadGateway))
		ejected := func() float64 { return w.metric("stoa_registry_instances", "name=chat,state=ejected") }
		for range 200 {
			_, _, _ = w.call(t.Context(), http.MethodPost, "/x", nil)
		}
		if n := w.servers["a"].calls.Load(); n != 5 || ejected() != 1 {
			t.Errorf("it got %d calls, %v are out", n, ejected())
		}
		// After five seconds it is on probation: the next failure is the last for ten seconds.
		for _, out := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 60 * time.Second, 60 * time.Second} {
			before := w.servers["a"].calls.Load()
			time.Sleep(out - time.Second)
			synctest.Wait()
			if ejected() != 1 {
				t.Fatalf("back before %v", out)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if ejected() != 0 {
				t.Fatalf("not back after %v", out)
			}
			for range 100 {
				_, _, _ = w.call(t.Context(), http.MethodPost, "/x", nil)
			}
			if n := w.servers["a"].calls.Load() - before; n != 1 || ejected() != 1 {
				t.Fatalf("on probation it got %d calls, %v are out", n, ejected())
			}
		}
		// A success clears its record.
		time.Sleep(61 * time.Second)
		synctest.Wait()
		w.servers["a"].handle.Store(nil)
		if got := w.get(300); got["a"] == 0 || got["failed"] > 0 || ejected() != 0 {
			t.Errorf("a healthy one: %v", got)
		}
		if n := w.metric("stoa_registry_ejections_total", "name=chat"); n != 7 {
			t.Errorf("%v ejections were counted", n)
		}
	})
}

func TestHalfOfTheInstancesStay(t *testing.T) {
	w := newWorld(t, "", "a", "b", "c", "d", "e")
	for _, s := range w.servers {
		s.answers(status(http.StatusServiceUnavailable))
	}
	for list, want := range map[string]float64{"a": 0, "ab": 1, "abc": 1, "abcd": 2, "abcde": 2} {
		var names []string
		for _, r := range list {
			names = append(names, string(r)+"/"+list) // others than those before
		}
		w.list(names...)
		for range 300 {
			_, _, _ = w.call(t.Context(), http.MethodPost, "/x", nil)
		}
		if n := w.metric("stoa_registry_instances", "name=chat,state=ejected"); n != want {
			t.Errorf("of %d instances %v are out, want %v", len(list), n, want)
		}
	}
}

func TestWhatIsNoFailureOfAnInstance(t *testing.T) {
	w := newWorld(t, "", "a", "b")
	w.list("a", "b")
	answers := map[string]http.HandlerFunc{
		"a handler that is not available": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(http.StatusServiceUnavailable)
		},
		"a fault of a handler": status(http.StatusInternalServerError),
		"a refusal":            status(http.StatusTooManyRequests),
	}
	for name, answer := range answers {
		w.servers["a"].answers(answer)
		for range 50 {
			_, _, _ = w.call(t.Context(), http.MethodPost, "/x", nil)
		}
		if n := w.metric("stoa_registry_ejections_total", "name=chat"); n != 0 {
			t.Errorf("%s: ejected", name)
		}
	}
	// Callers that go away, or have little time.
	hangs := make(chan struct{})
	defer close(hangs)
	w.servers["a"].answers(func(http.ResponseWriter, *http.Request) { <-hangs })
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		_, _, _ = w.call(ctx, http.MethodPost, "/x", nil)
		cancel()
	}
	if n := w.metric("stoa_registry_ejections_total", "name=chat"); n != 0 {
		t.Error("impatient callers ejected an instance")
	}
}

func TestAnInstanceThatHangsIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", "a", "b")
		defer w.end()
		w.list("a", "b")
		hangs := make(chan struct{})
		defer close(hangs)
		w.servers["a"].answers(func(http.ResponseWriter, *http.Request) { <-hangs })
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, _, _ = w.call(ctx, http.MethodPost, "/x", nil)
			cancel()
			if w.metric("stoa_registry_ejections_total", "name=chat") > 0 {
				return
			}
		}
		t.Error("it is still called")
	})
}
