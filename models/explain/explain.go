// Package explain puts the answers of mail servers into words: what happened, what to do next,
// and who can do it, in each language of the panel.
//
// Of reads an answer as it came: the reply code, the enhanced status code (RFC 3463, RFC 5248 and
// the registry that the latter began) and the text, in which the large providers hide what they
// mean behind one code for many things. Attempt explains what kept us from an answer too. Reason
// explains why this server itself has refused something, by the key of the error. None ever fails:
// what nobody knows gets words for its class.
package explain

import "strings"

// Who can do something about it.
type Who string

// The people who can do something.
const (
	Sender    Who = "sender"    // who wrote the message
	Admin     Who = "admin"     // who runs the server, or the DNS of the sender's domain
	Recipient Who = "recipient" // who was to get it, or who runs that mailbox
	Nobody    Who = ""          // it passes by itself, or is none of our matter
)

// Words explain one answer.
type Words struct {
	Key  string `json:"key"`            // names the explanation, whatever the language
	Who  Who    `json:"who,omitempty"`  // to whom Next speaks
	What string `json:"what"`           // what happened, one or two sentences
	Wait string `json:"wait,omitempty"` // that it is tried again; "" if the answer is final
	Next string `json:"next"`           // what to do next, or if it does not pass by itself
}

// text is an explanation in one language.
type text struct{ what, next string }

// entry is an explanation in all languages.
type entry struct {
	who    Who
	en, fa text
}

// words are wanted in lang; an unknown language is answered in English.
func (e entry) words(key, lang string) Words {
	t := e.en
	if lang == "fa" {
		t = e.fa
	}
	return Words{Key: key, Who: e.who, What: t.what, Next: t.next}
}

// Of explains the answer of another server. enhanced may be empty, then it is looked for in text.
// lang is "fa" or "en". Attempt knows what came without an answer better.
func Of(code int, enhanced, text, lang string) Words {
	a := read(code, enhanced, text)
	key := a.key()
	e, ok := answers[key]
	if !ok {
		e = providerAnswers[key]
	}
	w := e.words(key, lang)
	if a.temporary() {
		w.Wait = wait(lang)
	}
	return w
}

// Reason explains a refusal of our own by the key of its error; ok is false if the key is not
// known, and then the words are those of "internal".
func Reason(key, lang string) (w Words, ok bool) {
	e, ok := reasons[key]
	if !ok && strings.HasPrefix(key, "address.") {
		key = "address"
		e, ok = reasons[key]
	}
	if !ok {
		key = "internal"
		e = reasons[key]
	}
	return e.words(key, lang), ok
}

// waiting is added to what will be tried again.
var waiting = entry{
	en: text{what: "We try again by ourselves; nothing needs to be done now."},
	fa: text{what: "خودمان دوباره تلاش می\u200cکنیم و اکنون کاری لازم نیست."},
}

// wait is said of what is tried again.
func wait(lang string) string {
	if lang == "fa" {
		return waiting.fa.what
	}
	return waiting.en.what
}
