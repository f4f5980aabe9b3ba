package main

import (
	"errors"
	"fmt"
	"os"
)

func init() {
	plain := errors.New("plain")
	newErrors = append(newErrors, fmt.Errorf("ctx: %w", plain),
		fmt.Errorf("a: %w", fmt.Errorf("b: %w", &os.PathError{Op: "op", Path: "p", Err: plain})))
}
