package gateway

import (
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
)

// Reasons of refusals before a handler is reached.
const (
	reasonNotFound         = "NOT_FOUND"
	reasonUnknownRPC       = "UNKNOWN_RPC"
	reasonMethodNotAllowed = "METHOD_NOT_ALLOWED"
	reasonMediaType        = "UNSUPPORTED_MEDIA_TYPE"
	reasonHTTPVersion      = "HTTP_VERSION_NOT_SUPPORTED"
)

// writeRPCError answers in the protocol of the request: Connect, gRPC or gRPC-Web.
func writeRPCError(w http.ResponseWriter, r *http.Request, err error) {
	writer := connect.NewErrorWriter()
	if !writer.IsSupported(r) {
		errs.WriteHTTP(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = writer.Write(w, r, errs.ToConnect(err)) // who does not read has gone
}

// notFound answers what nobody serves: RPCs as their protocol wants to hear it, everything else in JSON.
func notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && connect.NewErrorWriter().IsSupported(r) {
		refuse(w, r, http.StatusNotFound)
		return
	}
	errs.WriteHTTP(w, r, errs.NotFound(reasonNotFound, "There is nothing at this address."))
}

// refusal is what a status says that came without a reason, nil for those that have one of their own.
func refusal(status int) *errs.Error {
	switch status {
	case http.StatusNotFound:
		return errs.New(connect.CodeUnimplemented, reasonUnknownRPC, "There is no such RPC.")
	case http.StatusMethodNotAllowed:
		return errs.New(connect.CodeUnimplemented, reasonMethodNotAllowed, "This RPC is not called by this HTTP method.")
	case http.StatusUnsupportedMediaType:
		return errs.InvalidArgument(reasonMediaType, "This RPC does not take this content type.")
	case http.StatusHTTPVersionNotSupported:
		return errs.New(connect.CodeUnimplemented, reasonHTTPVersion, "This RPC needs HTTP/2.")
	}
	return nil
}

// refuse writes a refusal: in gRPC, gRPC-Web and Connect streams within the protocol, else in JSON under its status.
func refuse(w http.ResponseWriter, r *http.Request, status int) {
	if framed(r) && status != http.StatusHTTPVersionNotSupported {
		writeRPCError(w, r, refusal(status))
		return
	}
	errs.WriteHTTP(withStatus{w, status}, r, refusal(status))
}

// framed reports whether a request speaks a protocol of frames, which are those that can stream.
func framed(r *http.Request) bool {
	contentType := r.Header.Get("Content-Type")
	return strings.HasPrefix(contentType, "application/grpc") || strings.HasPrefix(contentType, "application/connect+")
}

// withStatus answers with a status of its own.
type withStatus struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w withStatus) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

// explained gives a reason to the refusals that net/http and connect write without one: no such method, a wrong HTTP
// method, a content type that nobody speaks.
type explained struct {
	http.ResponseWriter

	request *http.Request
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (e *explained) WriteHeader(status int) {
	if refusal(status) == nil || strings.HasPrefix(e.Header().Get("Content-Type"), "application/") {
		e.ResponseWriter.WriteHeader(status)
		return
	}
	if e.refused {
		return
	}
	e.refused = true
	e.Header().Del("Content-Length")
	refuse(e.ResponseWriter, e.request, status)
}

// Write drops the body of what was refused.
func (e *explained) Write(b []byte) (int, error) {
	if e.refused {
		return len(b), nil
	}
	return e.ResponseWriter.Write(b)
}

// Flush implements http.Flusher, which connect's streams ask for by type.
func (e *explained) Flush() { _ = http.NewResponseController(e.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (e *explained) Unwrap() http.ResponseWriter { return e.ResponseWriter }
