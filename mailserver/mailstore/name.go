package mailstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/postchi/postchi/models"
)

// Inbox is the name of the folder that every mailbox has and that cannot be removed. It is
// the one name whose case does not matter (RFC 9051, section 5.1).
const Inbox = "INBOX"

const (
	separator = "/"

	// maxName is the longest name of a folder in bytes; the column has 255 characters.
	maxName = 255
	// maxLevels is how deep folders may lie in each other.
	maxLevels = 30
)

func errName(why string) error {
	return models.Errorf(models.Invalid, "folder.name", "That is not a name for a folder: %s.", why)
}

// FolderName returns the one form of a folder's name: Unicode form C (RFC 9051, section 5.1,
// which wants Net-Unicode), INBOX in upper case. Invalid are names that are empty, longer than
// 255 bytes or deeper than 30 levels, with an empty level or one that ends in a space, which
// MySQL would take for the name without it, with control characters, or with the wildcards of
// LIST.
func FolderName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", errName("it is not UTF-8")
	}
	name = norm.NFC.String(name)
	if len(name) > maxName {
		return "", errName("it is too long")
	}
	if i := strings.IndexFunc(name, badRune); i >= 0 {
		return "", errName("it has a character that is not allowed")
	}
	levels := strings.Split(name, separator)
	if len(levels) > maxLevels {
		return "", errName("it has too many levels")
	}
	for _, l := range levels {
		if l == "" || strings.HasSuffix(l, " ") {
			return "", errName("a level is empty or ends in a space")
		}
	}
	if strings.EqualFold(levels[0], Inbox) {
		levels[0] = Inbox
	}
	return strings.Join(levels, separator), nil
}

func badRune(r rune) bool {
	return r == '*' || r == '%' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// parents returns the names above a normal name, from the top.
func parents(name string) []string {
	var all []string
	for i, r := range name {
		if r == '/' {
			all = append(all, name[:i])
		}
	}
	return all
}

const (
	// MaxKeywords is how many keywords a folder may have: one bit each of a signed number.
	MaxKeywords = 62
	// MaxKeyword is the longest keyword in bytes.
	MaxKeyword = 64
)

// bits returns the bits of keywords in a folder, whose case does not matter (RFC 9051, section
// 2.3.2). New ones are added if grow is set, else left out. Invalid for what is no atom, Full
// (key keywords.full) when the folder has no bit left.
func (f *held) bits(words []string, grow bool) (int64, error) {
	var bits int64
	for _, w := range words {
		i := keywordIndex(f.Keywords, w)
		if i < 0 && grow {
			if err := checkKeyword(w); err != nil {
				return 0, err
			}
			if len(f.Keywords) >= MaxKeywords {
				return 0, models.Errorf(models.Full, "keywords.full", "This folder has as many keywords as it can have.")
			}
			f.Keywords = append(f.Keywords, w)
			f.named = true
			i = len(f.Keywords) - 1
		}
		if i >= 0 {
			bits |= 1 << i
		}
	}
	return bits, nil
}

func keywordIndex(words []string, w string) int {
	for i, have := range words {
		if strings.EqualFold(have, w) {
			return i
		}
	}
	return -1
}

// checkKeyword refuses what is no flag-keyword (RFC 9051, section 9: an atom).
func checkKeyword(w string) error {
	if w == "" || len(w) > MaxKeyword {
		return models.Errorf(models.Invalid, "keyword.invalid", "A keyword has 1 to %d characters.", MaxKeyword)
	}
	for i := range len(w) {
		if c := w[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return models.Errorf(models.Invalid, "keyword.invalid", "A keyword is an atom.")
		}
	}
	return nil
}

// KeywordNames returns the names of the keyword bits of a message in a folder with this list.
func KeywordNames(words []string, bits int64) []string {
	var names []string
	for i, w := range words {
		if bits&(1<<i) != 0 {
			names = append(names, w)
		}
	}
	return names
}
