package imapd

import (
	"strings"

	"github.com/postchi/postchi/models"
)

// Capabilities before and after log-in: RFC 9051, section 6.1.1.
const (
	capsAlways = "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE"
	capsLater  = " NAMESPACE UIDPLUS UNSELECT CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE CONDSTORE QRESYNC" +
		" ESEARCH SEARCHRES SORT ESORT THREAD=REFERENCES MULTIAPPEND STATUS=SIZE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE" +
		" BINARY UTF8=ACCEPT OBJECTID"
)

// capabilities returns what the session can do now.
func (s *session) capabilities() string {
	var b strings.Builder
	b.WriteString(capsAlways)
	if s.state != notAuthenticated {
		b.WriteString(capsLater + " APPENDLIMIT=" + itoa(s.config.MaxMessage))
		if s.packed == nil {
			b.WriteString(" COMPRESS=DEFLATE")
		}
		return b.String()
	}
	if !s.tls {
		if s.config.TLS != nil {
			b.WriteString(" STARTTLS")
		}
		return b.String() + " LOGINDISABLED"
	}
	for _, m := range s.config.Mechanisms {
		b.WriteString(" AUTH=" + m.Name)
	}
	return b.String()
}

func (s *session) capability(*request) error {
	if s.p.End(); s.p.Err() == nil {
		s.out.Strings("* CAPABILITY ", s.capabilities(), "\r\n")
	}
	return nil
}

// noop answers NOOP and CHECK: what changed is written for every command.
func (s *session) noop(*request) error {
	s.p.End()
	return nil
}

func (s *session) logout(*request) error {
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	s.leave()
	if s.state == selectedState {
		s.state = authenticated
	}
	s.out.WriteString("* BYE Goodbye\r\n")
	s.quit = true
	return nil
}

// maxClient is how much of a client's name is kept, in bytes.
const maxClient = 100

// id answers ID (RFC 2971). What the client calls itself goes to the records of log-ins.
func (s *session) id(*request) error {
	fields := map[string]string{}
	if s.p.Peek() == ' ' {
		s.p.SP()
	}
	if s.p.Peek() == '(' {
		s.p.List(func() {
			key := s.p.String()
			s.p.SP()
			if value, ok := s.p.NString(); ok && len(fields) < 30 {
				fields[strings.ToLower(key)] = value
			}
		})
	} else {
		s.p.NString()
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	name := oneLine(strings.TrimSpace(fields["name"] + " " + fields["version"]))
	s.client = strings.ToValidUTF8(name[:min(len(name), maxClient)], "")
	if s.place != nil {
		s.place.Named(s.client)
	}
	s.out.WriteString("* ID (\"name\" \"Postchi\")\r\n")
	return nil
}

// enable answers ENABLE (RFC 5161). What it does not know is no error.
func (s *session) enable(*request) error {
	var words []string
	for s.p.Accept(' ') {
		words = append(words, s.p.Word())
	}
	if len(words) == 0 {
		s.p.Fail("ENABLE needs a capability")
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if s.state == selectedState {
		for _, w := range words {
			if w == "UTF8=ACCEPT" || w == "IMAP4REV2" {
				// RFC 6855, section 3: names and numbers told so far would change their meaning.
				return models.Errorf(models.Denied, "enable.selected", "This cannot be enabled while a mailbox is selected.")
			}
		}
	}
	var on []string
	for _, w := range words {
		switch w {
		case "CONDSTORE":
			s.condStore = true
		case "QRESYNC":
			s.condStore, s.qresync = true, true
		case "UTF8=ACCEPT":
			s.utf8 = true
		case "IMAP4REV2":
			s.rev2, w = true, "IMAP4rev2"
		default:
			continue
		}
		on = append(on, " "+w)
	}
	s.out.UTF8 = s.utf8 || s.rev2
	s.out.Strings("* ENABLED", strings.Join(on, ""), "\r\n")
	return nil
}

// namespace answers NAMESPACE (RFC 2342): all folders are the person's own.
func (s *session) namespace(*request) error {
	if s.p.End(); s.p.Err() == nil {
		s.out.WriteString("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n")
	}
	return nil
}
