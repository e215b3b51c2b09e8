package errs

import (
	"net/http"

	"connectrpc.com/connect"
)

// WriteHTTP answers a request that is no RPC, such as one for a playlist, with the status and the JSON body that Connect
// gives to the same error: {"code", "message", "details"}.
func WriteHTTP(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// The writer speaks the protocol that a content type names; this request has none that counts.
	plain := r.Clone(r.Context())
	plain.Header.Del("Content-Type")
	// A body that cannot be written has no reader any more.
	_ = connect.NewErrorWriter().Write(w, plain, ToConnect(err))
}
