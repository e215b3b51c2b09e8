package e2e_test

import (
	"errors"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// TestDemo runs the demo channel as `make run` does.
func TestDemo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	cmd := exec.Command(stoaBinary, "demo", "--server", s.url, "--data-dir", s.dataDir)
	cmd.Env = cleanEnv()
	demo := start(t, cmd)
	var address string
	eventually(t, "the demo says where to watch", func() error {
		demo.running()
		found := regexp.MustCompile(`Watch\s+(\S+)/room/(\S+)`).FindStringSubmatch(demo.output.String())
		if found == nil {
			return errors.New("it does not")
		}
		if found[1] != s.url {
			t.Fatalf("the demo names the server %s, not %s", found[1], s.url)
		}
		address = found[2]
		return nil
	})
	for _, want := range []string{`All rooms\s+` + s.url, `Go live\s+` + s.url + `/live`, `Encoders\s+rtmp://\S+/live`, `Account\s+demo`} {
		if !regexp.MustCompile(want).MatchString(demo.output.String()) {
			t.Errorf("the demo does not print %q:\n%s", want, demo.output)
		}
	}
	guest := s.signUp("guest")
	room := &room{t: t, owner: guest, id: address}
	playback := room.until(live).GetPlayback()
	watchHTTP(t, s.client, playback.GetFlvUrl()).advances(0)
	list, err := guest.live.ListRooms(within(t), &livev1.ListRoomsRequest{OnlyLive: true})
	must(t, err)
	if len(list.GetItems()) != 1 || list.GetItems()[0].GetRoom().GetId() != address {
		t.Errorf("the rooms on the air are %v", list)
	}
	demo.signal(syscall.SIGINT)
	if err := demo.ended(); err != nil {
		t.Errorf("the interrupted demo ended with %v:\n%s", err, demo.output)
	}
	room.until(interrupted)
}
