package live_test

import (
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/services/live"
)

func TestStreamKeysAndAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	port := strings.TrimPrefix(n.service.RTMPAddr().String(), "127.0.0.1:")
	seen := map[string]bool{}
	for forwarded, want := range map[string]string{
		"":                      "rtmp://localhost:" + port + "/live",
		"stoa.example":          "rtmp://stoa.example:" + port + "/live",
		"stoa.example:8443":     "rtmp://stoa.example:" + port + "/live",
		"[2001:db8::1]:8443":    "rtmp://[2001:db8::1]:" + port + "/live",
		"203.0.113.7:8080":      "rtmp://203.0.113.7:" + port + "/live",
		"xn--bcher-kva.example": "rtmp://xn--bcher-kva.example:" + port + "/live",
	} {
		ctx, call := connect.NewClientContext(t.Context())
		if forwarded != "" {
			call.RequestHeader().Set("X-Forwarded-Host", forwarded)
			call.RequestHeader().Set("X-Forwarded-Proto", "https")
		}
		res, err := n.as("ann").IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
		n.must(err)
		if res.GetRtmpUrl() != want {
			t.Errorf("host %q: the address is %q, want %q", forwarded, res.GetRtmpUrl(), want)
		}
		if key := res.GetStreamKey(); !strings.HasPrefix(key, "sk_") || len(key) != 29 || seen[key] {
			t.Errorf("the key is %q", key)
		}
		seen[res.GetStreamKey()] = true
	}
	n.must(n.end())
	n = w.boot(func(c *live.Config) { c.RTMPURL = "rtmp://push.example/live" })
	res, err := n.as("ann").IssueStreamKey(t.Context(), &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	n.must(err)
	if res.GetRtmpUrl() != "rtmp://push.example/live" {
		t.Errorf("the configured address is told as %q", res.GetRtmpUrl())
	}
}

func TestPlaybackAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	n.live(room.GetId(), key)
	check := func(forwarded, scheme, base, wsBase string) {
		t.Helper()
		ctx, call := connect.NewClientContext(t.Context())
		if forwarded != "" {
			call.RequestHeader().Set("X-Forwarded-Host", forwarded)
			call.RequestHeader().Set("X-Forwarded-Proto", scheme)
		}
		res, err := n.withRole("guest", authv1.Role_ROLE_GUEST).GetRoom(ctx, &livev1.GetRoomRequest{RoomId: room.GetId()})
		n.must(err)
		p := res.GetPlayback()
		for got, want := range map[string]string{
			p.GetFlvUrl():   base + "/live/" + room.GetId() + ".flv",
			p.GetHlsUrl():   base + "/live/" + room.GetId() + ".m3u8",
			p.GetWsFlvUrl(): wsBase + "/live/" + room.GetId() + ".flv",
		} {
			u, err := url.Parse(got)
			n.must(err)
			if q := u.Query(); q.Get("s") == "" || q.Get("e") == "" {
				t.Errorf("%q is not signed", got)
			}
			if u.RawQuery = ""; u.String() != want {
				t.Errorf("host %q: %q, want %q", forwarded, u, want)
			}
		}
		if p.GetExpiresAt() == nil {
			t.Error("the addresses never expire")
		}
	}
	check("", "", "", "")
	check("stoa.example", "https", "https://stoa.example", "wss://stoa.example")
	check("localhost:8080", "http", "http://localhost:8080", "ws://localhost:8080")
	n.must(n.end())
	n = w.boot(func(c *live.Config) { c.PlaybackURL = "https://node7.example" })
	n.live(room.GetId(), key)
	check("stoa.example", "https", "https://node7.example", "wss://node7.example")
	check("", "", "https://node7.example", "wss://node7.example")
}
