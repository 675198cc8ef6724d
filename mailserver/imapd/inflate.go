package imapd

import (
	"errors"
	"io"
	"sync"
)

// errDeflate is input that is no DEFLATE stream.
var errDeflate = errors.New("imapd: compressed input is corrupt")

// errShort says that the source has no more bytes at the moment.
var errShort = errors.New("imapd: more compressed input is needed")

// source gives the inflater bits.
type source struct {
	r    io.Reader
	buf  []byte // read and not yet taken
	at   int
	bits uint32
	n    uint // bits in bits
}

// mark is a place in the source to go back to.
type sourceMark struct {
	at   int
	bits uint32
	n    uint
}

func (s *source) mark() sourceMark  { return sourceMark{s.at, s.bits, s.n} }
func (s *source) undo(m sourceMark) { s.at, s.bits, s.n = m.at, m.bits, m.n }
func (s *source) need(n uint) (err error) {
	for s.n < n {
		if s.at >= len(s.buf) {
			return errShort
		}
		s.bits |= uint32(s.buf[s.at]) << s.n
		s.at++
		s.n += 8
	}
	return nil
}

// take returns the next n bits, at most 16.
func (s *source) take(n uint) (int, error) {
	if err := s.need(n); err != nil {
		return 0, err
	}
	v := s.bits & (1<<n - 1)
	s.bits >>= n
	s.n -= n
	return int(v), nil
}

// fill reads more.
func (s *source) fill() error {
	s.buf = append(s.buf[:0], s.buf[s.at:]...)
	s.at = 0
	const piece = 512
	n := len(s.buf)
	if cap(s.buf) < n+piece {
		grown := make([]byte, n, n+piece)
		copy(grown, s.buf)
		s.buf = grown
	}
	k, err := s.r.Read(s.buf[n : n+piece])
	s.buf = s.buf[:n+k]
	if k > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

const (
	windowSize = 32 << 10
	// maxHeader is the most bytes of a dynamic block's tables; a source that has as many and
	// needs more is none.
	maxHeader = 1 << 10
)

// inflater reads a DEFLATE stream (RFC 1951) as it comes. The library's cannot be used: it gives
// out nothing at the end of a block that Z_PARTIAL_FLUSH makes, which RFC 4978, section 4, lets
// clients use (mutt does), and it cannot go on after a read that a deadline interrupted. This
// one takes a symbol only when all its bits are there, so it can stop and go on anywhere.
type inflater struct {
	src    *source
	window [windowSize]byte
	at     int // where the next byte goes
	given  int // bytes up to at that were not given out yet, which is where they begin
	err    error

	block   blockKind
	last    bool
	stored  int // bytes left of a stored block
	lengths *huffman
	dists   *huffman
	length  int // of a copy under way
	dist    int
	total   int64 // bytes written
}

type blockKind uint8

const (
	noBlock blockKind = iota
	storedBlock
	codedBlock
)

func newInflater(src *source) *inflater { return &inflater{src: src} }

// Read implements io.Reader. It gives out what there is before it waits for more.
func (f *inflater) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if f.err == nil {
			f.err = f.run()
		}
		if n := f.give(p); n > 0 {
			if f.err == errShort {
				f.err = nil
			}
			return n, nil
		}
		if f.err != errShort {
			if f.err != nil {
				return 0, f.err
			}
			continue
		}
		f.err = nil
		if err := f.src.fill(); err != nil {
			return 0, err
		}
	}
}

// give copies what was not given out.
func (f *inflater) give(p []byte) (total int) {
	for f.given > 0 && total < len(p) {
		from := (f.at - f.given + windowSize) % windowSize
		n := copy(p[total:], f.window[from:min(from+f.given, windowSize)])
		f.given -= n
		total += n
	}
	return total
}

// put writes one byte.
func (f *inflater) put(b byte) {
	f.window[f.at] = b
	f.at = (f.at + 1) % windowSize
	f.given++
	f.total++
}

