package pop3d

import (
	"strconv"
	"strings"

	"github.com/postchi/postchi/models"
)

// marks says which messages are marked as deleted, and what is left.
type marks struct {
	deleted []uint64 // a bit for each message
	left    int
	bytes   int64 // of those left
	all     int64 // bytes without any mark
}

func newMarks(messages []Message) marks {
	m := marks{deleted: make([]uint64, (len(messages)+63)/64), left: len(messages)}
	for i := range messages {
		m.all += messages[i].Size
	}
	m.bytes = m.all
	return m
}

func (m *marks) has(i int) bool { return m.deleted[i/64]&(1<<(i%64)) != 0 }

func (m *marks) set(i int, size int64) {
	m.deleted[i/64] |= 1 << (i % 64)
	m.left--
	m.bytes -= size
}

// reset takes all marks off.
func (m *marks) reset(count int) {
	clear(m.deleted)
	m.left, m.bytes = count, m.all
}

var (
	errNoMessage = models.Errorf(models.NotFound, "pop3.no_message", "There is no such message.")
	errDeleted   = models.Errorf(models.NotFound, "pop3.deleted", "That message is marked as deleted.")
)

// number reads a message number and returns the position it stands for.
func (s *session) number(arg string) (int, error) {
	if arg == "" || len(arg) > 10 {
		return 0, bad("A message number is needed.")
	}
	for i := range len(arg) {
		if arg[i] < '0' || arg[i] > '9' {
			return 0, bad("A message number is needed.")
		}
	}
	n, err := strconv.Atoi(arg)
	switch {
	case err != nil || n < 1 || n > len(s.messages):
		return 0, errNoMessage
	case s.marks.has(n - 1):
		return 0, errDeleted
	}
	return n - 1, nil
}

// summary writes the count and the octets of what is left.
func (s *session) summary() {
	s.out.writeInt(int64(s.marks.left))
	s.out.WriteString(" messages (")
	s.out.writeInt(s.marks.bytes)
	s.out.WriteString(" octets)")
}

// stat answers STAT.
func (s *session) stat(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	s.out.WriteString("+OK ")
	s.out.writeInt(int64(s.marks.left))
	s.out.WriteString(" ")
	s.out.writeInt(s.marks.bytes)
	s.out.WriteString("\r\n")
	return nil
}

// list answers LIST.
func (s *session) list(arg string) error {
	return s.listing(arg, func(i int) { s.out.writeInt(s.messages[i].Size) })
}

// uidl answers UIDL. RFC 1939, section 7: 1 to 70 characters that never name another message,
// over all sessions.
func (s *session) uidl(arg string) error {
	validity := int64(s.drop.UIDValidity())
	return s.listing(arg, func(i int) {
		s.out.writeInt(validity)
		s.out.WriteString(".")
		s.out.writeInt(int64(s.messages[i].UID))
	})
}

// listing writes a line for one message, or a line for each that is not marked.
func (s *session) listing(arg string, value func(i int)) error {
	if arg = strings.TrimRight(arg, " "); arg != "" {
		i, err := s.number(arg)
		if err != nil {
			return err
		}
		s.out.WriteString("+OK ")
		s.item(i, value)
		return nil
	}
	s.out.WriteString("+OK ")
	s.summary()
	s.out.WriteString("\r\n")
	for i := range s.messages {
		if !s.marks.has(i) {
			s.item(i, value)
		}
	}
	s.out.WriteString(".\r\n")
	return s.out.err
}

func (s *session) item(i int, value func(i int)) {
	s.out.writeInt(int64(i) + 1)
	s.out.WriteString(" ")
	value(i)
	s.out.WriteString("\r\n")
}
