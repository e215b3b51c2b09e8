package stoa

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

// HTTPClient returns what a generated client needs to call over the connection:
//
//	chat := chatv1connect.NewChatServiceClient(conn.HTTPClient(), "http://edge")
//
// The address means nothing. Only unary calls go, in the Connect protocol with binary protobuf, which is what generated
// clients speak unless told otherwise; headers stay behind, for the session has its own token.
func (c *Conn) HTTPClient() connect.HTTPClient { return httpClient{c} }

type httpClient struct{ conn *Conn }

// Do implements connect.HTTPClient.
func (h httpClient) Do(req *http.Request) (*http.Response, error) {
	request, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(req.URL.Path, "/")
	procedure := "/" + strings.Join(parts[max(0, len(parts)-2):], "/")
	response, err := h.conn.call(req.Context(), procedure, request)
	if err == nil {
		return httpResponse(req, http.StatusOK, "application/proto", response), nil
	}
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return nil, err
	}
	status, body, err := httpError(wire)
	if err != nil {
		return nil, err
	}
	return httpResponse(req, status, "application/json", body), nil
}

// readRequest returns the message of a unary call.
func readRequest(req *http.Request) ([]byte, error) {
	var body io.Reader = http.NoBody
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
		body = req.Body
	}
	if kind := req.Header.Get("Content-Type"); req.Method != http.MethodPost || kind != "application/proto" {
		return nil, connect.NewError(connect.CodeUnimplemented, fmt.Errorf(
			"%s %q does not go over a long connection, only unary calls in the Connect protocol with binary protobuf do",
			req.Method, kind))
	}
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		zip, err := gzip.NewReader(body)
		if err != nil {
			return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("unpack request: %w", err))
		}
		body = zip
	default:
		return nil, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("requests cannot be packed by %q", encoding))
	}
	message, err := io.ReadAll(body)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("read request: %w", err))
	}
	return message, nil
}

func httpResponse(req *http.Request, status int, kind string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}
}

// httpError writes an error as the Connect protocol does.
func httpError(e *connect.Error) (status int, body []byte, err error) {
	type detail struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	out := struct {
		Code    string   `json:"code"`
		Message string   `json:"message,omitempty"`
		Details []detail `json:"details,omitempty"`
	}{Code: e.Code().String(), Message: e.Message()}
	for _, d := range e.Details() {
		out.Details = append(out.Details, detail{d.Type(), base64.RawStdEncoding.EncodeToString(d.Bytes())})
	}
	body, err = json.Marshal(out)
	return httpStatus(e.Code()), body, err
}

// httpStatus is the status that the Connect protocol gives a code.
func httpStatus(code connect.Code) int {
	switch code {
	case connect.CodeCanceled:
		return 499
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeOutOfRange:
		return http.StatusBadRequest
	case connect.CodeDeadlineExceeded:
		return http.StatusGatewayTimeout
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodeAlreadyExists, connect.CodeAborted:
		return http.StatusConflict
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeUnimplemented:
		return http.StatusNotImplemented
	case connect.CodeUnavailable:
		return http.StatusServiceUnavailable
	case connect.CodeUnauthenticated:
		return http.StatusUnauthorized
	default:
		return http.StatusInternalServerError
	}
}
