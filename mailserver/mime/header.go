package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Field is one field of a header, byte for byte.
type Field struct {
	Name   string // without the space that may stand before the colon; "" for a line that is no field
	Raw    []byte // the whole field: name, colon, value, folds and line end
	Offset int    // of Raw in the header as it was read; -1 if it was inserted
	colon  int    // in Raw; -1 if Name is ""
}

// RawValue returns what follows the colon, with folds and line end.
func (f *Field) RawValue() []byte { return f.Raw[f.colon+1:] }

// Value returns the value unfolded and without space at its ends, at most MaxValue bytes, encoded words as they are.
func (f *Field) Value() string { return string(appendUnfolded(nil, f.RawValue(), false)) }

// exact says whether the name stands directly before the colon.
func (f *Field) exact() bool { return f.colon >= 0 && f.colon == len(f.Name) }

// Header is a header block whose fields can be taken out and put in without a change to any other byte.
type Header struct {
	fields []Field
	end    []byte // the empty line; nil if the message ended before it
	size   int
}

// ReadHeader reads a header and the empty line after it; r then stands at the body. Any bytes are accepted up to
// MaxHeaderBlock, past which the error is an *Error with ReasonHeaderTooLarge; other errors are those of r. A message that
// ends before the empty line is a header without a body. See Check for what a header ought to be.
func ReadHeader(r *bufio.Reader) (*Header, error) {
	var block []byte
	lineStart := 0
	for {
		piece, err := r.ReadSlice('\n')
		block = append(block, piece...)
		switch {
		case len(block) > MaxHeaderBlock:
			return nil, &Error{Reason: ReasonHeaderTooLarge}
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return parseHeader(block, nil), nil
		case err != nil:
			return nil, err
		}
		if line := block[lineStart:]; isEmptyLine(line) {
			return parseHeader(block[:lineStart:lineStart], line), nil
		}
		lineStart = len(block)
	}
}

func isEmptyLine(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

func parseHeader(block, end []byte) *Header {
	h := &Header{end: end, size: len(block) + len(end)}
	for off := 0; off < len(block); {
		name, value, rest := nextField(block[off:])
		raw := block[off : len(block)-len(rest) : len(block)-len(rest)]
		f := Field{Raw: raw, Offset: off, colon: -1}
		if len(name) > 0 {
			f.Name, f.colon = string(name), len(raw)-len(value)-1
		}
		h.fields = append(h.fields, f)
		off += len(raw)
	}
	return h
}

// Size returns the length in bytes of the header as it was read, which is the offset of the body.
func (h *Header) Size() int { return h.size }

// Fields returns all fields in their order. They belong to h.
func (h *Header) Fields() []Field { return h.fields }

// Get returns the value of the first field of that name, and whether there is one.
func (h *Header) Get(name string) (string, bool) {
	for i := range h.fields {
		if strings.EqualFold(h.fields[i].Name, name) {
			return h.fields[i].Value(), true
		}
	}
	return "", false
}

// All returns the fields of that name in their order.
func (h *Header) All(name string) []Field {
	var out []Field
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f)
		}
	}
	return out
}

// Del removes all fields of that name, with their continuation lines, and returns how many there were.
func (h *Header) Del(name string) int {
	kept := make([]Field, 0, len(h.fields))
	for _, f := range h.fields {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	n := len(h.fields) - len(kept)
	h.fields = kept
	return n
}

// Prepend puts a field in front of all others. value may be folded ("\r\n" and a space or tab) but must not hold anything
// that would begin another field or end the header; otherwise nothing is put in and the error is an *Error. This is the only way for
// bytes to get into a header.
func (h *Header) Prepend(name, value string) error {
	raw := []byte(name + ": " + value + "\r\n")
	f := Field{Name: name, Raw: raw, Offset: -1, colon: len(name)}
	if r := checkField(&f); r != 0 {
		return &Error{Field: name, Reason: r}
	}
	if fieldEnd(raw) != len(raw) {
		return &Error{Field: name, Reason: ReasonLineEnd}
	}
	h.fields = append([]Field{f}, h.fields...)
	return nil
}

// Append appends the header as it is now, with the empty line. A header that had none gets one.
func (h *Header) Append(dst []byte) []byte {
	for _, f := range h.fields {
		dst = append(dst, f.Raw...)
	}
	if h.end != nil {
		return append(dst, h.end...)
	}
	if len(dst) > 0 && !bytes.HasSuffix(dst, newline) {
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}
