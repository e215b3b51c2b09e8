// Package web holds the built web apps, so that the binary serves them by itself.
package web

import (
	"embed"
	"io/fs"
)

// all: takes in what the build made, and the placeholder that lets Go compile before it.
//
//go:embed all:dist
var dist embed.FS

// FS returns the built apps: the folder app for people, the folder console for operators. It is nil where `make web` has
// not run.
func FS() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil
	}
	for _, app := range []string{"app", "console"} {
		if _, err := fs.Stat(files, app+"/index.html"); err != nil {
			return nil
		}
	}
	return files
}
