package gateway_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/internal/telemetry"
)

func TestWebApp(t *testing.T) {
	// With playback at /live/, which must not hide the page /live.
	w := serve(t, func(c *gateway.Config) { c.Playback = http.NotFoundHandler() })
	const page, console, missing = "<title>the app</title>", "<title>the console</title>", "NOT_FOUND"
	for path, c := range map[string]struct {
		status      int
		body, cache string
		contentType string
	}{
		"/":                       {200, page, "no-cache", "text/html; charset=utf-8"},
		"/live":                   {200, page, "no-cache", "text/html; charset=utf-8"},
		"/live?x=1":               {200, page, "no-cache", "text/html; charset=utf-8"},
		"/signin":                 {200, page, "no-cache", "text/html; charset=utf-8"},
		"/account":                {200, page, "no-cache", "text/html; charset=utf-8"},
		"/room/01J":               {200, page, "no-cache", "text/html; charset=utf-8"},
		"/admin":                  {200, console, "no-cache", "text/html; charset=utf-8"},
		"/admin/":                 {200, console, "no-cache", "text/html; charset=utf-8"},
		"/admin/users":            {200, console, "no-cache", "text/html; charset=utf-8"},
		"/admin/users/01J":        {200, console, "no-cache", "text/html; charset=utf-8"},
		"/admin/assets/c-1.js":    {200, "export {}", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		"/admin/index.html":       {404, missing, "no-store", "application/json"},
		"/admin/nothing":          {404, missing, "no-store", "application/json"},
		"/admin/users/a/b":        {404, missing, "no-store", "application/json"},
		"/admin/../app/x":         {404, missing, "no-store", "application/json"},
		"/administrator":          {404, missing, "no-store", "application/json"},
		"/index.html":             {404, missing, "no-store", "application/json"},
		"/room":                   {404, missing, "no-store", "application/json"},
		"/room/":                  {404, missing, "no-store", "application/json"},
		"/room/a/b":               {404, missing, "no-store", "application/json"},
		"/nothing":                {404, missing, "no-store", "application/json"},
		"/assets":                 {404, missing, "no-store", "application/json"},
		"/assets/":                {404, missing, "no-store", "application/json"},
		"/assets/long-1a2b.js.gz": {404, missing, "no-store", "application/json"},
		"/assets/app-old.js":      {404, missing, "no-store", "application/json"},
		"/.env":                   {404, missing, "no-store", "application/json"},
		"/assets/app-1a2b.js":     {200, "export {}", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		"/favicon.svg":            {200, "<svg/>", "public, max-age=300", "image/svg+xml"},
		"/..%2f..%2fetc":          {404, missing, "no-store", "application/json"},
		"/room/..%2f..%2fetc":     {404, missing, "no-store", "application/json"},
		"/assets/%2e%2e/x.key":    {404, missing, "no-store", "application/json"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			client := *w.http1
			client.CheckRedirect = nil
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.status || res.Header.Get("Cache-Control") != c.cache || res.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%s %s: %d, %q, %q", method, path, res.StatusCode, res.Header.Get("Cache-Control"), res.Header.Get("Content-Type"))
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin",
			} {
				if res.Header.Get(name) != want {
					t.Errorf("%s: %s is %q", path, name, res.Header.Get(name))
				}
			}
			policy := res.Header.Get("Content-Security-Policy")
			for _, rule := range []string{"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
				if !strings.Contains(policy, rule) {
					t.Errorf("%s: the policy lacks %s", path, rule)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("%s: the policy is %s", path, policy)
			}
		}
		if a := w.do(t, http.MethodGet, path, ""); a.StatusCode < 300 && !strings.Contains(a.body, c.body) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if a := w.do(t, http.MethodGet, "/live/room.flv", ""); a.StatusCode != http.StatusNotFound || strings.Contains(a.body, page) {
		t.Errorf("playback: %d %s", a.StatusCode, a.body)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		if a := w.do(t, method, "/", ""); a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "google.rpc.ErrorInfo") {
			t.Errorf("%s /: %d %s", method, a.StatusCode, a.body)
		}
	}
}

func TestBrowsersAreShownThatThereIsNothing(t *testing.T) {
	w := serve(t)
	for path, want := range map[string]string{
		"/nothing": "the app", "/room/a/b": "the app", "/assets/old.js": "the app", "/admin/nothing": "the console",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		res, err := w.http1.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusNotFound || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, %v", path, res.StatusCode, body, err)
		}
		if res.Header.Get("Content-Security-Policy") == "" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
}

func TestWebCompresses(t *testing.T) {
	w := serve(t)
	const short, long = "/assets/app-1a2b.js", "/assets/long-1a2b.js"
	for _, c := range []struct {
		path, accept, byteRange, want string
	}{
		{long, "gzip, br", "", "gzip"},
		{long, "br;q=1, GZIP;q=0.5", "", "gzip"},
		{long, "gzip;q=0", "", ""},
		{long, "identity", "", ""},
		{long, "gzip", "bytes=0-9", ""},
		{short, "gzip", "", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", c.accept)
		if c.byteRange != "" {
			r.Header.Set("Range", c.byteRange)
		}
		res, err := w.http1.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.Header.Get("Content-Encoding") != c.want {
			t.Errorf("%s, %q: %v, %v", c.path, c.accept, res.Header, err)
		}
		if c.path == long && res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s, %q: %v", c.path, c.accept, res.Header)
		}
		if c.path == long && c.want == "" && c.byteRange == "" && len(body) != 10_000 {
			t.Errorf("%s, %q: %d bytes", c.path, c.accept, len(body))
		}
		if c.want == "gzip" {
			reader, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := io.ReadAll(reader)
			if err != nil || len(whole) != 10_000 || len(body) > 1_000 {
				t.Errorf("%d bytes of %d, %v", len(whole), len(body), err)
			}
		}
	}
}

func TestPolicyAllowsPlaybackElsewhere(t *testing.T) {
	policy := func(origin string) map[string]string {
		w := serve(t, func(c *gateway.Config) { c.PlaybackOrigin = origin })
		rules := make(map[string]string)
		for rule := range strings.SplitSeq(w.do(t, http.MethodGet, "/", "").Header.Get("Content-Security-Policy"), ";") {
			name, sources, _ := strings.Cut(strings.TrimSpace(rule), " ")
			rules[name] = sources
		}
		return rules
	}
	here, there := policy(""), policy("https://cdn.example:8443")
	for name, more := range map[string]string{
		"connect-src": " https://cdn.example:8443 wss://cdn.example:8443", "media-src": " https://cdn.example:8443",
	} {
		if there[name] != here[name]+more {
			t.Errorf("%s is %q, and %q with playback elsewhere", name, here[name], there[name])
		}
		delete(here, name)
		delete(there, name)
	}
	if !maps.Equal(here, there) {
		t.Errorf("the rest differs: %v and %v", here, there)
	}
	if here["worker-src"] != "" || strings.Contains(here["default-src"], "blob:") {
		t.Errorf("workers may come from blobs: %v", here)
	}
}

func TestWithoutWebApp(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.Web = nil })
	for _, path := range []string{"/", "/live", "/room/x"} {
		if a := w.do(t, http.MethodGet, path, ""); a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "NOT_FOUND") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if _, err := gateway.New(gateway.Config{Web: fstest.MapFS{}, Metrics: telemetry.NewMetrics()}); err == nil {
		t.Error("an app without a page is served")
	}
}
