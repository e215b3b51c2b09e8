// Package web holds the built web app, so that the binary serves it by itself.
package web

import (
	"embed"
	"io/fs"
)

// all: takes in what the build made, and the placeholder that lets Go compile before it.
//
//go:embed all:dist
var dist embed.FS

// FS returns the built app, or nil where `make web` has not run.
func FS() fs.FS {
	files, err := fs.Sub(dist, "dist/app")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil
	}
	return files
}
