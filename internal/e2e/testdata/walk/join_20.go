package main

import (
	"errors"
	"fmt"
	"syscall"
)

func init() {
	plain := errors.New("plain")
	newErrors = append(newErrors, errors.Join(plain, syscall.EINTR), fmt.Errorf("%w and %w", plain, syscall.ENOENT))
}
