package mime

import "bytes"

// nextField splits the first field off a header block. name is without the space that may stand before the colon
// (RFC 5322 section 4.5.1); it is empty for a line that is no field, which is skipped with its continuation lines. value is
// what follows the colon, with folds and the last line end.
func nextField(block []byte) (name, value, rest []byte) {
	end := fieldEnd(block)
	field := block[:end]
	colon := bytes.IndexByte(field, ':')
	if colon < 0 || isWSP(field[0]) {
		return nil, nil, block[end:]
	}
	name = bytes.TrimRight(field[:colon], " \t")
	if bytes.IndexByte(name, '\n') >= 0 { // the colon belongs to a continuation line
		return nil, nil, block[end:]
	}
	return name, field[colon+1:], block[end:]
}

// fieldEnd returns the length of the first field of a block, with its continuation lines.
func fieldEnd(block []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(block[i:], '\n')
		if n < 0 {
			return len(block)
		}
		i += n + 1
		if i == len(block) || !isWSP(block[i]) {
			return i
		}
	}
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// foldedIs says whether name is the lower-case word, in any case of ASCII letters.
func foldedIs(name []byte, word string) bool {
	if len(name) != len(word) {
		return false
	}
	for i := 0; i < len(word); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// appendUnfolded appends a field's value without folds and without space at its ends. A fold with the space around it
// becomes one space; with squeeze every run of space does, as people read it. At most MaxValue bytes are looked at.
func appendUnfolded(dst, raw []byte, squeeze bool) []byte {
	raw = bytes.Trim(raw[:min(len(raw), MaxValue)], " \t\r\n")
	for i := 0; i < len(raw); {
		c := raw[i]
		if !isSpace(c) {
			dst = append(dst, c)
			i++
			continue
		}
		j, fold := i, squeeze
		for ; j < len(raw) && isSpace(raw[j]); j++ {
			fold = fold || raw[j] == '\n' || raw[j] == '\r'
		}
		if fold {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, raw[i:j]...)
		}
		i = j
	}
	return dst
}

// unfolded keeps a field's value in the arena.
func (a *arena) unfolded(raw []byte, squeeze bool) []byte {
	if !a.room(min(len(raw), MaxValue)) {
		return nil
	}
	start := len(a.buf)
	a.buf = appendUnfolded(a.buf, raw, squeeze)
	return a.take(start)
}
