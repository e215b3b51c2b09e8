package e2e_test

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/testkit/history"
)

// TestExample runs the chat program of the documentation as one of two who talk, across a crash of the server.
func TestExample(t *testing.T) {
	s := chatServer(t)
	s.start("127.0.0.1:0", "127.0.0.1:0")
	user, err := s.talker(within(t), &history.Log{}, "friend", true)
	must(t, err)
	program := s.signUp("program")
	direct, err := user.chat.Service.OpenDirect(within(t), &chatv1.OpenDirectRequest{UserId: program.id})
	must(t, err)
	conversation := direct.GetState().GetConversation().GetId()
	must(t, user.say(within(t), conversation, "said before"))

	binary := filepath.Join(t.TempDir(), "chat")
	out, err := exec.Command("go", "build", "-o", binary, "../clients/go/examples/chat").CombinedOutput()
	if err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-server", s.url, "-user", program.username, "-password", password, "-with", user.id)
	input, err := cmd.StdinPipe()
	must(t, err)
	p := start(t, cmd)
	shows := func(text string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the program shows %q", text), func() error {
			p.running()
			if n := strings.Count(p.output.String(), text); n != 1 {
				return fmt.Errorf("it shows it %d times:\n%s", n, p.output)
			}
			return nil
		})
	}
	shows("friend: said before")
	typed := func(line string) {
		t.Helper()
		_, err := io.WriteString(input, line+"\n")
		must(t, err)
	}
	typed("typed before the crash")
	shows("program: typed before the crash")
	s.crash()
	typed("typed while it was down")
	s.restart()
	must(t, user.say(within(t), conversation, "said after the crash"))
	shows("program: typed while it was down")
	shows("friend: said after the crash")
	eventually(t, "its friend was shown all", func() error {
		if at := user.seq(conversation); at != 4 {
			return fmt.Errorf("it is at %d", at)
		}
		return nil
	})
	must(t, input.Close())
	must(t, p.ended())
}
