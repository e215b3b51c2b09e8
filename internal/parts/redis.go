package parts

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

func redis() part {
	return part{name: "redis", ready: redisAnswers, start: func(folder string) (*exec.Cmd, string, error) {
		server, err := program("redis-server", byScript)
		if err != nil {
			return nil, "", err
		}
		port, err := FreePort()
		if err != nil {
			return nil, "", err
		}
		run := exec.Command(server, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no")
		return run, "redis://127.0.0.1:" + port, nil
	}}
}

// redisAnswers sends a PING in RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/).
func redisAnswers(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing was written that matters
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(conn, "*1\r\n$4\r\nPING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") {
		return fmt.Errorf("it says %q", line)
	}
	return nil
}
