package imapd

import (
	"errors"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

// maxText is the most bytes of words in a response.
const maxText = 450

// keyCodes are the response codes of errors that their kind alone does not name.
var keyCodes = map[string]string{
	"folder.use": "USEATTR", "folder.name": "CANNOT", "folder.inbox": "CANNOT", "folder.below": "CANNOT", "keywords.full": "LIMIT",
	"keyword.invalid": "CANNOT", "append.trycreate": "TRYCREATE", "store.full": "UNAVAILABLE", "login.malformed": "AUTHENTICATIONFAILED",
	"imap.privacy": "PRIVACYREQUIRED", "search.charset": "BADCHARSET (US-ASCII UTF-8)", "fetch.cte": "UNKNOWN-CTE", "imap.expunged": "EXPUNGEISSUED",
	"imap.not_saved": "NOTSAVED", "imap.read_only": "READ-ONLY", "quota.set": "NOPERM", "imap.compressed": "COMPRESSIONACTIVE",
	"store.damaged": "CORRUPTION", "store.missing": "CORRUPTION",
	"mailbox.full": "OVERQUOTA", "search.modseq": "", "append.nul": "UNKNOWN-CTE", "login.sessions": "LIMIT", "login.sessions_network": "LIMIT",
}

// kindCodes are those of RFC 5530.
var kindCodes = map[models.Kind]string{
	models.Internal: "SERVERBUG", models.Invalid: "CANNOT", models.NotFound: "NONEXISTENT", models.Conflict: "ALREADYEXISTS",
	models.Denied: "NOPERM", models.Suspended: "AUTHORIZATIONFAILED", models.Full: "OVERQUOTA", models.Limited: "LIMIT",
	models.Unavailable: "UNAVAILABLE", models.TooLarge: "TOOBIG",
}

// codeOf returns the response code of an error, without brackets.
func codeOf(e *models.Error) string {
	if code, ok := keyCodes[e.Key]; ok {
		return code
	}
	return kindCodes[e.Kind]
}

// byeCode is the response code of a BYE. What ends a session by an account's state is said
// in words alone: no code of RFC 5530 fits, and clients take some of them for a wrong password.
func byeCode(e *models.Error) string {
	switch e.Kind {
	case models.Unavailable, models.Internal:
		return "UNAVAILABLE"
	}
	return ""
}

// lost returns the error within e that says that a message is damaged for good, else e: trying
// again, which the words around it may speak of, would not help.
func lost(e *models.Error) *models.Error {
	for inner := e; errors.As(inner.Err, &inner); {
		if inner.Key == "store.damaged" || inner.Key == "store.missing" {
			return inner
		}
	}
	return e
}

// sayNo answers with an error, and logs the causes that are our own.
func (s *session) sayNo(tag string, e *models.Error) {
	e = lost(e)
	text := e.Msg
	if e.Kind == models.Internal || e.Kind == models.Unavailable {
		s.log.Warn("command failed", slog.Any("err", e))
	}
	if e.Kind == models.Internal || text == "" {
		text = "Something went wrong here."
	}
	s.out.Strings(tag, " NO ")
	s.writeCode(codeOf(e))
	s.out.Strings(oneLine(text), "\r\n")
}

func (s *session) writeCode(code string) {
	if code != "" {
		s.out.Strings("[", code, "] ")
	}
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
