package edge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// maxReply bounds the answer of a call, in bytes.
const maxReply = 8 << 20

// call makes an RPC for the client, with the session's own token and through the same door as every request.
func (s *session) call(id uint32, c *edgev1.Call) *frame {
	if strings.HasPrefix(c.GetProcedure(), "/"+edgev1connect.EdgeServiceName+"/") {
		return refusal(id, errs.InvalidArgument(errs.ReasonInvalidArgument, "procedure: this connection has frames for it"))
	}
	timeout := callTimeout
	if ms := c.GetTimeoutMs(); ms > 0 {
		timeout = min(timeout, time.Duration(ms)*time.Millisecond)
	}
	response, err := s.roundTrip(c.GetProcedure(), c.GetRequest(), timeout)
	if err != nil {
		return refusal(id, err)
	}
	return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Reply{Reply: &edgev1.Reply{Response: response}}})
}

// ask makes an RPC in the user's name for the edge itself.
func (s *session) ask(timeout time.Duration, procedure string, request, response proto.Message) error {
	body, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	answer, err := s.roundTrip(procedure, body, timeout)
	if err != nil {
		return err
	}
	return proto.Unmarshal(answer, response)
}

// roundTrip speaks Connect's unary protocol to Calls, without a connection.
func (s *session) roundTrip(procedure string, body []byte, timeout time.Duration) ([]byte, error) {
	token, address, ok := s.rights()
	if !ok {
		return nil, sessionNotFound()
	}
	ctx, cancel := context.WithTimeout(s.edge.stopping, timeout)
	defer cancel()
	r := (&http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: procedure}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type":             {"application/proto"},
			"Connect-Protocol-Version": {"1"},
			"Connect-Timeout-Ms":       {strconv.FormatInt(timeout.Milliseconds(), 10)},
			"Authorization":            {"Bearer " + token},
			"User-Agent":               {"stoa-edge"},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Host: "edge", RemoteAddr: address,
	}).WithContext(ctx)
	w := &answer{header: make(http.Header), status: http.StatusOK}
	s.edge.deps.Calls.ServeHTTP(w, r)
	switch {
	case w.tooLarge:
		return nil, errs.ResourceExhausted(ReasonAnswerTooLarge, "the answer has more than %d bytes", maxReply)
	case w.status == http.StatusOK && w.header.Get("Content-Type") == "application/proto":
		return w.body.Bytes(), nil
	case w.status == http.StatusOK:
		return nil, errs.InvalidArgument(errs.ReasonInvalidArgument, "procedure: %q is no unary RPC", procedure)
	default:
		return nil, refused(w, procedure)
	}
}

// answer is what a handler writes.
type answer struct {
	header   http.Header
	status   int
	wrote    bool
	body     bytes.Buffer
	tooLarge bool
}

// Header implements http.ResponseWriter.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

// Write implements http.ResponseWriter.
func (w *answer) Write(b []byte) (int, error) {
	w.wrote = true
	if w.body.Len()+len(b) > maxReply {
		w.tooLarge = true
		return 0, io.ErrShortWrite
	}
	return w.body.Write(b)
}

// refused reads the error of Connect's unary protocol (https://connectrpc.com/docs/protocol#error-end-stream).
func refused(w *answer, procedure string) error {
	var wire struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"details"`
	}
	var code connect.Code
	if json.Unmarshal(w.body.Bytes(), &wire) != nil || code.UnmarshalText([]byte(wire.Code)) != nil {
		if w.status == http.StatusNotFound || w.status == http.StatusMethodNotAllowed {
			return errs.New(connect.CodeUnimplemented, "UNIMPLEMENTED", "there is no RPC %q", procedure)
		}
		return errs.Unavailable(errs.ReasonUnavailable, "the call was answered with HTTP status %d", w.status)
	}
	err := errs.New(code, "", "%s", wire.Message)
	for _, d := range wire.Details {
		raw, bad := base64.RawStdEncoding.DecodeString(strings.TrimRight(d.Value, "="))
		if bad != nil || d.Type != "google.rpc.ErrorInfo" {
			continue
		}
		info := &errdetails.ErrorInfo{}
		if proto.Unmarshal(raw, info) != nil {
			continue
		}
		err.Reason = info.GetReason()
		for k, v := range info.GetMetadata() {
			err = err.With(k, v)
		}
	}
	return err
}
