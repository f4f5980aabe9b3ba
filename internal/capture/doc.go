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
//	HeaderSize      the images of the parameters, each aligned to 8, for generic
//	                code the dictionary ([Dict]), and a byte for each parameter
//	                that is computed: see [Expr]
//	SlotBase        the slots of the parameters' Refs, in order
//	Fixed           chunks, in the order in which they were read; each is
//	                  count × element size bytes, padded to 8, followed by
//	                  count × Elem.Slots slots. First come those of all
//	                  parameters, then those of what they refer to.
//
// # Walks
//
// Where the shape of what is captured is known only when the program runs, the
// references of a record are not part of the plan. The plan then has a [Walk],
// and the record ends in a heap instead of slots and chunks:
//
//	offset 0        header ([WalkHeaderSize] bytes)
//	WalkHeaderSize  the images of the parameters, the dictionary, and the bytes for
//	                those that are computed, as above
//	Fixed           objects, in the order in which they were found; each is a
//	                  header ([ObjectHeader] bytes) with the address in the
//	                  target, the type's number and the count, followed by
//	                  count × [Image.Size] bytes, padded to 8
//
// The type table ([Types]) says for each type where its references are. What a
// reference leads to is the object with its address and the type of its
// elements, so that objects are there once, whoever refers to them. One that is
// not there is too deep, cut by a limit that the header's flags name, or not
// readable: then it is there with a count of 0.
//
// # Whole calls
//
// The record of an entry whose return is to be seen, and that of the return, which
// has a plan of its own for the results, have [PairSize] bytes more behind their
// headers ([Plan.Pair]), by which they are joined. The same words are all that the
// records have of a goroutine that panics or ends.
//
// # Redaction
//
// What a [Redaction] selects is a [Hole] for the reason [abi.Redacted], and does
// not leave the kernel. A parameter that is redacted as a whole takes no place in
// the record. Of others the pieces in registers are not stored, and memory is
// read around what is redacted, or that is erased behind the read ([Plan.Erase]).
// In the images of chunks and objects it is erased in each element
// ([Image.Erase]; in the type table rows of the kind [RowErase]) as soon as they
// were read, before the chunk or object becomes a part of the record: so there is
// nothing of it in a record that was cut, nor in what scratch memory holds from
// an earlier one. References that are redacted are not there, and so not
// followed; those to types that are redacted are there, and not followed.
//
// A plan without Refs has no chunks: its record has a fixed size and is
// written in place. All integers are in the target's byte order, which is that
// of the machine that traces it.
package capture
