package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

// contentSecurityPolicy lets the app run its own files, show what the server and its player make and what comes from
// where streams are, and nothing else.
func contentSecurityPolicy(playbackOrigin string) string {
	media, streams := "", ""
	if playbackOrigin != "" {
		// A source of HTTP does not cover WebSockets of the same origin, as 'self' does (CSP Level 3, section 6.7.2.8).
		media, streams = " "+playbackOrigin, " "+playbackOrigin+" "+strings.Replace(playbackOrigin, "http", "ws", 1)
	}
	return "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:" + media +
		"; connect-src 'self'" + streams +
		"; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// web serves the built apps: hashed files for ever, pages never cached.
type web struct {
	files  fs.FS
	policy string
	app    *webApp
	// console is below /admin.
	console *webApp
}

// webApp is one of the apps: a folder of files, and the page that all its own addresses show.
type webApp struct {
	folder string
	index  []byte
	isPage func(name string) bool
}

const (
	consolePrefix = "admin"
	packed        = ".gz" // ends the names of compressed files
)

func newWeb(files fs.FS, playbackOrigin string) (*web, error) {
	w := &web{files: files, policy: contentSecurityPolicy(playbackOrigin)}
	var err1, err2 error
	w.app, err1 = newWebApp(files, "app", isAppPage)
	w.console, err2 = newWebApp(files, "console", isConsolePage)
	return w, errors.Join(err1, err2)
}

func newWebApp(files fs.FS, folder string, isPage func(string) bool) (*webApp, error) {
	index, err := fs.ReadFile(files, folder+"/index.html")
	if err != nil {
		return nil, fmt.Errorf("read the page of the web app %s: %w", folder, err)
	}
	return &webApp{folder: folder, index: index, isPage: isPage}, nil
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
	app, name := w.app, strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if rest, below := strings.CutPrefix(name, consolePrefix); below && (rest == "" || rest[0] == '/') {
		app, name = w.console, strings.TrimPrefix(rest, "/")
	}
	file := path.Join(app.folder, name)
	if name != "index.html" && !strings.HasSuffix(name, packed) && w.exists(file) {
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "public, max-age=300")
		}
		w.serveFile(rw, r, file)
		return
	}
	if !app.isPage(name) {
		app.serveNotFound(rw, r)
		return
	}
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(rw, r, "index.html", time.Time{}, bytes.NewReader(app.index))
}

// serveNotFound shows people the app, which says that there is nothing here, and tells everything else in JSON.
func (a *webApp) serveNotFound(rw http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		notFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(http.StatusNotFound)
	if r.Method == http.MethodGet {
		_, _ = rw.Write(a.index) // who does not read has gone
	}
}

// exists reports whether there is a file, as it is or compressed.
func (w *web) exists(file string) bool {
	for _, name := range []string{file, file + packed} {
		if info, err := fs.Stat(w.files, name); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// serveFile answers with a file. The build compresses what gets smaller by it, so most are kept that way and sent as they
// are; the few who cannot read that get them unpacked.
func (w *web) serveFile(rw http.ResponseWriter, r *http.Request, file string) {
	small, err := fs.ReadFile(w.files, file+packed)
	if err != nil {
		http.ServeFileFS(rw, r, w.files, file)
		return
	}
	rw.Header().Set("Vary", "Accept-Encoding")
	if acceptsGzip(r) && r.Header.Get("Range") == "" {
		rw.Header().Set("Content-Encoding", "gzip")
		http.ServeContent(rw, r, file, time.Time{}, bytes.NewReader(small))
		return
	}
	whole, err := unpacked(small)
	if err != nil {
		errs.WriteHTTP(rw, r, fmt.Errorf("unpack %s: %w", file, err))
		return
	}
	http.ServeContent(rw, r, file, time.Time{}, bytes.NewReader(whole))
}

func unpacked(small []byte) ([]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(small))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}

// acceptsGzip reports whether a client reads gzip (RFC 9110, section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") && strings.TrimSpace(parameters) != "q=0" {
			return true
		}
	}
	return false
}

// isAppPage tells the app's own addresses from those that do not exist.
func isAppPage(name string) bool {
	switch name {
	case "", ".", "live", "signin", "account":
		return true
	}
	return isItem(name, "room")
}

// isConsolePage tells the console's own addresses, without their prefix, from those that do not exist.
func isConsolePage(name string) bool {
	switch name {
	case "", "signin", "setup", "users", "rooms", "chat", "mutes", "settings", "audit":
		return true
	}
	return isItem(name, "users") || isItem(name, "rooms")
}

// isItem reports whether name is one thing of a kind: "room/01J".
func isItem(name, kind string) bool {
	id, ok := strings.CutPrefix(name, kind+"/")
	return ok && id != "" && !strings.Contains(id, "/")
}
