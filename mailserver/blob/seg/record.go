package seg

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/postchi/postchi/models"
)

// A record is a header, the bytes of the message and, if there is more than one block of them, a
// table with the CRC32C of each block. All numbers are little-endian.
//
//	 0  8  magic
//	 8  8  salt: the random part of the segment's name
//	16  1  version
//	17  1  flags
//	18  2  length of the header
//	20  4  CRC32C of the message if it is one block, of the table if there is one
//	24  8  id of the blob
//	32  8  length of the message
//	40  8  made at, microseconds since 1970
//	48 32  SHA-256 of the message
//	80  4  zero
//	84  4  CRC32C of the bytes before
//
// The salt is what makes it safe to look for the next record behind a damaged one: a message
// that holds a record made by a stranger cannot know it.
const (
	headerSize = 88
	blockSize  = 32 << 10
	version    = 1

	// flagSHA says that the SHA-256 is there.
	flagSHA = 1
)

// magic holds bytes that no text has, and a CR LF that a transfer in text mode would change.
var magic = [8]byte{0x89, 'P', 'C', 'B', '\r', '\n', 0x1a, 0xd5}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the head of a record in memory.
type header struct {
	salt   uint64
	flags  byte
	crc    uint32
	id     models.ID
	length int64
	made   models.Micros
	sum    [sha256.Size]byte
}

// put writes the header into b, which has headerSize bytes.
func (h *header) put(b []byte) {
	le := binary.LittleEndian
	copy(b, magic[:])
	le.PutUint64(b[8:], h.salt)
	b[16], b[17] = version, h.flags
	le.PutUint16(b[18:], headerSize)
	le.PutUint32(b[20:], h.crc)
	le.PutUint64(b[24:], uint64(h.id))
	le.PutUint64(b[32:], uint64(h.length))
	le.PutUint64(b[40:], uint64(h.made))
	copy(b[48:], h.sum[:])
	clear(b[80:84])
	le.PutUint32(b[84:], crc32.Checksum(b[:84], castagnoli))
}

// parseHeader reads a header of the segment with this salt; ok is false for anything that put
// did not write.
func parseHeader(b []byte, salt uint64) (h header, ok bool) {
	le := binary.LittleEndian
	if len(b) < headerSize || !bytes.Equal(b[:8], magic[:]) || le.Uint64(b[8:]) != salt ||
		le.Uint32(b[84:]) != crc32.Checksum(b[:84], castagnoli) {
		return header{}, false
	}
	if b[16] != version || le.Uint16(b[18:]) != headerSize {
		return header{}, false
	}
	h = header{
		salt: salt, flags: b[17], crc: le.Uint32(b[20:]), id: models.ID(le.Uint64(b[24:])),
		length: int64(le.Uint64(b[32:])), made: models.Micros(le.Uint64(b[40:])),
	}
	copy(h.sum[:], b[48:80])
	return h, h.id >= 0 && h.length >= 0 && h.length <= maxLength
}

// maxLength keeps recordSize from overflowing; no message comes near.
const maxLength = math.MaxInt64 / 2

// blocks is the number of blocks of a message of this length.
func blocks(length int64) int64 { return (length + blockSize - 1) / blockSize }

// tableSize is the size of the table behind a message of this length, in bytes.
func tableSize(length int64) int64 {
	if length <= blockSize {
		return 0
	}
	return 4 * blocks(length)
}

// recordSize is what a message of this length takes in a segment, in bytes.
func recordSize(length int64) int64 { return headerSize + length + tableSize(length) }

// finish fills in the header's checksums for a body that is whole in memory and appends the
// table, if there is one, to b, which ends with the body.
func (h *header) finish(b []byte, body []byte) []byte {
	h.sum, h.flags = sha256.Sum256(body), flagSHA
	if len(body) <= blockSize {
		h.crc = crc32.Checksum(body, castagnoli)
		return b
	}
	start := len(b)
	b = appendSums(b, body)
	h.crc = crc32.Checksum(b[start:], castagnoli)
	return b
}

// appendSums appends the CRC32C of each block of body to table.
func appendSums(table, body []byte) []byte {
	for len(body) > 0 {
		n := min(len(body), blockSize)
		table = binary.LittleEndian.AppendUint32(table, crc32.Checksum(body[:n], castagnoli))
		body = body[n:]
	}
	return table
}