// room is how much may be written before it is given out: what a copy may reach back to stays.
const room = windowSize / 2

// run inflates until there is no room, no more input, or the end.
func (f *inflater) run() error {
	for f.given < room {
		var err error
		switch {
		case f.length > 0:
			f.copy()
		case f.block == storedBlock:
			err = f.store()
		case f.block == codedBlock:
			err = f.symbol()
		case f.last:
			return io.EOF
		default:
			err = f.begin()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin reads the header of a block, all of it or nothing.
func (f *inflater) begin() error {
	mark := f.src.mark()
	err := f.header()
	if err == errShort {
		if len(f.src.buf)-mark.at > maxHeader {
			return errDeflate
		}
		f.src.undo(mark)
	}
	return err
}

func (f *inflater) header() error {
	v, err := f.src.take(3)
	if err != nil {
		return err
	}
	switch v >> 1 {
	case 0:
		err = f.beginStored()
	case 1:
		f.lengths, f.dists, f.block = fixedLengths(), fixedDists(), codedBlock
	case 2:
		err = f.beginDynamic()
	default:
		err = errDeflate
	}
	if err == nil {
		f.last = v&1 == 1
	}
	return err
}

func (f *inflater) beginStored() error {
	if _, err := f.src.take(f.src.n % 8); err != nil {
		return err
	}
	n, err := f.src.take(16)
	if err != nil {
		return err
	}
	inverse, err := f.src.take(16)
	if err != nil {
		return err
	}
	if n != inverse^0xffff {
		return errDeflate
	}
	if f.stored = n; n > 0 {
		f.block = storedBlock
	}
	return nil
}

// order is that of the code lengths of code lengths: RFC 1951, section 3.2.7.
var order = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (f *inflater) beginDynamic() error {
	v, err := f.src.take(14)
	if err != nil {
		return err
	}
	nlen, ndist, ncode := v&31+257, v>>5&31+1, v>>10+4
	if nlen > 286 || ndist > 30 {
		return errDeflate
	}
	var first [19]uint8
	for i := range ncode {
		n, err := f.src.take(3)
		if err != nil {
			return err
		}
		first[order[i]] = uint8(n)
	}
	codes, err := newHuffman(first[:])
	if err != nil {
		return err
	}
	var sizes [286 + 30]uint8
	if err := f.codeLengths(codes, sizes[:nlen+ndist]); err != nil {
		return err
	}
	lengths, err := newHuffman(sizes[:nlen])
	if err != nil {
		return err
	}
	dists, err := newHuffman(sizes[nlen : nlen+ndist])
	if err != nil {
		return err
	}
	f.lengths, f.dists, f.block = lengths, dists, codedBlock
	return nil
}

// codeLengths reads the lengths of the codes of a dynamic block.
func (f *inflater) codeLengths(codes *huffman, sizes []uint8) error {
	for i := 0; i < len(sizes); {
		sym, err := codes.read(f.src)
		if err != nil {
			return err
		}
		if sym < 16 {
			sizes[i] = uint8(sym)
			i++
			continue
		}
		repeat := [...]struct {
			bits uint
			base int
		}{{2, 3}, {3, 3}, {7, 11}}[sym-16]
		n, err := f.src.take(repeat.bits)
		if err != nil {
			return err
		}
		var size uint8
		if sym == 16 {
			if i == 0 {
				return errDeflate
			}
			size = sizes[i-1]
		}
		if n += repeat.base; i+n > len(sizes) {
			return errDeflate
		}
		for range n {
			sizes[i] = size
			i++
		}
	}
	return nil
}

// store copies bytes of a stored block.
func (f *inflater) store() error {
	for f.stored > 0 && f.given < room {
		b, err := f.src.take(8)
		if err != nil {
			return err
		}
		f.put(byte(b))
		f.stored--
	}
	if f.stored == 0 {
		f.block = noBlock
	}
	return nil
}

// symbol reads a literal, or a length with its distance, all of it or nothing.
func (f *inflater) symbol() error {
	mark := f.src.mark()
	err := f.code()
	if err == errShort {
		f.src.undo(mark)
	}
	return err
}

func (f *inflater) code() error {
	sym, err := f.lengths.read(f.src)
	switch {
	case err != nil:
		return err
	case sym < 256:
		f.put(byte(sym))
		return nil
	case sym == 256:
		f.block = noBlock
		return nil
	case sym > 285:
		return errDeflate
	}
	length, err := extended(f.src, sym-257, 4, 258, 28, 3)
	if err != nil {
		return err
	}
	sym, err = f.dists.read(f.src)
	if err != nil {
		return err
	}
	if sym > 29 {
		return errDeflate
	}
	dist, err := extended(f.src, sym, 2, 0, -1, 1)
	if err != nil {
		return err
	}
	if int64(dist) > f.total || dist > windowSize {
		return errDeflate
	}
	f.length, f.dist = length, dist
	return nil
}

// extended returns the value of a length or distance code with its extra bits (RFC 1951,
// section 3.2.5): the codes come in groups, each with one extra bit more than the one before.
func extended(src *source, code, group, top, topCode, base int) (int, error) {
	if code == topCode {
		return top, nil
	}
	if code < 2*group {
		return code + base, nil
	}
	bits := uint(code/group - 1)
	extra, err := src.take(bits)
	return (group+code%group)<<bits + extra + base, err
}

// copy repeats what was written before.
func (f *inflater) copy() {
	for f.length > 0 && f.given < room {
		f.put(f.window[(f.at-f.dist+windowSize)%windowSize])
		f.length--
	}
}

// huffman is a code by RFC 1951, section 3.2.2: how many codes there are of each length, and
// the symbols in the order of their codes. It is read bit by bit: commands are short, and a
// table would cost each session more than the time is worth.
type huffman struct {
	counts  [16]uint16
	symbols []uint16
}

func newHuffman(sizes []uint8) (*huffman, error) {
	h := &huffman{symbols: make([]uint16, len(sizes))}
	for _, n := range sizes {
		h.counts[n]++
	}
	h.counts[0] = 0
	left := 1
	var offsets [16]uint16
	for n := 1; n < 16; n++ {
		if left = left<<1 - int(h.counts[n]); left < 0 {
			return nil, errDeflate // more codes than there is room for
		}
		if n < 15 {
			offsets[n+1] = offsets[n] + h.counts[n]
		}
	}
	for sym, n := range sizes {
		if n != 0 {
			h.symbols[offsets[n]] = uint16(sym)
			offsets[n]++
		}
	}
	return h, nil
}

// read takes one symbol.
func (h *huffman) read(src *source) (int, error) {
	code, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		bit, err := src.take(1)
		if err != nil {
			return 0, err
		}
		code |= bit
		count := int(h.counts[n])
		if code-count < first {
			return int(h.symbols[index+code-first]), nil
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, errDeflate
}

// fixedLengths and fixedDists are the codes of RFC 1951, section 3.2.6.
var fixedLengths = sync.OnceValue(func() *huffman {
	var sizes [288]uint8
	for i := range sizes {
		switch {
		case i < 144:
			sizes[i] = 8
		case i < 256:
			sizes[i] = 9
		case i < 280:
			sizes[i] = 7
		default:
			sizes[i] = 8
		}
	}
	h, err := newHuffman(sizes[:])
	if err != nil {
		panic(err) // the sizes are constants
	}
	return h
})

var fixedDists = sync.OnceValue(func() *huffman {
	var sizes [30]uint8
	for i := range sizes {
		sizes[i] = 5
	}
	h, err := newHuffman(sizes[:])
	if err != nil {
		panic(err) // the sizes are constants
	}
	return h
})
