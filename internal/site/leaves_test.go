package site

import (
	"errors"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestLeaves(t *testing.T) {
	const entry = 0x1000
	for _, tt := range []struct {
		name string
		arch *abi.Arch
		code []byte
		want []Leave
		open bool
	}{
		{"amd64: call, jump out", abi.AMD64,
			[]byte{0xe8, 0xfb, 0x0f, 0, 0, 0xe9, 0xf6, 0x1f, 0, 0}, // call 0x2000; jmp 0x3000
			[]Leave{{0x1000, 0x2000, false}, {0x1005, 0x3000, true}}, false},
		{"amd64: branches inside, a jump to the start", abi.AMD64,
			[]byte{0x74, 0x01, 0x90, 0xeb, 0xfb, 0xc3}, nil, false}, // je .+1; nop; jmp start; ret
		{"amd64: a call of itself", abi.AMD64,
			[]byte{0xe8, 0xfb, 0xff, 0xff, 0xff, 0xc3}, []Leave{{0x1000, 0x1000, false}}, false},
		{"amd64: a call through a pointer", abi.AMD64, []byte{0xff, 0xd1, 0xc3}, nil, true},
		{"arm64: bl, b", abi.ARM64,
			[]byte{0x00, 0x04, 0x00, 0x94, 0xff, 0x07, 0x00, 0x14}, // bl 0x2000; b 0x3000
			[]Leave{{0x1000, 0x2000, false}, {0x1004, 0x3000, true}}, false},
	} {
		got, open, err := Leaves(tt.arch, tt.code, entry)
		if err != nil || !slices.Equal(got, tt.want) || open != tt.open {
			t.Errorf("%s: %v, %t, %v, want %v, %t", tt.name, got, open, err, tt.want, tt.open)
		}
	}
	if _, _, err := Leaves(abi.AMD64, nil, entry); !errors.Is(err, ErrCodeSize) {
		t.Errorf("no code: %v", err)
	}
	if _, _, err := Leaves(nil, []byte{0xc3}, entry); !errors.Is(err, ErrArch) {
		t.Errorf("no architecture: %v", err)
	}
}
