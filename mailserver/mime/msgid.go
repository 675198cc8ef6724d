package mime

import (
	"bytes"
	"hash/fnv"
)

// nextID finds the next <id> in b and returns it without brackets, space and folds, and what follows; "" at the end.
// Comments and quoted words between ids are passed over (RFC 5322 section 4.5.4 allowed words in In-Reply-To).
func nextID(b []byte) (id string, rest []byte) {
	for l := (lexer{b: b}); ; {
		l.skip()
		if l.end() {
			return "", nil
		}
		switch l.peek() {
		case '"':
			l.i, _ = quotedEnd(b, l.i)
		case '<':
			end := bytes.IndexByte(b[l.i:], '>')
			if end < 0 {
				return "", nil
			}
			inner := b[l.i+1 : l.i+end]
			if again := bytes.LastIndexByte(inner, '<'); again >= 0 {
				inner = inner[again+1:]
			}
			l.i += end + 1
			if id = cleanID(inner); id != "" {
				return id, b[l.i:]
			}
		default:
			l.i++
		}
	}
}

// cleanID takes space out of an id, and needless quotes from its left side, since RFC 5256 section 3 compares ids without
// them. "" if nothing is left or it is too long.
func cleanID(b []byte) string {
	if bytes.ContainsAny(b, " \t\r\n") {
		b = bytes.Join(bytes.Fields(b), nil)
	}
	if len(b) > 1 && b[0] == '"' {
		if i := bytes.Index(b, []byte(`"@`)); i > 0 && !bytes.ContainsAny(b[1:i], `"\`) {
			b = append(append([]byte(nil), b[1:i]...), b[i+1:]...)
		}
	}
	if len(b) > MaxMessageID {
		return ""
	}
	return string(b)
}

// MessageID returns the id in the value of a Message-ID field, without angle brackets. A value that is one word without
// brackets is an id too. "" if there is none.
func MessageID(value []byte) string {
	id, _ := nextID(value)
	if value = bytes.TrimSpace(value); id == "" && !bytes.ContainsAny(value, " \t\r\n<>") {
		id = cleanID(value)
	}
	return id
}

// appendIDs appends the ids of a field: of more than MaxReferences the first and the latest. The result is not nil.
func appendIDs(ids []string, value []byte) []string {
	if ids == nil {
		ids = make([]string, 0, min(bytes.Count(value, []byte{'<'}), MaxReferences))
	}
	for {
		var id string
		if id, value = nextID(value); id == "" {
			return ids
		}
		if len(ids) == MaxReferences {
			copy(ids[1:], ids[2:])
			ids = ids[:MaxReferences-1]
		}
		ids = append(ids, id)
	}
}

// threadID hashes the id of the thread's first message, as far as this message knows it.
func threadID(c *Contents) int64 {
	root := c.MessageID
	if len(c.References) > 0 {
		root = c.References[0]
	}
	if root == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(root))
	return max(int64(h.Sum64()>>1), 1)
}
