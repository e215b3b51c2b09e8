// Command configdoc prints docs/configuration.md.
package main

import (
	"fmt"

	"github.com/stoa-live/stoa/internal/config"
)

func main() { fmt.Print(config.Markdown()) }
