package pop3d

import (
	"errors"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

// The response codes of RFC 2449, section 8, and RFC 3206.
const (
	codeAuth  = "[AUTH] "     // the name, the password or the account is the trouble
	codeTemp  = "[SYS/TEMP] " // ours, and it will pass
	codePerm  = "[SYS/PERM] " // ours, and somebody must do something
	codeInUse = "[IN-USE] "   // the maildrop is locked by another session
)

// maxText is the most bytes of words in a response: RFC 2449, section 4, allows 512 octets
// for its first line.
const maxText = 450

// lostKeys are those of errors that no retry will mend: the bytes of a message are gone.
var lostKeys = map[string]bool{"store.damaged": true, "store.missing": true}

// reply returns the code and the words of an error. Denied and Suspended come from log-ins
// alone. Temporary errors never carry [AUTH], which makes clients ask for the password again.
func reply(e *models.Error) (code, text string) {
	switch e.Kind {
	case models.Denied, models.Suspended:
		return codeAuth, e.Msg
	case models.Conflict:
		return codeInUse, e.Msg
	case models.Unavailable:
		if lostKeys[e.Key] {
			return codePerm, e.Msg
		}
		return codeTemp, e.Msg
	case models.Limited:
		return codeTemp, e.Msg
	case models.Invalid, models.NotFound:
		return "", e.Msg
	case models.Full, models.TooLarge:
		return codePerm, e.Msg
	default:
		return codeTemp, "Something went wrong here."
	}
}

// asModel finds the *models.Error in err's tree.
func asModel(err error) (*models.Error, bool) {
	var e *models.Error
	ok := errors.As(err, &e)
	return e, ok
}

// modelOf returns the error to show for err, of kind Internal if nobody named it.
func modelOf(err error) *models.Error {
	if e, ok := asModel(err); ok {
		return e
	}
	return models.Errorf(models.Internal, "internal", "Something went wrong here.").Because(err)
}

// sayError answers with an error, and logs the causes that are our own.
func (s *session) sayError(e *models.Error) {
	code, text := reply(e)
	if e.Kind == models.Internal || e.Kind == models.Unavailable {
		s.log.Warn("command failed", slog.Any("err", e))
	}
	s.sayErr(code, text)
}

func (s *session) sayErr(code, text string) {
	s.out.WriteString("-ERR ")
	s.out.WriteString(code)
	s.out.WriteString(oneLine(text))
	s.out.WriteString("\r\n")
}

func (s *session) sayOK(text string) {
	if text == "" {
		s.out.WriteString("+OK\r\n")
		return
	}
	s.out.WriteString("+OK " + text + "\r\n")
}

// oneLine makes words safe for a response: one line of valid UTF-8 that is not too long. The
// reason of a suspension is whatever an administrator typed.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
