package live

import (
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
)

// encoder is one accepted publish.
type encoder struct {
	air         *air
	running     *running
	publication *hub.Publication
	kick        func(reason error) // cuts the connection
	onAir       bool
}

var _ ingest.Publication = (*encoder)(nil)

// Write implements ingest.Publication. Media does not wait for the change of state that its first frame makes.
func (e *encoder) Write(kind hub.Kind, timestamp uint32, payload []byte) error {
	if err := e.publication.Write(kind, timestamp, payload); err != nil {
		return err
	}
	if !e.onAir && e.publication.Media() {
		e.onAir = true
		e.air.tasks.Go(func() {
			r := e.running
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.encoder == e {
				e.air.changeLocked(r, Live)
			}
		})
	}
	return nil
}

// Close implements ingest.Publication.
func (e *encoder) Close(reason error) {
	r := e.running
	r.mu.Lock()
	e.publication.Close()
	idle := false
	if r.encoder == e {
		r.encoder = nil
		// A broadcast that never had a picture is not worth waiting for.
		if idle = r.broadcast.State == Starting && !e.onAir; !idle {
			e.air.interruptLocked(r)
		}
	}
	r.mu.Unlock()
	e.air.service.log.Info("encoder left", "room", r.room.ID, "reason", reason)
	if idle {
		e.air.endAbsent(r)
	}
}
