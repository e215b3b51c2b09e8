package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"connectrpc.com/connect"
	_ "modernc.org/sqlite"

	stoa "github.com/stoa-live/stoa/clients/go"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit/history"
)

// TestFullDisk fills the server's disk: sends are refused as UNAVAILABLE, what was said can be read, and once there is room
// the talk goes on, with nothing lost, doubled or broken. Where no disk may be mounted, the database's own limit shows as much
// of it (services/chat, TestNoRoomOnTheDisk).
func TestFullDisk(t *testing.T) {
	disk := mountDisk(t, "64m")
	s := chatServer(t)
	s.dataDir = filepath.Join(disk, "data")
	s.pardons = []string{"not stored"}
	s.start("127.0.0.1:0", "127.0.0.1:0")
	log := &history.Log{}
	people := s.talkers(log, 4)
	group := people[0].makeGroup(people[1:]...)
	must(t, people[1].say(within(t), group, "there is room"))

	ballast := filepath.Join(disk, "ballast")
	fillDisk(t, ballast)
	text := strings.Repeat("x", 4000)
	var refused error
	for n := 0; refused == nil; n++ { // the log has some room of its own
		if n == 10_000 {
			t.Fatal("a full disk takes everything")
		}
		r := sending(group, stoa.NewMessageID(), text)
		log.Sent(group, people[0].unsent(r))
		resp, err := people[0].chat.Service.SendMessage(within(t), r)
		if refused = err; err == nil {
			log.Acked(group, people[0].answered(r, resp.GetMessage()))
		}
	}
	for range 20 {
		if connect.CodeOf(refused) != connect.CodeUnavailable || stoa.Reason(refused) != errs.ReasonUnavailable {
			t.Fatalf("on a full disk, a send is refused by %v (%s)", refused, stoa.Reason(refused))
		}
		r := sending(group, stoa.NewMessageID(), text)
		log.Sent(group, people[0].unsent(r))
		if _, refused = people[0].chat.Service.SendMessage(within(t), r); refused == nil {
			t.Fatal("a disk was full and is not")
		}
	}
	before := people[2].stored(group) // reading goes on

	failed := s.metric("stoa_chat_batches_failed_total")
	sent := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		sent <- people[3].say(ctx, group, "as soon as there is room")
	}()
	eventually(t, "it was tried twice", func() error {
		if n := s.metric("stoa_chat_batches_failed_total") - failed; n < 2 {
			return fmt.Errorf("%d transactions failed", n)
		}
		return nil
	})
	must(t, os.Remove(ballast))
	must(t, <-sent)
	for _, p := range people {
		must(t, p.say(within(t), group, "there is room again"))
	}
	if after := people[2].stored(group); len(after) != len(before)+5 {
		t.Errorf("%d messages were stored when there was room again, want 5", len(after)-len(before))
	}

	s.crash()
	checkDatabases(t, filepath.Join(s.dataDir, "db"))
	s.restart()
	must(t, people[0].say(within(t), group, "after a restart"))
	verdict(t, log, map[string][]*talker{group: people})
}

// mountDisk makes a small disk of its own for a test.
func mountDisk(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only root on Linux may mount a disk")
	}
	dir := t.TempDir()
	mount(t, dir, size)
	return dir
}

// fillDisk writes a file until there is no room.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := file.Write(block); err != nil {
			if !isFull(err) {
				t.Fatal(err)
			}
			block = block[:len(block)/2] // the rest goes in smaller pieces
		}
	}
	must(t, file.Close())
}

// checkDatabases has SQLite look through each database of a server that is down.
func checkDatabases(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.db"))
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("there is no database in %s", folder)
	}
	for _, file := range files {
		must(t, checkDatabase(t.Context(), file))
	}
}

func checkDatabase(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	var verdict string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("check %s: %w", file, err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%s is broken: %s", file, verdict)
	}
	return nil
}
