package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/stoa-live/stoa/internal/testkit"
)

// operate runs a command of the operator's tool as main does, and returns what it prints.
func operate(t *testing.T, s *testkit.Server, args ...string) (string, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // a test
	former := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = former }()
	var cli commands
	parser := kong.Must(&cli, kong.BindTo(t.Context(), (*context.Context)(nil)))
	parsed, err := parser.Parse(append([]string{"admin", "--server", s.URL, "--data-dir", s.DataDir}, args...))
	if err == nil {
		err = parsed.Run()
	}
	printed, readErr := os.ReadFile(file.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(printed), err
}

func TestOperatorsCommands(t *testing.T) {
	s := testkit.Start(t)
	user := s.User(t, "ada")
	id := user.User.GetId()
	for _, c := range []struct {
		args []string
		says string // a part of the output
	}{
		{[]string{"users", "--staff"}, "ID"},
		{[]string{"mute", id, "--reason", "spam", "--for", "1h"}, "ada is muted until " + time.Now().Format("2006-01-02")[:4]},
		{[]string{"user", id}, "muted everywhere until "},
		{[]string{"user", id}, "PLATFORM_CLI"},
		{[]string{"unmute", id}, "lifted"},
		{[]string{"set-role", id, "moderator"}, "ada has ROLE_MODERATOR"},
		{[]string{"users", "--staff"}, user.User.GetUsername()},
		{[]string{"ban", id, "--reason", "spam"}, "ada is banned for ever"},
		{[]string{"user", id}, "banned for ever: spam"},
		{[]string{"site"}, "Stoa"},
		{[]string{"site", "--name", "Agora", "--no-sign-up"}, "Agora"},
		{[]string{"site", "--announcement", "Down at noon"}, "Down at noon"},
		{[]string{"site"}, "sign-up        false"},
		{[]string{"site", "--sign-up"}, "room-creation  true"},
		{[]string{"rooms", "nothing"}, "TITLE"},
		{[]string{"audit", "--action", "user.", "--since", "1h"}, "spam (everywhere until "},
		{[]string{"audit", "--action", "site."}, `sign_up_enabled=false`},
		{[]string{"audit", "--target", id}, "ada"},
	} {
		if out, err := operate(t, s, c.args...); err != nil || !strings.Contains(out, c.says) {
			t.Errorf("%v: %v, it prints\n%s", c.args, err, out)
		}
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"another role":     {[]string{"set-role", id, "king"}, "moderator"},
		"nobody":           {[]string{"user", "nobody"}, "USER_NOT_FOUND"},
		"no mute":          {[]string{"unmute", id, "--in", "nowhere"}, "MUTE_NOT_FOUND"},
		"no room to warn":  {[]string{"warn", "nowhere", "No ads"}, "ROOM_NOT_FOUND"},
		"no room to strip": {[]string{"take-down-cover", "nowhere", "--reason", "ad"}, "ROOM_NOT_FOUND"},
		"a blank name":     {[]string{"site", "--name", " "}, "SITE_NAME_INVALID"},
	} {
		if out, err := operate(t, s, c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, it prints\n%s", name, err, out)
		}
	}
}
