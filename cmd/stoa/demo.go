package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
)

const demoUser = "demo"

type demoCommand struct {
	Server  string `env:"STOA_SERVER" default:"http://127.0.0.1:8080" help:"Address of the server."`
	DataDir string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"Folder in which the demo account's password is kept."`
	Source  string `help:"Video file to loop; a test picture with a running clock and a tone when empty."`
	FFmpeg  string `name:"ffmpeg" env:"STOA_FFMPEG" default:"ffmpeg" help:"Program that encodes."`
}

// Run signs the demo account in, opens its room and streams into it until interrupted.
func (c *demoCommand) Run(ctx context.Context) error {
	if c.Source != "" {
		if _, err := os.Stat(c.Source); err != nil {
			return fmt.Errorf("read the demo's source: %w", err)
		}
	}
	if _, err := exec.LookPath(c.FFmpeg); err != nil {
		return fmt.Errorf("no demo without ffmpeg: %w (install it, or name it with --ffmpeg)", err)
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	s := newServer(c.Server)
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	if err := s.signInOrUp(ctx, demoUser, password, "Demo"); err != nil {
		return fmt.Errorf("open the demo account: %w", err)
	}
	live := livev1connect.NewLiveServiceClient(s.client, s.url, s.options())
	room, err := live.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "Demo channel", CategoryId: "technology", RequestId: "demo-channel"})
	if err != nil {
		return fmt.Errorf("open the demo room: %w", err)
	}
	key, err := live.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: room.GetRoom().GetId()})
	if err != nil {
		return fmt.Errorf("issue a stream key: %w", err)
	}
	fmt.Printf("\n  Watch      %s/room/%s\n  All rooms  %s/\n  Go live    %s/live\n  Encoders   %s\n  Account    %s / %s\n\n",
		s.url, room.GetRoom().GetId(), s.url, s.url, key.GetRtmpUrl(), demoUser, password)
	return c.stream(ctx, key.GetRtmpUrl(), key.GetStreamKey())
}

// password returns the demo account's password, made at random the first time: there is no default one to guess.
func (c *demoCommand) password() (string, error) {
	path := filepath.Join(c.DataDir, "demo.password")
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	password := randomPassword()
	if err := errors.Join(os.MkdirAll(c.DataDir, 0o700), os.WriteFile(path, []byte(password+"\n"), 0o600)); err != nil {
		return "", fmt.Errorf("keep the demo account's password: %w", err)
	}
	return password, nil
}

// stream runs ffmpeg, again after a pause when it ends.
func (c *demoCommand) stream(ctx context.Context, server, key string) error {
	input := []string{
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25",
		"-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=44100",
	}
	if c.Source != "" {
		input = []string{"-stream_loop", "-1", "-i", c.Source}
	}
	args := append([]string{"-v", "error", "-nostdin", "-re"}, input...)
	args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k", "-g", "50", "-c:a", "aac", "-b:a", "96k", "-ac", "2", "-f", "flv", server+"/"+key)
	for {
		cmd := exec.CommandContext(ctx, c.FFmpeg, args...)
		cmd.Stderr = redacted{os.Stderr, key}
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 3 * time.Second
		err := cmd.Run()
		if ctx.Err() != nil {
			return nil
		}
		fmt.Fprintf(os.Stderr, "stoa: the demo's ffmpeg ended (%v); again in 3 s\n", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(3 * time.Second):
		}
	}
}

// redacted writes what ffmpeg says without the stream key, which is in the address that it names in errors.
type redacted struct {
	w      io.Writer
	secret string
}

// Write implements io.Writer.
func (r redacted) Write(p []byte) (int, error) {
	_, err := r.w.Write(bytes.ReplaceAll(p, []byte(r.secret), []byte("…")))
	return len(p), err
}
