package gateway

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// contentSecurityPolicy lets the app run its own files, show what the server and its player make and what comes from
// where streams are, and nothing else.
func contentSecurityPolicy(playbackOrigin string) string {
	if playbackOrigin != "" {
		playbackOrigin = " " + playbackOrigin
	}
	return "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:" + playbackOrigin +
		"; connect-src 'self' ws: wss:" + playbackOrigin +
		"; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// web serves the built app: hashed files for ever, its pages never cached.
type web struct {
	files  fs.FS
	index  []byte
	policy string
}

func newWeb(files fs.FS, playbackOrigin string) (*web, error) {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return nil, fmt.Errorf("read the web app's index.html: %w", err)
	}
	return &web{files: files, index: index, policy: contentSecurityPolicy(playbackOrigin)}, nil
}

// ServeHTTP implements http.Handler.
func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	h.Set("Content-Security-Policy", w.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notFound(rw, r)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if info, err := fs.Stat(w.files, name); err == nil && !info.IsDir() && name != "index.html" {
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "public, max-age=300")
		}
		http.ServeFileFS(rw, r, w.files, name)
		return
	}
	if !isPage(name) {
		notFound(rw, r)
		return
	}
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(rw, r, "index.html", time.Time{}, bytes.NewReader(w.index))
}

// isPage tells the app's own routes from addresses that do not exist.
func isPage(name string) bool {
	return name == "" || name == "." || name == "live" || name == "signin" || strings.HasPrefix(name, "room/") && strings.Count(name, "/") == 1
}
