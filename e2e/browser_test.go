package e2e_test

import (
	"os/exec"
	"testing"
)

// TestBrowser lets people, a streamer and an administrator use the pages in a real browser. Its parts are the files
// *.test.mjs of the web's folder e2e, each of which starts servers of its own.
func TestBrowser(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e")
	cmd.Dir = webFolder
	// With E2E_SHOTS, a folder, they take pictures of what they see.
	cmd.Env = append(cleanEnv(), "STOA_BINARY="+stoaBinary)
	if path, err := exec.LookPath(chromium()); err == nil {
		cmd.Env = append(cmd.Env, "CHROMIUM="+path)
	}
	// The browser's tests bound themselves; no shorter patience of ours ends them.
	browser := start(t, cmd)
	<-browser.done
	if browser.err != nil {
		t.Errorf("the browser's tests failed (%v):\n%s", browser.err, browser.output)
	}
}
