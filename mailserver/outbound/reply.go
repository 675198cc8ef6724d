package outbound

import (
	"bufio"
	"errors"
	"strings"
)

// The caps on what the other side answers.
const (
	maxLine  = 2048     // bytes of one line that are looked at; RFC 5321, section 4.5.3.1.5, allows 512
	maxReply = 64 << 10 // bytes of one reply
	maxText  = 1000     // bytes of text that are kept
)

var (
	errLongReply = errors.New("reply is too long")
	errBadReply  = errors.New("reply is no SMTP reply")
)

// reply is an answer of the other side.
type reply struct {
	code     int
	enhanced string   // RFC 2034; "" without
	lines    []string // text without codes
}

// text joins the lines and cuts them to maxText; what is not printable becomes a space.
func (r *reply) text() string {
	s := strings.Join(r.lines, " ")
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

func (r *reply) class() int { return r.code / 100 }

// readReply reads one reply (RFC 5321, section 4.2.1). A line may end in LF alone; the code of
// the last line counts. With an error it returns what was read before it, whose code is 0 if that
// is nothing.
func readReply(r *bufio.Reader) (*reply, error) {
	out := &reply{}
	kept := 0
	for left := maxReply; ; {
		line, size, err := readLine(r, left)
		if left -= size; err != nil {
			return out, err
		}
		code, last, text, ok := splitReply(line)
		if !ok {
			return out, errBadReply
		}
		enhanced, text := splitEnhanced(code, text)
		out.code, out.enhanced = code, enhanced
		if kept < 8*maxText { // EHLO's lines are all wanted
			out.lines = append(out.lines, text)
			kept += len(text)
		}
		if last {
			return out, nil
		}
	}
}

// readLine reads a line of at most some bytes, and returns its first maxLine.
func readLine(r *bufio.Reader, most int) (line string, size int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if size += len(part); size > most {
			return "", size, errLongReply
		}
		line += string(part[:min(len(part), maxLine-len(line))])
		switch {
		case err == nil:
			return strings.TrimRight(line, "\r\n"), size, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", size, err
		}
	}
}

// splitReply takes a line apart: three digits, then space (last line), hyphen, or nothing.
func splitReply(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, "", false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(line[i]-'0')
	}
	switch {
	case len(line) == 3:
		return code, true, "", true
	case line[3] == ' ':
		return code, true, line[4:], true
	case line[3] == '-':
		return code, false, line[4:], true
	}
	return 0, false, "", false
}

// splitEnhanced takes the enhanced status code off a text if it fits the code (RFC 2034,
// section 4: the class digits are the same).
func splitEnhanced(code int, text string) (enhanced, rest string) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || int(parts[0][0]-'0') != code/100 {
		return "", text
	}
	for _, p := range parts[1:] {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", text
		}
	}
	return word, rest
}
