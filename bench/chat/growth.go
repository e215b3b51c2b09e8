package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	client "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const (
	growthRounds  = 3  // of every store size, one after the other, of which the medians count
	growthMissed  = 10 // messages in each conversation of who syncs
	growthTalks   = 50 // of those conversations
	growthReturns = 40 // times that they sync
	advance       = "/stoa.chat.v1.ChatService/AdvancePositions"
)

// growthRow is what sending and syncing cost with so many messages in the store.
type growthRow struct {
	Stored     int     `json:"stored"`
	Acked      float64 `json:"acked_per_s"`
	SendP50    float64 `json:"send_p50_ms"`
	SendP99    float64 `json:"send_p99_ms"`
	SendMicros float64 `json:"send_cpu_us"`
	SyncP50    float64 `json:"sync_p50_ms"`
	SyncMillis float64 `json:"sync_cpu_ms"`
	OtherCores float64 `json:"other_cores"`
}

// world is what every store holds: users, their conversations, and one user who comes back.
type world struct {
	users     []person // the last is who comes back
	sendsTo   func(i, n int) string
	returning [growthTalks]string
}

// runGrowth measures the same work on stores of different sizes. The sizes take turns, so that what else the machine does
// hits all of them.
func runGrowth(ctx context.Context, o options, out *report) error {
	if !o.runs("Stoa") {
		return nil
	}
	sizes, err := parseSizes(o.fill)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stoa-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	empty := filepath.Join(dir, "empty")
	w, err := makeWorld(ctx, o.stoa, empty)
	if err != nil {
		return fmt.Errorf("make world: %w", err)
	}
	folder := func(size int) string { return filepath.Join(dir, strconv.Itoa(size)) }
	for _, size := range sizes {
		start := time.Now()
		if err := os.CopyFS(folder(size), os.DirFS(empty)); err != nil {
			return err
		}
		if err := fill(ctx, filepath.Join(folder(size), "db", "chat.db"), size); err != nil {
			return fmt.Errorf("fill with %d messages: %w", size, err)
		}
		out.progress("growth: filled a store with %d messages in %.0f s", size, time.Since(start).Seconds())
	}
	rows := map[int][]growthRow{}
	for round := range growthRounds {
		for _, size := range sizes {
			out.progress("growth: round %d of %d, %d messages", round+1, growthRounds, size)
			row, err := growth(ctx, o, w, folder(size))
			if err != nil {
				return fmt.Errorf("%d messages: %w", size, err)
			}
			row.Stored = size
			rows[size] = append(rows[size], row)
			out.result("growth_rounds", row)
			if size == 0 && round+1 < growthRounds { // empty again
				if err := errors.Join(os.RemoveAll(folder(0)), os.CopyFS(folder(0), os.DirFS(empty))); err != nil {
					return err
				}
			}
		}
	}
	t := out.table("Cost as data grows",
		fmt.Sprintf("sends: %d senders, %s, %v; sync: a device that missed %d messages in %d conversations, which it had read, "+
			"from dialing to being up to date, %d times; WebSocket, %d B of text; medians of %d rounds; × is to the first row",
			durableSenders, mixPairs, o.window, growthMissed*growthTalks, growthTalks, growthReturns, textSize, growthRounds),
		"stored", "acked/s", "×", "CPU-µs a send", "×", "ack p50", "p99", "sync p50", "×", "CPU a sync", "×", "other cores")
	var first growthRow
	for i, size := range sizes {
		row := medians(rows[size])
		if i == 0 {
			first = row
		}
		out.result("growth", row)
		t.row(fmt.Sprint(size), fmt.Sprintf("%.0f", row.Acked), ratio(row.Acked/first.Acked),
			fmt.Sprintf("%.0f", row.SendMicros), ratio(row.SendMicros/first.SendMicros), ms(row.SendP50), ms(row.SendP99),
			ms(row.SyncP50), ratio(row.SyncP50/first.SyncP50), ms(row.SyncMillis), ratio(row.SyncMillis/first.SyncMillis),
			cores(row.OtherCores))
	}
	return t.print()
}

