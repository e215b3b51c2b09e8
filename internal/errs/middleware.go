package errs

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Middleware gives a reason to the errors of unary calls that no interceptor can see: connect reads and decodes the
// request before it calls the first one, so a body that is too large, malformed or wrongly compressed is answered by
// connect itself, with Go's words and without an ErrorInfo. Wrap the Connect handlers with it, in any protocol.
//
// Requests that are no RPC (a GET of one has the parameter "encoding") pass through untouched, so that streams of media keep their own ResponseWriter.
func Middleware(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !writer.IsSupported(r) || (r.Method == http.MethodGet && !r.URL.Query().Has("encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		contentType := r.Header.Get("Content-Type")
		switch {
		case strings.HasPrefix(contentType, "application/grpc"):
			reply := &grpcReply{ResponseWriter: w}
			next.ServeHTTP(reply, r)
			reply.complete()
		case strings.HasPrefix(contentType, "application/connect+"):
			next.ServeHTTP(w, r) // streams are read inside of the interceptors
		default:
			reply := &unaryReply{ResponseWriter: w}
			next.ServeHTTP(reply, r)
			reply.complete()
		}
	})
}

// unaryReply holds back a JSON error of the Connect protocol until it is known whether it needs a reason.
type unaryReply struct {
	http.ResponseWriter

	held int // status of a held error, 0 when the reply passes through
	body bytes.Buffer
}

// WriteHeader passes successes through and holds errors.
func (u *unaryReply) WriteHeader(code int) {
	if code >= http.StatusBadRequest && strings.HasPrefix(u.Header().Get("Content-Type"), "application/json") {
		u.held = code
		return
	}
	u.ResponseWriter.WriteHeader(code)
}

// Write passes successes through and holds errors, which connect has already bounded.
func (u *unaryReply) Write(p []byte) (int, error) {
	if u.held != 0 {
		return u.body.Write(p)
	}
	return u.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (u *unaryReply) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// Flush lets connect flush a reply that is not held.
func (u *unaryReply) Flush() {
	if u.held == 0 {
		_ = http.NewResponseController(u.ResponseWriter).Flush()
	}
}

func (u *unaryReply) complete() {
	if u.held == 0 {
		return
	}
	body := u.body.Bytes()
	var wire wireError
	if json.Unmarshal(body, &wire) == nil && wire.Code != "" && !wire.hasInfo() {
		var code connect.Code
		if code.UnmarshalText([]byte(wire.Code)) == nil {
			body = marshalWire(bare(connect.NewError(code, errors.New(wire.Message))), body)
		}
	}
	u.Header().Del("Content-Length")
	u.ResponseWriter.WriteHeader(u.held)
	_, _ = u.ResponseWriter.Write(body)
}

// wireError is the JSON form of an error in the Connect protocol.
type wireError struct {
	Code    string       `json:"code"`
	Message string       `json:"message,omitempty"`
	Details []wireDetail `json:"details,omitempty"`
}

type wireDetail struct {
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

func (w wireError) hasInfo() bool {
	for _, d := range w.Details {
		if d.Type == "google.rpc.ErrorInfo" {
			return true
		}
	}
	return false
}

// marshalWire writes err as the Connect protocol does, and falls back to what connect had written.
func marshalWire(err *connect.Error, fallback []byte) []byte {
	recorder := &bodyRecorder{header: make(http.Header)}
	request := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}}
	if connect.NewErrorWriter().Write(recorder, request, err) != nil {
		return fallback
	}
	return recorder.body.Bytes()
}

type bodyRecorder struct {
	header http.Header
	body   bytes.Buffer
}

func (b *bodyRecorder) Header() http.Header         { return b.header }
func (b *bodyRecorder) WriteHeader(int)             {}
func (b *bodyRecorder) Write(p []byte) (int, error) { return b.body.Write(p) }

// grpcReply completes the trailers of a gRPC error, or the headers that gRPC-Web sends in their place.
type grpcReply struct {
	http.ResponseWriter

	sent bool // headers are on the wire; trailers may still change
}

// WriteHeader completes a trailers-only reply before it is sent.
func (g *grpcReply) WriteHeader(code int) {
	g.before()
	g.ResponseWriter.WriteHeader(code)
}

// Write completes a trailers-only reply before it is sent.
func (g *grpcReply) Write(p []byte) (int, error) {
	g.before()
	return g.ResponseWriter.Write(p)
}

// Flush completes a trailers-only reply before it is sent.
func (g *grpcReply) Flush() {
	g.before()
	_ = http.NewResponseController(g.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (g *grpcReply) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func (g *grpcReply) before() {
	if !g.sent {
		g.sent = true
		fix(g.Header(), "")
	}
}

func (g *grpcReply) complete() {
	g.before()
	fix(g.Header(), http.TrailerPrefix)
}

// fix adds the missing details to a gRPC status in header, whose keys have the given prefix.
func fix(header http.Header, prefix string) {
	// net/http canonicalises "Trailer:Grpc-Status" to itself, since a colon is no token character.
	get := func(key string) string {
		if v := header[prefix+key]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	number, err := strconv.ParseUint(get("Grpc-Status"), 10, 32)
	if err != nil || number == 0 || get("Grpc-Status-Details-Bin") != "" {
		return
	}
	fixed := bare(connect.NewError(connect.Code(number), errors.New(percentDecode(get("Grpc-Message")))))
	st := &status.Status{Code: int32(fixed.Code()), Message: fixed.Message()} //nolint:gosec // codes are below 17
	for _, d := range fixed.Details() {
		st.Details = append(st.Details, &anypb.Any{TypeUrl: "type.googleapis.com/" + d.Type(), Value: d.Bytes()})
	}
	bin, err := proto.Marshal(st)
	if err != nil {
		return
	}
	header[prefix+"Grpc-Status"] = []string{strconv.Itoa(int(fixed.Code()))}
	header[prefix+"Grpc-Message"] = []string{percentEncode(fixed.Message())}
	header[prefix+"Grpc-Status-Details-Bin"] = []string{connect.EncodeBinaryHeader(bin)}
}

// percentEncode escapes a message as the gRPC wire format asks: printable ASCII except "%" stays.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// percentDecode is lenient: what is no escape stays as it is.
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
