package playback_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/playback"
)

// answer is what a request that is no stream gets.
type answer struct {
	status int
	reason string // of the ErrorInfo
	header http.Header
	body   string
}

func (s *stage) get(method, address string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a test
	a := answer{status: res.StatusCode, header: res.Header}
	if res.Header.Get("Content-Type") == "video/x-flv" {
		return a
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a.body = string(b)
	if a.status >= 400 {
		var wire struct {
			Details []struct {
				Type  string
				Debug struct{ Reason, Domain string }
			}
		}
		if err := json.Unmarshal(b, &wire); err != nil {
			s.t.Errorf("%s %s: no JSON error: %q", method, address, b)
		}
		for _, d := range wire.Details {
			if d.Type == "google.rpc.ErrorInfo" && d.Debug.Domain == "stoa" {
				a.reason = d.Debug.Reason
			}
		}
	}
	return a
}

func (s *stage) wantRefusal(what, address string, status int, reason string) {
	s.t.Helper()
	if a := s.get(http.MethodGet, address); a.status != status || a.reason != reason {
		s.t.Errorf("%s: status %d, reason %q, want %d, %q", what, a.status, a.reason, status, reason)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	for base, want := range map[string][2]string{
		"":                         {"/live/", "/live/"},
		"http://example.org:8080":  {"http://example.org:8080/live/", "ws://example.org:8080/live/"},
		"https://live.example.org": {"https://live.example.org/live/", "wss://live.example.org/live/"},
	} {
		u := s.server.Sign(base, room, "ann")
		for got, prefix := range map[string]string{u.FLV: want[0] + room + ".flv?", u.HLS: want[0] + room + ".m3u8?", u.WebSocketFLV: want[1] + room + ".flv?"} {
			if !strings.HasPrefix(got, prefix) {
				t.Errorf("base %q: %q does not start with %q", base, got, prefix)
			}
		}
		if left := time.Until(u.ExpiresAt); left <= 0 || left > playback.OpenFor {
			t.Errorf("base %q: good for %v", base, left)
		}
	}
	if u := s.server.Sign("", "a/b?c#d", "ann"); !strings.HasPrefix(u.FLV, "/live/a%2Fb%3Fc%23d.flv?") {
		t.Errorf("a strange name is not escaped: %s", u.FLV)
	}
}

// change returns an address with one query parameter changed.
func change(t *testing.T, address, key, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	s.hub.Open("other")
	s.gop(2, 100)
	good := s.urls()
	if a := s.get(http.MethodGet, good.FLV); a.status != http.StatusOK {
		t.Errorf("a good address: %+v", a)
	}
	far := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	other := playback.NewServer(playback.Config{}, s.hub, s.hls, nil,
		playback.NewSigner([]byte(strings.Repeat("x", 32)), time.Now), nil, nil).Sign(s.base, room, "viewer")
	session := s.openHLS()
	for name, address := range map[string]string{
		"no signature":           s.base + "/live/" + room + ".flv",
		"another key's":          other.FLV,
		"longer than signed for": change(t, good.FLV, "e", far),
		"another viewer's":       change(t, good.FLV, "u", "bob"),
		"no viewer's":            change(t, good.FLV, "u", ""),
		"cut":                    change(t, good.FLV, "s", "abc"),
		"another room's":         strings.Replace(good.FLV, room, "other", 1),
		"of a room that is not":  strings.Replace(good.FLV, room, "nowhere", 1),
		"fields moved":           change(t, change(t, good.FLV, "u", ""), "e", "viewer"),
		"a playlist's for FLV":   strings.Replace(session, "/index.m3u8", ".flv", 1),
		"a playlist's, opened":   strings.Replace(session, "/index.m3u8", ".m3u8", 1),
		"FLV's for a playlist":   strings.Replace(good.FLV, ".flv", "/index.m3u8", 1),
	} {
		s.wantRefusal(name, address, http.StatusUnauthorized, "PLAY_URL_INVALID")
	}
	gone := s.server.Sign(s.base, "nowhere", "viewer")
	s.wantRefusal("FLV of a room that is not on the air", gone.FLV, http.StatusNotFound, "NOT_LIVE")
	s.wantRefusal("HLS of a room that is not on the air", gone.HLS, http.StatusNotFound, "NOT_LIVE")

	s.ahead.Store(int64(playback.OpenFor + 2*time.Second))
	s.wantRefusal("expired FLV", good.FLV, http.StatusUnauthorized, "PLAY_URL_EXPIRED")
	s.wantRefusal("expired HLS", good.HLS, http.StatusUnauthorized, "PLAY_URL_EXPIRED")
	s.ahead.Store(int64(13 * time.Hour))
	s.wantRefusal("an expired playlist", session, http.StatusUnauthorized, "PLAY_URL_EXPIRED")
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	s.hls.Start(broadcast, s.stream)
	good := "AAAAAAAAAAAAAAAAAAAAAAAAAA.ts"
	for _, path := range []string{
		"/live/", "/live/" + room, "/live/" + room + ".mp4", "/live/" + room + ".FLV", "/live/" + room + "/other.m3u8",
		"/live/segments/", "/live/segments/" + broadcast, "/live/segments/" + broadcast + "/",
		"/live/segments/" + broadcast + "/" + good, // well-formed, and not there
		"/live/segments/" + broadcast + "/playlist.m3u8",
		"/live/segments/" + broadcast + "/" + strings.ToLower(good),
		"/live/segments/" + broadcast + "/" + good + ".ts",
		"/live/segments/" + broadcast + "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
		"/live/segments/" + broadcast + "/..%2f" + good,
		"/live/segments/" + broadcast + "/%00" + good,
		"/live/segments/" + strings.ToLower(broadcast) + "/" + good,
		"/live/segments/%2e%2e/" + good,
		"/live/segments/01JN0B0DY00000000000000000/" + good,
		"/live/segments/" + broadcast + "/" + good + "/more",
	} {
		s.wantRefusal(path, s.base+path, http.StatusNotFound, "NOT_FOUND")
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		if a := s.get(method, s.urls().FLV); a.status != http.StatusNotFound {
			t.Errorf("%s: %+v", method, a)
		}
	}
}

// TestHeadOpensNothing: who asks for the headers gets them, and no endless body.
func TestHeadOpensNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	s.gop(2, 100)
	a := s.get(http.MethodHead, s.urls().FLV)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "video/x-flv" {
		t.Errorf("HEAD: %+v", a)
	}
	if n := s.viewers(); n != 0 {
		t.Errorf("HEAD counts as %d viewers", n)
	}
}

func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{MaxViewers: 2})
	s.gop(2, 100)
	var open []*connection
	for range 2 {
		c, err := s.openHTTP1()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	s.wantRefusal("the third", s.urls().FLV, http.StatusTooManyRequests, "TOO_MANY_VIEWERS")
	for _, c := range open {
		c.close()
	}
	s.eventually("there is room again", func() bool { return s.viewers() == 0 })
	if a := s.get(http.MethodGet, s.urls().FLV); a.status != http.StatusOK {
		t.Errorf("after they left: %+v", a)
	}
}

