package playback

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

var (
	segmentName = regexp.MustCompile(`^[A-Z2-7]{26}\.ts$`)
	broadcastID = regexp.MustCompile(`^[0-9A-Z]{26}$`)
)

// playlistWait is how long a playlist request may wait for the first segment of a broadcast.
const playlistWait = 20 * time.Second

// multivariant opens an HLS session: its one variant's playlist is signed for hours, since players poll it.
func (s *Server) multivariant(w http.ResponseWriter, r *http.Request, room, session string) {
	stream := s.hub.Stream(room)
	if stream == nil {
		notLive(w, r)
		return
	}
	stats := stream.Stats()
	query := s.signer.sign(scopeSession, room, session, s.signer.now().Add(sessionFor))
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:3\n")
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", max(stats.VideoBitrate+stats.AudioBitrate, 64000))
	if stats.Width > 0 {
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", stats.Width, stats.Height)
	}
	fmt.Fprintf(&b, "\n%s/index.m3u8?%s\n", url.PathEscape(room), query.Encode())
	writePlaylist(w, b.Bytes())
}

// mediaPlaylist serves the session's own playlist, in which lal's segment names become addresses.
func (s *Server) mediaPlaylist(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	if _, err := s.admitted(s.signer.verify(scopeSession, room, r.URL.Query())); err != nil {
		errs.WriteHTTP(w, r, err)
		return
	}
	id, ok := s.broadcast(room)
	if !ok {
		notLive(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), playlistWait)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)() // a shutdown must not wait for a first segment
	playlist, err := s.hls.Playlist(id, ctx.Done())
	if err != nil {
		notLive(w, r)
		return
	}
	var b bytes.Buffer
	for line := range bytes.Lines(playlist) {
		if !bytes.HasPrefix(line, []byte("#")) && len(bytes.TrimSpace(line)) > 0 {
			b.WriteString("../segments/" + id + "/")
		}
		b.Write(line)
	}
	writePlaylist(w, b.Bytes())
}

func writePlaylist(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

// segment serves a segment. Its name is a secret that only signed playlists tell, so it may be cached by anyone.
func (s *Server) segment(w http.ResponseWriter, r *http.Request) {
	id, name := r.PathValue("broadcast"), r.PathValue("name")
	if !broadcastID.MatchString(id) || !segmentName.MatchString(name) {
		notFound(w, r)
		return
	}
	f, err := s.hls.Segment(id, name)
	if err != nil {
		notFound(w, r)
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		notFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "video/mp2t")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", info.ModTime(), f)
}
