package main

import (
	"fmt"
	"io"
	"time"

	"github.com/stoa-live/stoa/internal/authn"
)

type serviceTokenCommand struct {
	Name       string `arg:"" help:"Who calls, as logs name it, such as shop."`
	ServiceKey string `name:"service-key" env:"STOA_SERVICE_KEY" required:"" help:"Key that the server was started with."`
}

// Run prints a token by which a back end calls internal RPCs.
func (c *serviceTokenCommand) Run(out io.Writer) error {
	key, err := authn.ParseServiceKey(c.ServiceKey)
	if err != nil {
		return fmt.Errorf("--service-key: %w", err)
	}
	token, err := authn.NewServiceTokens(key, time.Now).Token(c.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token)
	return err
}
