package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestFrames(t *testing.T) {
	frames := []struct {
		kind    Kind
		payload []byte
	}{
		{Hello, []byte("6.1.0-50-cloud-amd64")},
		{Stdout, []byte("a line\n")},
		{Stderr, nil},
		{Stdout, bytes.Repeat([]byte{0xff}, MaxPayload)},
		{Exit, []byte{3, 0, 0, 0}},
	}
	var stream bytes.Buffer
	for _, f := range frames {
		if err := Write(&stream, f.kind, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	all := stream.Bytes()
	buf := make([]byte, MaxPayload)
	for _, f := range frames {
		kind, b, err := Read(&stream, buf)
		if err != nil || kind != f.kind || !bytes.Equal(b, f.payload) {
			t.Fatalf("frame of kind %d with %d bytes, %v; want kind %d with %d", kind, len(b), err, f.kind, len(f.payload))
		}
	}
	if _, _, err := Read(&stream, buf); err != io.EOF {
		t.Errorf("error %v at the end, want io.EOF", err)
	}
	// Wherever the stream is cut, every frame before is whole, and the cut one an
	// error that is not the end.
	short := all[:2*headerSize+len(frames[0].payload)+len(frames[1].payload)]
	for cut := range short {
		r := bytes.NewReader(short[:cut])
		var err error
		n := 0
		for ; err == nil; n++ {
			_, _, err = Read(r, buf)
		}
		atFrame := cut == 0 || cut == headerSize+len(frames[0].payload)
		if atFrame != (err == io.EOF) || !atFrame && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
	}
}

func TestWriteTooLong(t *testing.T) {
	var w bytes.Buffer
	if err := Write(&w, Stdout, make([]byte, MaxPayload+1)); err == nil || w.Len() != 0 {
		t.Errorf("error %v, %d bytes written", err, w.Len())
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x01\x05\x00\x00\x006.1.0"))
	f.Add([]byte("\x02\xff\xff\xff\xff"))
	f.Add([]byte("\x05\x04\x00\x00\x00\x03\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		buf := make([]byte, MaxPayload)
		var out bytes.Buffer
		for {
			kind, b, err := Read(r, buf)
			if err != nil {
				break
			}
			if err := Write(&out, kind, b); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(in, out.Bytes()) {
			t.Errorf("%q was read as %q", in, out.Bytes())
		}
	})
}
