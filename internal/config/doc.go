package config

import (
	"reflect"
	"strings"
)

// Markdown returns docs/configuration.md, made from the tags of Serve.
func Markdown() string {
	var page strings.Builder
	page.WriteString("# Configuration\n\n" +
		"Every setting of `stoa serve` is a flag and an environment variable; a flag wins. Lists are separated by commas, and\n" +
		"lengths of time are written like 350ms, 10s or 2h. This page is made by `make generate`.\n\n" +
		"| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n")
	for field := range reflect.TypeFor[Serve]().Fields() {
		if field.Tag.Get("kong") == "-" {
			continue // no setting
		}
		fallback := field.Tag.Get("default")
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		cells := []string{"`--" + field.Tag.Get("name") + "`", "`" + field.Tag.Get("env") + "`", fallback, field.Tag.Get("help")}
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		page.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return page.String()
}
