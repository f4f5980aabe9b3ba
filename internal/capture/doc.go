// Package capture decides what a probe reads and how the bytes that it sends
// are laid out. It is the one place that both the program generator
// (internal/probegen) and the decoder (uprobe) read, so that they cannot
// disagree.
//
// # Images and references
//
// A record holds images: byte-exact copies of values in the target's memory
// layout, wherever the target keeps them. A parameter that is spread over
// registers and stack words becomes an image like one that lies in memory, so
// the decoder knows nothing of registers. What cannot be read leaves a [Hole]
// in the image, with a reason.
//
// A pointer, string or slice inside an image is a [Ref]. What it points to is
// a chunk of the record: an array of images. A Ref has a slot, eight bytes
// that the program fills in at run time: the chunk's offset in the record and
// its number of elements, or the reason why there is none.
//
// # The record
//
//	offset 0        header ([HeaderSize] bytes)
//	HeaderSize      the images of the parameters, each aligned to 8
//	SlotBase        the slots of the parameters' Refs, in order
//	Fixed           chunks, in the order in which they were read; each is
//	                  count × element size bytes, padded to 8, followed by
//	                  count × Elem.Slots slots. First come those of all
//	                  parameters, then those of what they refer to.
//
// A plan without Refs has no chunks: its record has a fixed size and is
// written in place. All integers are in the target's byte order, which is that
// of the machine that traces it.
package capture