// openHLS opens an HLS session and returns its playlist's address.
func (s *stage) openHLS() string {
	s.t.Helper()
	opened := s.get(http.MethodGet, s.urls().HLS)
	if opened.status != http.StatusOK || opened.header.Get("Content-Type") != "application/vnd.apple.mpegurl" || opened.header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("multivariant playlist: %+v", opened)
	}
	lines := strings.Split(strings.TrimSpace(opened.body), "\n")
	if lines[0] != "#EXTM3U" || len(lines) != 4 || !strings.HasPrefix(lines[2], "#EXT-X-STREAM-INF:BANDWIDTH=") {
		s.t.Fatalf("multivariant playlist:\n%s", opened.body)
	}
	return s.resolve(s.urls().HLS, lines[3])
}

func (s *stage) resolve(base, reference string) string {
	s.t.Helper()
	u, err := url.Parse(base)
	if err == nil {
		u, err = u.Parse(reference)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return u.String()
}

func TestHLS(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	s.hls.Start(broadcast, s.stream)
	playlist := s.openHLS()
	if opened := s.get(http.MethodGet, s.urls().HLS); !strings.Contains(opened.body, "RESOLUTION=1280x720") {
		t.Errorf("multivariant playlist:\n%s", opened.body)
	}
	// The playlist waits for the first segment.
	got := make(chan answer, 1)
	go func() { got <- s.get(http.MethodGet, playlist) }()
	for range 8 {
		s.gop(25, 1000) // a second each
	}
	a := <-got
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/vnd.apple.mpegurl" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("media playlist: %+v", a)
	}
	segments := 0
	for line := range strings.Lines(a.body) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		segments++
		if !strings.HasPrefix(line, "../segments/"+broadcast+"/") {
			t.Errorf("the playlist names %q", line)
		}
		segment := s.get(http.MethodGet, s.resolve(playlist, line))
		if segment.status != http.StatusOK || segment.header.Get("Content-Type") != "video/mp2t" {
			t.Fatalf("%s: status %d, %v", line, segment.status, segment.header)
		}
		if got := segment.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("a segment's Cache-Control is %q", got)
		}
		if len(segment.body) == 0 || len(segment.body)%188 != 0 || segment.body[0] != 0x47 || segment.body[188] != 0x47 {
			t.Errorf("a segment of %d bytes is no MPEG-TS", len(segment.body))
		}
	}
	if segments == 0 {
		t.Fatalf("the playlist names no segments:\n%s", a.body)
	}
	s.hls.Stop(broadcast)
	s.wantRefusal("after the end", playlist, http.StatusNotFound, "NOT_LIVE")
	if n := s.viewers(); n != 0 {
		t.Errorf("HLS counts as %d connections", n)
	}
}
