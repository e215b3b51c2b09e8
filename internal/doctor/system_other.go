//go:build !unix

package doctor

import "errors"

var errUnknown = errors.New("this system does not tell")

func freeBytes(string) (uint64, error) { return 0, errUnknown }

func maxFiles() (uint64, error) { return 0, errUnknown }
