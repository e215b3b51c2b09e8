package e2e_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-live/stoa/services/live/playback"
)

// failure is the JSON that Connect gives to an error.
type failure struct {
	Code    string
	Message string
	Details []struct {
		Type  string
		Debug struct{ Reason, Domain string }
	}
}

// reason returns the word that programs act on.
func (f failure) reason() string {
	for _, d := range f.Details {
		if d.Type == "google.rpc.ErrorInfo" && d.Debug.Domain == "stoa" {
			return d.Debug.Reason
		}
	}
	return ""
}

// TestPlaybackRefusals asks for what is not to be had. Each refusal has a status, and a reason in Connect's JSON.
func TestPlaybackRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	streamer := s.signUp("streamer")
	on, off := streamer.openRoom(), streamer.openRoom()
	encoding{}.push(t, on.issueKey())
	urls := on.until(live).GetPlayback()
	segment := s.openHLS(urls.GetHlsUrl()).segments()[0]
	other := signed(t, s, off.id, time.Now().Add(time.Minute))

	edit := func(address string, change func(*url.URL, url.Values)) string {
		u, err := url.Parse(address)
		must(t, err)
		query := u.Query()
		change(u, query)
		u.RawQuery = query.Encode()
		return u.String()
	}
	with := func(address, key, value string) string {
		return edit(address, func(_ *url.URL, q url.Values) { q.Set(key, value) })
	}
	without := func(address string) string {
		return edit(address, func(_ *url.URL, q url.Values) { clear(q) })
	}
	moved := func(address, to string) string {
		return edit(address, func(u *url.URL, _ url.Values) { u.Path = to })
	}
	expired := signed(t, s, on.id, time.Now().Add(-time.Hour))

	const (
		invalid = http.StatusUnauthorized
		missing = http.StatusNotFound
	)
	tests := []struct {
		name, address string
		status        int
		reason        string // empty for any
	}{
		{"FLV without a signature", without(urls.GetFlvUrl()), invalid, "PLAY_URL_INVALID"},
		{"HLS without a signature", without(urls.GetHlsUrl()), invalid, "PLAY_URL_INVALID"},
		{"a forged signature", with(urls.GetFlvUrl(), "s", "Zm9yZ2Vk"), invalid, "PLAY_URL_INVALID"},
		{"a later expiry", with(urls.GetFlvUrl(), "e", "99999999999"), invalid, "PLAY_URL_INVALID"},
		{"another viewer", with(urls.GetFlvUrl(), "u", off.owner.device), invalid, "PLAY_URL_INVALID"},
		{"another room", moved(urls.GetFlvUrl(), "/live/"+off.id+".flv"), invalid, "PLAY_URL_INVALID"},
		{"a playlist with the signature for opening", moved(urls.GetHlsUrl(), "/live/"+on.id+"/index.m3u8"), invalid, "PLAY_URL_INVALID"},
		{"expired FLV", expired.FLV, invalid, "PLAY_URL_EXPIRED"},
		{"expired HLS", expired.HLS, invalid, "PLAY_URL_EXPIRED"},
		{"FLV of a room that is not live", other.FLV, missing, "NOT_LIVE"},
		{"HLS of a room that is not live", other.HLS, missing, "NOT_LIVE"},
		{"FLV of no room", signed(t, s, "NOWHERE", time.Now().Add(time.Minute)).FLV, missing, "NOT_LIVE"},
		{"a segment of an unguessed name", s.sibling(segment, strings.Repeat("A", 26)+".ts"), missing, "NOT_FOUND"},
		{"a segment of another broadcast", strings.Replace(segment, path.Base(path.Dir(segment)), strings.Repeat("0", 26), 1), missing, "NOT_FOUND"},
		{"lal's own playlist", s.sibling(segment, "playlist.m3u8"), missing, "NOT_FOUND"},
		{"a cover of no room", s.url + "/live/covers/" + strings.Repeat("0", 26) + ".jpg", missing, "NOT_FOUND"},
		{"an unknown suffix", s.url + "/live/" + on.id + ".mp4", missing, "NOT_FOUND"},
		{"a way out of the segments", s.sibling(segment, "..%2F..%2F..%2Fplay.key"), missing, ""},
		{"a way out of the covers", s.url + "/live/covers/..%2Foperator.key", missing, ""},
		{"a way out of the rooms", s.url + "/live/..%2F..%2Fetc%2Fpasswd.flv", 0, ""},
		{"a way out by dots", s.url + "/live/segments/../../../../etc/passwd", missing, ""},
		{"a way out by bare dots", s.url + "/live/%2e%2e/%2e%2e/etc/passwd", missing, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp, body, err := s.do(http.MethodGet, test.address)
			must(t, err)
			checkRefusal(t, resp, body, test.status, test.reason)
		})
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			resp, body, err := s.do(method, urls.GetFlvUrl())
			must(t, err)
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("it is answered with %s, %.100q", resp.Status, body)
			}
		})
	}
	// None of this disturbed who watches.
	viewer := watchHTTP(t, s.client, urls.GetFlvUrl())
	viewer.advances(time.Second)
	if resp, body := s.get(segment); resp.StatusCode != http.StatusOK || len(body) == 0 {
		t.Errorf("the segment that the playlist names is answered with %s and %d bytes", resp.Status, len(body))
	}
}

func checkRefusal(t *testing.T, resp *http.Response, body []byte, status int, reason string) {
	t.Helper()
	if status == 0 {
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("it is answered with %s, %.100q", resp.Status, body)
		}
		return
	}
	if resp.StatusCode != status {
		t.Fatalf("it is answered with %s, want %d: %.200q", resp.Status, status, body)
	}
	if reason == "" {
		return
	}
	var f failure
	if err := json.Unmarshal(body, &f); err != nil {
		t.Fatalf("the body is no JSON: %v: %.200q", err, body)
	}
	code := map[int]string{http.StatusUnauthorized: "unauthenticated", http.StatusNotFound: "not_found"}[status]
	if f.Code != code || f.reason() != reason || f.Message == "" {
		t.Errorf("the refusal is %+v, want the code %s and the reason %s", f, code, reason)
	}
}

// sibling is another name in a segment's folder.
func (s *server) sibling(segment, name string) string {
	return segment[:strings.LastIndex(segment, "/")+1] + name
}

// signed makes play addresses by the server's own key that are good until a time, which no caller of the API can.
func signed(t *testing.T, s *server, room string, expires time.Time) playback.URLs {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(s.dataDir, "play.key"))
	must(t, err)
	signer := playback.NewSigner(bytes.TrimSpace(key), func() time.Time { return expires.Add(-playback.OpenFor) })
	return playback.NewServer(playback.Config{}, nil, nil, nil, signer, nil, slog.New(slog.DiscardHandler)).Sign(s.url, room, "viewer")
}
