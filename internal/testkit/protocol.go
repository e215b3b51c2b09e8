package testkit

import (
	"net/http"

	"connectrpc.com/connect"
)

// Protocol is one way to call an RPC.
type Protocol struct {
	Name string
	// HTTP2 tells which version of HTTP carries it.
	HTTP2   bool
	Options []connect.ClientOption
}

// Protocols returns every way: Connect, gRPC and gRPC-Web, each with binary messages and JSON, over HTTP/2 and, but for
// gRPC, HTTP/1.1. Reads go as GET where the protocol has that.
func Protocols() []Protocol {
	var all []Protocol
	for _, p := range []struct {
		name    string
		http1   bool
		options []connect.ClientOption
	}{
		{"Connect", true, []connect.ClientOption{connect.WithHTTPGet()}},
		{"gRPC", false, []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC-Web", true, []connect.ClientOption{connect.WithGRPCWeb()}},
	} {
		for _, codec := range []string{"binary", "JSON"} {
			options := p.options
			if codec == "JSON" {
				options = append([]connect.ClientOption{connect.WithProtoJSON()}, options...)
			}
			all = append(all, Protocol{p.name + " " + codec + " HTTP2", true, options})
			if p.http1 {
				all = append(all, Protocol{p.name + " " + codec + " HTTP1", false, options})
			}
		}
	}
	return all
}

// Client builds a generated client that calls by a protocol, with a token unless that is "":
//
//	chat := testkit.Client(s, p, token, chatv1connect.NewChatServiceClient)
func Client[C any](
	s *Server, p Protocol, token string, build func(connect.HTTPClient, string, ...connect.ClientOption) C,
) C {
	return build(Bearer{Client: s.HTTP(p), Token: token}, s.URL, p.Options...)
}

// HTTP returns the client for a protocol's version of HTTP.
func (s *Server) HTTP(p Protocol) *http.Client {
	if p.HTTP2 {
		return s.HTTP2
	}
	return s.HTTP1
}

// Bearer sends a token with each request, as it is.
type Bearer struct {
	Client connect.HTTPClient
	Token  string
}

// Do implements connect.HTTPClient.
func (b Bearer) Do(r *http.Request) (*http.Response, error) {
	if b.Token != "" {
		r.Header.Set("Authorization", "Bearer "+b.Token)
	}
	return b.Client.Do(r)
}
