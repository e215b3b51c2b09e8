package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	client "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const (
	returnGroups  = 25 // and as many direct conversations
	returnEach    = 200
	returnRounds  = 20
	returnPage    = 2000
	syncProcedure = "/stoa.chat.v1.ChatService/Sync"
	pullProcedure = "/stoa.chat.v1.ChatService/PullMessages"
)

// returnRow is how long a device takes to be up to date.
type returnRow struct {
	Device        string  `json:"device"`
	Messages      int     `json:"messages"`
	Conversations int     `json:"conversations"`
	Rounds        int     `json:"rounds"`
	P50           float64 `json:"p50_ms"`
	Max           float64 `json:"max_ms"`
	ServerCPU     float64 `json:"server_cpu_ms_each"`
	Usage         usage   `json:"usage"`
}

// runReturning lets a device miss many messages and come back, again and again.
func runReturning(ctx context.Context, o options, out *report) error {
	if !o.runs("Stoa") {
		return nil
	}
	missed := 2 * returnGroups * returnEach
	out.progress("returning: %d messages in %d conversations", missed, 2*returnGroups)
	t := out.table("A device that comes back",
		fmt.Sprintf("from dialing a WebSocket to being up to date: sign in, Sync until done, PullMessages in pages of %d until nothing is left, "+
			"all decoded; %d missed messages of %d B in %d direct conversations and %d groups of 10; %d times",
			returnPage, missed, textSize, returnGroups, returnGroups, returnRounds),
		"device", "p50", "longest", "server CPU", "other cores")
	s, err := startStoa(ctx, o.stoa)
	if err != nil {
		return err
	}
	defer s.stop()
	user, cursor, err := missing(ctx, s)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		device string
		cursor int64
	}{{"back again, knows its conversations", cursor}, {"new, knows nothing", 0}} {
		row := returnRow{Device: c.device, Messages: missed, Conversations: 2 * returnGroups, Rounds: returnRounds}
		m, err := startMeter(s.Process)
		if err != nil {
			return err
		}
		var took []float64
		for range returnRounds {
			start := time.Now()
			got, err := comeBack(ctx, s, user, c.cursor, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", c.device, err)
			}
			took = append(took, millis(time.Since(start)))
			if got != missed {
				return fmt.Errorf("%s: got %d messages, want %d", c.device, got, missed)
			}
			sleep(ctx, 100*time.Millisecond)
		}
		if row.Usage, err = m.stop(); err != nil {
			return err
		}
		slices.Sort(took)
		row.P50, row.Max = took[len(took)/2], took[len(took)-1]
		row.ServerCPU = row.Usage.ServerCPU * 1000 / returnRounds
		out.result("returning", row)
		t.row(row.Device, ms(row.P50), ms(row.Max), ms(row.ServerCPU), cores(row.Usage.OtherCores))
	}
	return t.print()
}

// missing makes a user with conversations, takes the cursor that their device has, and sends what it then misses.
func missing(ctx context.Context, s *stoa) (user person, cursor int64, err error) {
	users, err := s.users(ctx, returnGroups+1)
	if err != nil {
		return person{}, 0, err
	}
	user, others := users[returnGroups], users[:returnGroups]
	var conversations [returnGroups][2]string
	err = each(ctx, returnGroups, 8, func(ctx context.Context, i int) (err error) {
		if conversations[i][0], err = s.direct(ctx, others[i], user); err != nil {
			return err
		}
		members := []person{user}
		for k := range 8 {
			members = append(members, others[(i+1+k)%returnGroups])
		}
		conversations[i][1], err = s.group(ctx, others[i], members...)
		return err
	})
	if err != nil {
		return person{}, 0, err
	}
	e, err := s.openEdge(ctx, user)
	if err != nil {
		return person{}, 0, err
	}
	states, cursor, err := syncAll(e, 0)
	e.close()
	if err == nil && len(states) != 2*returnGroups {
		err = fmt.Errorf("the device was told of %d conversations, want %d", len(states), 2*returnGroups)
	}
	if err != nil {
		return person{}, 0, err
	}
	return user, cursor, each(ctx, returnGroups, returnGroups, func(ctx context.Context, i int) error {
		from, err := s.seat(ctx, others[i], client.NewMessageID, func(n int) string { return conversations[i][n%2] })
		if err != nil {
			return err
		}
		defer from.close()
		for n := range 2 * returnEach {
			if err := from.sendOne(n, time.Now()); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
		return ctx.Err()
	})
}

// syncAll reads what changed in a list since a cursor, all pages.
func syncAll(e *edge, cursor int64) (states []*chatv1.ConversationState, next int64, err error) {
	for {
		var page chatv1.SyncResponse
		if err := e.call(syncProcedure, &chatv1.SyncRequest{Cursor: cursor}, &page); err != nil {
			return nil, 0, err
		}
		states = append(states, page.GetStates()...)
		if cursor = page.GetCursor(); page.GetDone() {
			return states, cursor, nil
		}
	}
}

// comeBack does what a device does that has the messages up to had, or none, of each conversation, checks that each came
// whole and in order, and returns how many texts it got.
func comeBack(ctx context.Context, s *stoa, user person, cursor int64, had map[string]int64) (texts int, err error) {
	e, err := s.openEdge(ctx, user)
	if err != nil {
		return 0, err
	}
	defer e.close()
	states, _, err := syncAll(e, cursor)
	if err != nil {
		return 0, err
	}
	lacking := make([]*chatv1.Have, 0, len(states))
	last := map[string]int64{}
	for _, state := range states {
		c := state.GetConversation()
		first := max(state.GetMembership().GetFirstSeq(), had[c.GetId()]+1)
		if c.GetLastSeq() < first {
			continue
		}
		lacking = append(lacking, &chatv1.Have{
			ConversationId: c.GetId(), Position: &chatv1.Position{Epoch: c.GetEpoch(), Seq: first - 1}, Change: c.GetLastChange(),
		})
		last[c.GetId()] = c.GetLastSeq()
	}
	for len(lacking) > 0 {
		var page chatv1.PullMessagesResponse
		request := &chatv1.PullMessagesRequest{Have: lacking[:min(len(lacking), 200)], PageSize: returnPage}
		if err := e.call(pullProcedure, request, &page); err != nil {
			return texts, err
		}
		progress := false
		for i, pulled := range page.GetConversations() {
			have := lacking[i]
			if pulled.GetConversationId() != have.GetConversationId() || pulled.GetGone() {
				return texts, fmt.Errorf("pulled %s, which is gone or was not asked for", pulled.GetConversationId())
			}
			for _, m := range pulled.GetMessages() {
				progress = true
				if m.GetSeq() != have.GetPosition().GetSeq()+1 {
					return texts, fmt.Errorf("message %d came after %d", m.GetSeq(), have.GetPosition().GetSeq())
				}
				have.Position.Seq++
				if m.GetContent().GetText() != nil {
					texts++
				}
			}
		}
		lacking = slices.DeleteFunc(lacking, func(h *chatv1.Have) bool {
			return h.GetPosition().GetSeq() >= last[h.GetConversationId()]
		})
		if !progress {
			return texts, fmt.Errorf("an empty page, and %d conversations are not complete", len(lacking))
		}
	}
	return texts, ctx.Err()
}
