package mime

import (
	"encoding/binary"
	"errors"
)

// The encodings of envelope and structure begin with a version byte. A number is a uvarint. A text is its length plus
// one as a number and its bytes; 0 alone is the absent text (nil). A list is the number of its entries and these.

var (
	// ErrCorrupt says that bytes were not written by this package, or not all of them survived.
	ErrCorrupt = errors.New("mime: corrupt encoding")
	// ErrVersion says that the encoding is of another version: build it anew from the message.
	ErrVersion = errors.New("mime: encoding of another version")
)

func appendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

func appendText(dst, s []byte) []byte {
	if s == nil {
		return append(dst, 0)
	}
	return append(appendUint(dst, uint64(len(s))+1), s...)
}

// decoder reads an encoding. After the first error every read gives zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.err, d.b = ErrCorrupt, nil
}

func (d *decoder) version() error {
	if len(d.b) == 0 {
		return ErrCorrupt
	}
	if d.b[0] != Version {
		return ErrVersion
	}
	d.b = d.b[1:]
	return nil
}

// finish reports the first error, or that bytes are left over.
func (d *decoder) finish() error {
	if d.err == nil && len(d.b) > 0 {
		return ErrCorrupt
	}
	return d.err
}

func (d *decoder) uint() uint64 {
	n, used := binary.Uvarint(d.b)
	if used <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[used:]
	return n
}

// offset reads a number that fits a file offset with room to add a few of them.
func (d *decoder) offset() int64 {
	n := d.uint()
	if n > 1<<48 {
		d.fail()
		return 0
	}
	return int64(n)
}

func (d *decoder) text() []byte {
	n := d.uint()
	if n == 0 || d.err != nil {
		return nil
	}
	if n--; n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}

// count reads the length of a list whose entries take at least size bytes each, so that a lie costs no memory.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}