func parseSizes(list string) ([]int, error) {
	var sizes []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("-fill: %q is no number of messages", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// makeWorld signs up and makes conversations on a data folder, and leaves it at rest.
func makeWorld(ctx context.Context, binary, data string) (*world, error) {
	s, err := startStoaOn(ctx, binary, data)
	if err != nil {
		return nil, err
	}
	defer s.Stop(patience)
	w := &world{}
	if w.users, err = s.users(ctx, 2*durableSenders+1); err != nil {
		return nil, err
	}
	if w.sendsTo, err = preparePairs(ctx, s, w.users[:2*durableSenders]); err != nil {
		return nil, err
	}
	return w, each(ctx, growthTalks, 8, func(ctx context.Context, i int) (err error) {
		w.returning[i], err = s.direct(ctx, w.users[i], w.users[len(w.users)-1])
		return err
	})
}

// growth sends and syncs on one store.
func growth(ctx context.Context, o options, w *world, data string) (growthRow, error) {
	s, err := startStoaOn(ctx, o.stoa, data)
	if err != nil {
		return growthRow{}, err
	}
	defer s.Stop(patience)
	if err := s.signInAgain(ctx, w.users); err != nil {
		return growthRow{}, err
	}
	open := func(ctx context.Context, i int) (*seat, error) {
		return s.seat(ctx, w.users[i], client.NewMessageID, func(n int) string { return w.sendsTo(i, n) })
	}
	sends, err := sendFor(ctx, &desk{server: s.Process, seat: open}, o.window)
	if err != nil {
		return growthRow{}, err
	}
	row := growthRow{
		Acked: sends.Acked, SendP50: sends.P50, SendP99: sends.P99, SendMicros: sends.MicrosEach, OtherCores: sends.Usage.OtherCores,
	}
	cursor, had, err := readAll(ctx, s, w)
	if err != nil {
		return row, err
	}
	sleep(ctx, time.Second)
	var took []float64
	m, err := startMeter(s.Process)
	if err != nil {
		return row, err
	}
	for range growthReturns {
		start := time.Now()
		got, err := comeBack(ctx, s, w.users[len(w.users)-1], cursor, had)
		if err != nil {
			return row, err
		}
		took = append(took, millis(time.Since(start)))
		if got != growthMissed*growthTalks {
			return row, fmt.Errorf("got %d messages, want %d", got, growthMissed*growthTalks)
		}
	}
	used, err := m.stop()
	row.SyncMillis = used.ServerCPU * 1000 / growthReturns
	slices.Sort(took)
	row.SyncP50 = took[len(took)/2]
	row.OtherCores = max(row.OtherCores, used.OtherCores)
	return row, err
}

// readAll has the returning user read everything, and then miss messages.
func readAll(ctx context.Context, s *stoa, w *world) (cursor int64, had map[string]int64, err error) {
	e, err := s.openEdge(ctx, w.users[len(w.users)-1])
	if err != nil {
		return 0, nil, err
	}
	defer e.close()
	states, _, err := syncAll(e, 0)
	if err != nil {
		return 0, nil, err
	}
	had = map[string]int64{}
	request := &chatv1.AdvancePositionsRequest{}
	for _, state := range states {
		c := state.GetConversation()
		had[c.GetId()] = c.GetLastSeq()
		request.Advances = append(request.Advances, &chatv1.Advance{ConversationId: c.GetId(), ReadSeq: c.GetLastSeq()})
	}
	if err := e.call(advance, request, &chatv1.AdvancePositionsResponse{}); err != nil {
		return 0, nil, err
	}
	if _, cursor, err = syncAll(e, 0); err != nil {
		return 0, nil, err
	}
	return cursor, had, each(ctx, growthTalks, 8, func(ctx context.Context, i int) error {
		from, err := s.seat(ctx, w.users[i], client.NewMessageID, func(int) string { return w.returning[i] })
		if err != nil {
			return err
		}
		defer from.close()
		for n := range growthMissed {
			if err := from.sendOne(n, time.Now()); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
		return nil
	})
}

// medians takes the median of each figure on its own.
func medians(rows []growthRow) growthRow {
	middle := func(of func(growthRow) float64) float64 {
		var all []float64
		for _, r := range rows {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return growthRow{
		Stored:     rows[0].Stored,
		Acked:      middle(func(r growthRow) float64 { return r.Acked }),
		SendP50:    middle(func(r growthRow) float64 { return r.SendP50 }),
		SendP99:    middle(func(r growthRow) float64 { return r.SendP99 }),
		SendMicros: middle(func(r growthRow) float64 { return r.SendMicros }),
		SyncP50:    middle(func(r growthRow) float64 { return r.SyncP50 }),
		SyncMillis: middle(func(r growthRow) float64 { return r.SyncMillis }),
		OtherCores: middle(func(r growthRow) float64 { return r.OtherCores }),
	}
}
