package edge

import (
	"context"
	"log/slog"
	"sync"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
)

const (
	// reportEvery is how often changes are reported, completeEvery how often all there is.
	reportEvery   = 500 * time.Millisecond
	completeEvery = 10 * time.Second
)

// reports gathers who is here, for presence: devices that came and went, and people in rooms.
type reports struct {
	mu      sync.Mutex
	devices map[device]int            // sessions
	rooms   map[string]map[string]int // sessions of each user in each room
	came    map[device]bool           // changed since the last report: whether it is here
	moved   map[string]map[string]bool
}

type device struct {
	user, id string
	platform int32
}

func newReports() *reports {
	return &reports{
		devices: make(map[device]int), rooms: make(map[string]map[string]int), came: make(map[device]bool),
		moved: make(map[string]map[string]bool),
	}
}

func deviceOf(p authn.Principal) device {
	return device{user: p.UserID, id: p.DeviceID, platform: int32(p.Platform)}
}

func (r *reports) online(p authn.Principal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := deviceOf(p)
	if r.devices[d]++; r.devices[d] == 1 {
		r.came[d] = true
	}
}

func (r *reports) offline(p authn.Principal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := deviceOf(p)
	if r.devices[d]--; r.devices[d] <= 0 {
		delete(r.devices, d)
		r.came[d] = false
	}
}

func (r *reports) entered(room, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms[room] == nil {
		r.rooms[room] = make(map[string]int, 1)
	}
	if r.rooms[room][user]++; r.rooms[room][user] == 1 {
		r.move(room, user, true)
	}
}

func (r *reports) left(room, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms[room] == nil {
		return
	}
	if r.rooms[room][user]--; r.rooms[room][user] <= 0 {
		delete(r.rooms[room], user)
		if len(r.rooms[room]) == 0 {
			delete(r.rooms, room)
		}
		r.move(room, user, false)
	}
}

// move notes a change. The lock is held.
func (r *reports) move(room, user string, here bool) {
	if r.moved[room] == nil {
		r.moved[room] = make(map[string]bool, 1)
	}
	r.moved[room][user] = here
}

// people returns how many are in a room here.
func (r *reports) people(room string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rooms[room])
}

// changes returns what changed since the last report; nil for nothing.
func (r *reports) changes(node string) *edgev1.NodeReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.came) == 0 && len(r.moved) == 0 {
		return nil
	}
	out := &edgev1.NodeReport{Node: node}
	for d, here := range r.came {
		out.Devices = append(out.Devices, d.proto(!here))
	}
	for room, users := range r.moved {
		report := &edgev1.RoomReport{ConversationId: room}
		for user, here := range users {
			if here {
				report.Entered = append(report.Entered, user)
			} else {
				report.Left = append(report.Left, user)
			}
		}
		out.Rooms = append(out.Rooms, report)
	}
	clear(r.came)
	clear(r.moved)
	return out
}

// complete returns all there is.
func (r *reports) complete(node string) *edgev1.NodeReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.came)
	clear(r.moved)
	out := &edgev1.NodeReport{Node: node, Complete: true}
	for d := range r.devices {
		out.Devices = append(out.Devices, d.proto(false))
	}
	for room, users := range r.rooms {
		report := &edgev1.RoomReport{ConversationId: room}
		for user := range users {
			report.Entered = append(report.Entered, user)
		}
		out.Rooms = append(out.Rooms, report)
	}
	return out
}

func (d device) proto(offline bool) *edgev1.DeviceReport {
	return &edgev1.DeviceReport{UserId: d.user, DeviceId: d.id, Platform: authv1.Platform(d.platform), Offline: offline}
}

// report tells presence who is here, and other edges that this one is.
func (e *Edge) report() {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	full := time.Time{}
	for {
		var out *edgev1.NodeReport
		if now := e.deps.Now(); now.Sub(full) >= completeEvery || now.Before(full) {
			full, out = now, e.reports.complete(e.cfg.Node)
		} else {
			out = e.reports.changes(e.cfg.Node)
		}
		if out != nil && !e.tellReport(out) {
			full = time.Time{} // what was in it is told by the next one
		}
		select {
		case <-tick.C:
		case <-e.stopping.Done():
			e.tellReport(&edgev1.NodeReport{Node: e.cfg.Node, Gone: true})
			return
		}
	}
}

func (e *Edge) tellReport(out *edgev1.NodeReport) bool {
	if !out.GetGone() {
		out.AccessPoint = e.accessPoint(nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := bus.Publish(ctx, e.deps.Bus, TopicNodeReport, e.cfg.Node, out); err != nil {
		e.logger.LogAttrs(ctx, slog.LevelWarn, "presence not told", slog.String("cause", err.Error()))
		return false
	}
	return true
}
