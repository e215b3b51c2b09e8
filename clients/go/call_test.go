package stoa_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	stoa "github.com/stoa-live/stoa/clients/go"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
)

// me answers GetMe, slowly where it is told to, and refuses the rest.
func me(_ context.Context, procedure string, _ []byte) (proto.Message, error) {
	if procedure == authv1connect.AuthServiceGetMeProcedure {
		return &authv1.GetMeResponse{User: &authv1.User{Id: "somebody"}}, nil
	}
	return nil, refusal(connect.CodeResourceExhausted, "RATE_LIMITED", map[string]string{"retry_after_ms": "7"})
}

func refusal(code connect.Code, reason string, metadata map[string]string) error {
	err := connect.NewError(code, errors.New("no"))
	detail, _ := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: reason, Domain: "stoa", Metadata: metadata})
	err.AddDetail(detail)
	return err
}

// TestCall calls as it is and through a generated client, with answers, refusals and the end of contexts.
func TestCall(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		inFlight, stuck := make(chan struct{}, 3), make(chan struct{})
		defer close(stuck)
		e.maxCalls = 2
		e.handle = func(ctx context.Context, procedure string, request []byte) (proto.Message, error) {
			if procedure == authv1connect.AuthServiceSignOutProcedure {
				inFlight <- struct{}{}
				<-stuck
			}
			return me(ctx, procedure, request)
		}
		conn := dial(t, e.options())
		got := &authv1.GetMeResponse{}
		if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{}, got); err != nil ||
			got.GetUser().GetId() != "somebody" {
			t.Errorf("GetMe answered %v, %v", got, err)
		}
		generated := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge")
		if got, err := generated.GetMe(within(t), &authv1.GetMeRequest{}); err != nil || got.GetUser().GetId() != "somebody" {
			t.Errorf("through a generated client, GetMe answered %v, %v", got, err)
		}
		packing := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge/prefix", connect.WithSendGzip())
		if got, err := packing.GetMe(within(t), &authv1.GetMeRequest{}); err != nil || got.GetUser().GetId() != "somebody" {
			t.Errorf("with a packed request, GetMe answered %v, %v", got, err)
		}
		for name, err := range map[string]error{
			"Call": conn.Call(within(t), authv1connect.AuthServiceListDevicesProcedure, &authv1.ListDevicesRequest{},
				&authv1.ListDevicesResponse{}),
			"generated": func() error { _, err := generated.ListDevices(within(t), &authv1.ListDevicesRequest{}); return err }(),
		} {
			if connect.CodeOf(err) != connect.CodeResourceExhausted || stoa.Reason(err) != "RATE_LIMITED" ||
				stoa.Metadata(err)["retry_after_ms"] != "7" {
				t.Errorf("%s was refused by %v (%s, %v)", name, err, stoa.Reason(err), stoa.Metadata(err))
			}
		}
		_, err := generated.SignUp(within(t), &authv1.SignUpRequest{Nickname: strings.Repeat("x", 2<<20)})
		if connect.CodeOf(err) != connect.CodeResourceExhausted || stoa.Reason(err) != stoa.ReasonRequestTooLarge {
			t.Errorf("a request above the limit was refused by %v", err)
		}
		json := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge", connect.WithProtoJSON())
		if _, err := json.GetMe(within(t), &authv1.GetMeRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("a call in JSON was answered by %v", err)
		}

		// Two calls are in flight: the third waits for its turn, and what is given up keeps its place until it is answered.
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := generated.SignOut(ctx, &authv1.SignOutRequest{})
				errs <- err
			}()
		}
		<-inFlight
		<-inFlight
		cancel()
		for range 3 {
			if err := <-errs; connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("a call that was given up ended by %v", err)
			}
		}
		short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		if _, err := generated.GetMe(short, &authv1.GetMeRequest{}); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
			t.Errorf("while all places are taken, a call ended by %v", err)
		}
		stuck <- struct{}{}
		stuck <- struct{}{}
		if _, err := generated.GetMe(within(t), &authv1.GetMeRequest{}); err != nil {
			t.Errorf("once there was a place, a call ended by %v", err)
		}
	})
}

// TestTLS connects by TLS to who has the right certificate, and to nobody else.
func TestTLS(t *testing.T) {
	for _, scheme := range []string{"tls", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			e := newEdge(t, scheme)
			e.handle = me
			o := e.options()
			o.TLS = certificate(t).Client().Transport.(*http.Transport).TLSClientConfig
			conn := dial(t, o)
			if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{},
				&authv1.GetMeResponse{}); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(within(t))
			defer cancel()
			o = e.options()
			o.OnStatus = func(stoa.Status) { cancel() } // after the first try
			if _, err := stoa.Dial(ctx, o); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("with the roots of the system, Dial ended by %v", err)
			}
		})
	}
}
