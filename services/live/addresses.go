package live

import (
	"context"
	"net"
	"net/url"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// forwarded returns what the gateway says of the address that the client used; both are empty without a gateway.
func forwarded(ctx context.Context) (scheme, host string) {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return "", ""
	}
	return info.RequestHeader().Get("X-Forwarded-Proto"), info.RequestHeader().Get("X-Forwarded-Host")
}

// playback returns signed addresses: on the configured address, else on the one that the client used, else relative.
func (h *rpcHandler) playback(ctx context.Context, roomID, sessionID string) *livev1.Playback {
	base := h.s.config.PlaybackURL
	if scheme, host := forwarded(ctx); base == "" && host != "" {
		base = (&url.URL{Scheme: scheme, Host: host}).String()
	}
	urls := h.s.playback.Sign(base, roomID, sessionID)
	return &livev1.Playback{
		WsFlvUrl: urls.WebSocketFLV, FlvUrl: urls.FLV, HlsUrl: urls.HLS, ExpiresAt: timestamppb.New(urls.ExpiresAt),
	}
}

// rtmpURL returns the configured server address, else one on the host that the client used.
func (h *rpcHandler) rtmpURL(ctx context.Context) string {
	if h.s.config.RTMPURL != "" {
		return h.s.config.RTMPURL
	}
	_, host := forwarded(ctx)
	name := host
	if split, _, err := net.SplitHostPort(host); err == nil {
		name = split
	}
	if name == "" {
		name = "localhost"
	}
	if addr, ok := h.s.RTMPAddr().(*net.TCPAddr); ok && addr.Port != 1935 {
		name = net.JoinHostPort(name, strconv.Itoa(addr.Port))
	}
	return "rtmp://" + name + "/" + rtmpApp
}
