package mime

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// value is an IMAP value: an atom, a string or a list.
type value struct {
	atom  string
	str   []byte
	list  []value
	which byte // 'a', 's', 'l'
}

func (v value) String() string {
	switch v.which {
	case 'a':
		return v.atom
	case 's':
		return strconv.Quote(string(v.str))
	}
	parts := make([]string, len(v.list))
	for i, x := range v.list {
		parts[i] = x.String()
	}
	return "(" + strings.Join(parts, " ") + ")"
}

var errValue = errors.New("not an IMAP value")

// parseValue reads one value and returns what follows it.
func parseValue(b []byte) (v value, rest []byte, err error) {
	if len(b) == 0 {
		return v, nil, errValue
	}
	switch b[0] {
	case '(':
		return parseList(b[1:])
	case '"':
		v.which, v.str = 's', []byte{}
		for i := 1; i < len(b); i++ {
			switch b[i] {
			case '"':
				return v, b[i+1:], nil
			case '\\':
				i++
			case '\r', '\n':
				return v, nil, errValue
			}
			if i < len(b) {
				v.str = append(v.str, b[i])
			}
		}
		return v, nil, errValue
	case '{':
		end := bytes.Index(b, []byte("}\r\n"))
		if end < 0 {
			return v, nil, errValue
		}
		n, err := strconv.Atoi(string(b[1:end]))
		if b = b[end+3:]; err != nil || n > len(b) {
			return v, nil, errValue
		}
		return value{which: 's', str: b[:n]}, b[n:], nil
	}
	end := bytes.IndexAny(b, " ()\r\n")
	if end < 0 {
		end = len(b)
	}
	if end == 0 {
		return v, nil, errValue
	}
	return value{which: 'a', atom: string(b[:end])}, b[end:], nil
}

func parseList(b []byte) (v value, rest []byte, err error) {
	v.which = 'l'
	for {
		if len(b) == 0 {
			return v, nil, errValue
		}
		switch b[0] {
		case ')':
			return v, b[1:], nil
		case ' ':
			b = b[1:]
			continue
		}
		var x value
		if x, b, err = parseValue(b); err != nil {
			return v, nil, err
		}
		v.list = append(v.list, x)
	}
}
