package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/q191201771/lal/pkg/logic"
)

// lalServer is lal's own server with its default settings, on given ports, HTTP-FLV only.
func lalServer(args []string) error {
	flags := flag.NewFlagSet("lal", flag.ContinueOnError)
	rtmpAddr := flags.String("rtmp", "127.0.0.1:0", "RTMP address")
	httpAddr := flags.String("http", "127.0.0.1:0", "HTTP address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	conf := fmt.Sprintf(`{
		"conf_version": "v0.4.1",
		"rtmp": {"enable": true, "addr": %q, "gop_num": 1, "merge_write_size": 0},
		"default_http": {"http_listen_addr": %q},
		"httpflv": {"enable": true, "url_pattern": "/", "gop_num": 1},
		"log": {"level": 5, "is_to_stdout": false, "filename": %q}
	}`, *rtmpAddr, *httpAddr, os.DevNull)
	return logic.NewLalServer(func(o *logic.Option) { o.ConfRawContent = []byte(conf) }).RunLoop()
}
