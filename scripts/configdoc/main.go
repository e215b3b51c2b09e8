// Command configdoc prints docs/configuration.md from the settings' struct tags.
package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/stoa-live/stoa/internal/config"
)

func main() {
	fmt.Print(`# Configuration

Every setting of ` + "`stoa serve`" + ` is a flag and an environment variable; a flag wins. Lists are separated by commas, and
lengths of time are written like 350ms, 10s or 2h. This page is made by ` + "`make generate`" + `.

| flag | variable | default | meaning |
| --- | --- | --- | --- |
`)
	for field := range reflect.TypeFor[config.Serve]().Fields() {
		tag := field.Tag
		fallback := tag.Get("default")
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		fmt.Printf("| `--%s` | `%s` | %s | %s |\n", tag.Get("name"), tag.Get("env"), fallback, strings.ReplaceAll(tag.Get("help"), "|", "\\|"))
	}
}
