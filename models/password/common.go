package password

import (
	_ "embed"
	"strings"
)

//go:embed common.txt
var commonFile string

// commonList returns the sorted lines after the head of the file.
func commonList() string {
	_, list, _ := strings.Cut(commonFile, "\n\n")
	return list
}

// IsCommon reports whether password, without regard to case, is in the embedded list of
// common passwords, or is nothing but one of them, or up to four characters, repeated.
func IsCommon(password string) bool {
	folded := strings.ToLower(password)
	if contains(commonList(), folded) {
		return true
	}
	unit := period(folded)
	return len(unit) < len(folded) && (len([]rune(unit)) <= 4 || contains(commonList(), unit))
}

// period returns the shortest string that s is made of by repetition; s itself if there is
// none. s occurs in s+s at its period.
func period(s string) string {
	if s == "" {
		return s
	}
	return s[:1+strings.Index((s + s)[1:], s)]
}

// contains searches a sorted list of lines, each ended by a line feed, by halving bytes: the
// list needs no other form in memory than the one it has in the program.
func contains(list, word string) bool {
	if word == "" || strings.IndexByte(word, '\n') >= 0 {
		return false
	}
	lo, hi := 0, len(list) // both at the start of a line, or at the end
	for lo < hi {
		start := lo + strings.LastIndexByte(list[lo:(lo+hi)/2], '\n') + 1
		end := start + strings.IndexByte(list[start:], '\n')
		switch line := list[start:end]; {
		case line == word:
			return true
		case line < word:
			lo = end + 1
		default:
			hi = start
		}
	}
	return false
}
