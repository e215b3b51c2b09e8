package e2e_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestBrowser lets people watch and talk in a real browser. The encoder sends a keyframe only every eight seconds, so
// that the player has to catch up with the live edge by itself.
func TestBrowser(t *testing.T) {
	s := serve(t)
	room := s.signUp("streamer").openRoom()
	encoder := encoding{gop: 8 * frameRate}.push(t, room.issueKey())
	room.until(live)

	shots := os.Getenv("E2E_SHOTS")
	if shots == "" {
		shots = t.ArtifactDir() // kept with go test -artifacts
	}
	cmd := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e")
	cmd.Dir = webFolder
	cmd.Env = append(cleanEnv(), "STOA_URL="+s.url, "STOA_E2E_ROOM="+room.id, "E2E_SHOTS="+shots)
	if path, err := exec.LookPath(chromium()); err == nil {
		cmd.Env = append(cmd.Env, "CHROMIUM="+path)
	}
	// The browser's tests bound themselves; no shorter patience of ours ends them.
	browser := start(t, cmd)
	<-browser.done
	if browser.err != nil {
		t.Errorf("the browser's tests failed (%v):\n%s", browser.err, browser.output)
	}
	encoder.running()
}
