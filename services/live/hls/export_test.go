package hls

import "github.com/stoa-live/stoa/services/live/hub"

// Offer hands frames to a broadcast's muxer that no stream would: the hub lets nothing through that is known to make
// lal panic.
func (p *Packager) Offer(id string, frames []hub.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muxers[id].offer(frames)
}
