package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stoa-live/stoa/internal/telemetry"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	ctx := telemetry.WithRequestID(t.Context(), "r1")
	logger.InfoContext(ctx, "quiet")
	logger.With("service", "auth").WithGroup("g").WarnContext(ctx, "loud", "a", 1)
	var record map[string]any
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if record["msg"] != "loud" || record["service"] != "auth" || !strings.Contains(out.String(), `"request_id":"r1"`) {
		t.Errorf("got %v", record)
	}
	out.Reset()
	logger, err = telemetry.NewLogger(&out, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	logger.DebugContext(t.Context(), "fine")
	if got := out.String(); !strings.Contains(got, "level=DEBUG msg=fine") || strings.Contains(got, "request_id") {
		t.Errorf("got %q", got)
	}
	for _, bad := range [][2]string{{"xml", "info"}, {"json", "loud"}, {"", ""}} {
		if _, err := telemetry.NewLogger(&out, bad[0], bad[1]); err == nil {
			t.Errorf("NewLogger(%v) succeeded", bad)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	a, b := telemetry.NewRequestID(), telemetry.NewRequestID()
	if a == b || !telemetry.ValidRequestID(a) || telemetry.RequestID(t.Context()) != "" {
		t.Errorf("got %q and %q", a, b)
	}
	for id, want := range map[string]bool{
		"": false, "x": true, "0a-B_c.d": true, "a b": false, "a\nb": false, "é": false, strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false, "<script>": false,
	} {
		if got := telemetry.ValidRequestID(id); got != want {
			t.Errorf("ValidRequestID(%q) = %v", id, got)
		}
	}
}

func TestMetricsPage(t *testing.T) {
	a := telemetry.NewMetrics()
	telemetry.NewMetrics() // a second one does not collide
	page := httptest.NewRecorder()
	a.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestAnsweredCountsThePeoplesCalls(t *testing.T) {
	m := telemetry.NewMetrics()
	const procedure = "/test.Service/Fail"
	// The handler fails by the code that the request names.
	fail := func(_ context.Context, r *connect.Request[wrapperspb.Int32Value]) (*connect.Response[emptypb.Empty], error) {
		if code := connect.Code(r.Msg.GetValue()); code != 0 { //nolint:gosec // the test's own
			return nil, connect.NewError(code, errors.New("failed"))
		}
		return connect.NewResponse(&emptypb.Empty{}), nil
	}
	stream := func(ctx context.Context, r *connect.Request[wrapperspb.Int32Value], _ *connect.ServerStream[emptypb.Empty]) error {
		_, err := fail(ctx, r)
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(procedure, connect.NewUnaryHandler(procedure, fail, connect.WithInterceptors(m.Interceptor())))
	mux.Handle(procedure+"Slowly", connect.NewServerStreamHandler(procedure+"Slowly", stream, connect.WithInterceptors(m.Interceptor())))
	server := httptest.NewServer(mux)
	defer server.Close()
	var calls, faults int64
	for code := connect.Code(0); code <= connect.CodeUnauthenticated; code++ {
		switch code {
		case connect.CodeUnknown, connect.CodeInternal, connect.CodeUnavailable, connect.CodeDataLoss, connect.CodeDeadlineExceeded:
			faults += 2
		}
		calls += 2
		for _, people := range []bool{true, false} {
			request := func() *connect.Request[wrapperspb.Int32Value] {
				r := connect.NewRequest(wrapperspb.Int32(int32(code))) //nolint:gosec // small
				if people {
					r.Header().Set("X-Stoa-Client-Address", "192.0.2.1")
				}
				return r
			}
			one := connect.NewClient[wrapperspb.Int32Value, emptypb.Empty](server.Client(), server.URL+procedure)
			if _, err := one.CallUnary(t.Context(), request()); code != 0 && connect.CodeOf(err) != code {
				t.Errorf("%v: %v", code, err)
			}
			many := connect.NewClient[wrapperspb.Int32Value, emptypb.Empty](server.Client(), server.URL+procedure+"Slowly")
			s, err := many.CallServerStream(t.Context(), request())
			if err != nil {
				t.Fatal(err)
			}
			if s.Receive() || code != 0 && connect.CodeOf(s.Err()) != code {
				t.Errorf("%v: %v", code, s.Err())
			}
			_ = s.Close()
		}
	}
	if c, f := m.Answered(); c != calls || f != faults {
		t.Errorf("%d calls and %d faults, want %d and %d", c, f, calls, faults)
	}
}

func TestProcessUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only what Linux tells is held to something")
		return
	}
	p := telemetry.NewProcess()
	before, memory := p.Usage()
	if memory < 1<<20 || memory > 64<<30 {
		t.Errorf("%d bytes of memory", memory)
	}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if now, _ := p.Usage(); now > before {
			return
		}
	}
	t.Error("ten seconds of work used no processor")
}
