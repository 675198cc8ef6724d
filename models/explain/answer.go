package explain

import (
	"regexp"
	"strings"
)

// maxText is how much of an answer is looked at, in bytes.
const maxText = 4000

// answer is a reply of another server, taken apart.
type answer struct {
	code     int
	enhanced string // "5.7.1", "" if there is none
	text     string // lower case, blanks as one, without repeated codes
}

// codes finds reply codes and enhanced codes that stand at the beginning of each line of a reply
// and, once the lines are joined, in the middle of its sentences.
var codes = regexp.MustCompile(`(?:\b[245]\d\d[- ])?#?\b[245]\.\d{1,3}\.\d{1,3}\b`)

// enhancedCode is an enhanced status code (RFC 3463, section 2).
var enhancedCode = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`)

func read(code int, enhanced, text string) answer {
	if len(text) > maxText {
		text = text[:maxText]
	}
	if enhanced == "" {
		enhanced = leading(text)
	}
	if !enhancedCode.MatchString(enhanced) {
		enhanced = ""
	}
	text = codes.ReplaceAllString(strings.ToLower(text), " ")
	return answer{code: code, enhanced: enhanced, text: strings.Join(strings.Fields(text), " ")}
}

// leading returns an enhanced code among the first words of a text. Further back it might be
// part of an IP address or of a version.
func leading(text string) string {
	if len(text) > 20 {
		text = text[:20]
	}
	return enhancedCode.FindString(text)
}

// temporary reports whether the same message may be taken later.
func (a answer) temporary() bool {
	if a.code == 0 {
		return strings.HasPrefix(a.enhanced, "4.")
	}
	return a.code >= 400 && a.code < 500
}

// vague reports whether the enhanced code says less than the text may.
func (a answer) vague() bool {
	_, rest, _ := strings.Cut(a.enhanced, ".")
	switch rest {
	case "", "7.0", "7.1", "7.9", "5.0", "5.1", "4.0", "4.1", "3.0", "2.0", "1.0", "0.0", "6.0", "2.1", "3.2", "7.2", "7.5":
		return true
	}
	return false
}

// key returns the explanation that fits best: a provider's own words, then common words where
// the code is vague, then the enhanced code, then the reply code.
func (a answer) key() string {
	for i := range providers {
		if providers[i].fits(a) {
			return providers[i].key
		}
	}
	if a.vague() {
		for i := range phrases {
			if phrases[i].fits(a) {
				return phrases[i].key
			}
		}
	}
	if key := byEnhanced[a.enhanced]; key != "" {
		return key
	}
	if _, rest, ok := strings.Cut(a.enhanced, "."); ok {
		if key := byEnhanced["x."+rest]; key != "" {
			return key
		}
		subject, _, _ := strings.Cut(rest, ".")
		if key := bySubject[subject]; key != "" && subject != "0" {
			return key
		}
	}
	return a.basic()
}

// basic goes by the reply code alone (RFC 5321, section 4.2.3).
func (a answer) basic() string {
	if key := byCode[a.code]; key != "" {
		return key
	}
	switch {
	case a.temporary():
		return "other.later"
	case a.code == 0 && a.enhanced == "":
		return "network.unknown"
	}
	return "other.refused"
}

// recogniser knows answers by their words.
type recogniser struct {
	key      string
	enhanced string   // of the answer; "x.7.1" is any class, "" is any code
	class    int      // first digit of the reply code; 0 = any
	all      []string // phrases that must all occur, lower case
}

func (r *recogniser) fits(a answer) bool {
	if r.class != 0 && r.class != a.code/100 {
		return false
	}
	if r.enhanced != "" && r.enhanced != a.enhanced {
		_, rest, ok := strings.Cut(a.enhanced, ".")
		if !ok || r.enhanced != "x."+rest {
			return false
		}
	}
	for _, phrase := range r.all {
		if !strings.Contains(a.text, phrase) {
			return false
		}
	}
	return true
}
