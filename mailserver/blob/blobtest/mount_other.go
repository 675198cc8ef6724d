//go:build !linux

package blobtest

import (
	"errors"
	"testing"
)

func mountSmall(testing.TB, string) error { return errors.ErrUnsupported }
