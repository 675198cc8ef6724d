package wire

import (
	"strings"
	"time"
)

// Key is a search key (RFC 9051, section 6.4.4). Those whose opposite has a name of its own
// stand for both: see Search.Key and KeyNot.
type Key uint8

// The keys.
const (
	KeyAnd    Key = iota // all of Args; true if there are none
	KeyOr                // one of the two Args
	KeyNot               // not Args[0]
	KeySeq               // message numbers in Set
	KeyUID               // UIDs in Set
	KeyFlag              // Text is set: a system flag with its backslash, or a keyword
	KeyRecent            // \Recent (RFC 3501)
	KeyBefore
	KeyOn
	KeySince
	KeySentBefore
	KeySentOn
	KeySentSince
	KeyLarger
	KeySmaller
	KeyModSeq  // Number or later (RFC 7162)
	KeyEmailID // Text (RFC 8474)
	KeyThreadID
	KeyHeader // Field has Text
	KeyFrom
	KeyTo
	KeyCc
	KeyBcc
	KeySubject
	KeyBody
	KeyText
)

// Search is a node of a search program.
type Search struct {
	Key    Key
	Args   []*Search
	Set    Set
	Text   string
	Field  string
	Date   time.Time // midnight UTC of the day
	Number uint64
}

// Return is what a search is to return (RFC 4731, RFC 5182).
type Return struct {
	Given                      bool // there is a RETURN
	Min, Max, All, Count, Save bool
}

// Program is the arguments of SEARCH.
type Program struct {
	Return  Return
	Charset string // in upper case; "" = none was named
	Root    *Search
}

// maxKeys is the most keys of one program.
const maxKeys = 1000

// Program takes the arguments of SEARCH, behind the space.
func (p *Parser) Program() *Program {
	var prog Program
	prog.Return = p.Return()
	if p.hasWord("CHARSET") {
		p.SP()
		prog.Charset = p.charset()
		p.SP()
	}
	prog.Root = p.Criteria()
	return &prog
}

// Return takes RETURN with its options and the space behind it, if it is there.
func (p *Parser) Return() (r Return) {
	if !p.hasWord("RETURN") {
		return r
	}
	r.Given = true
	p.SP()
	p.List(func() {
		switch word := p.Word(); word {
		case "MIN":
			r.Min = true
		case "MAX":
			r.Max = true
		case "ALL":
			r.All = true
		case "COUNT":
			r.Count = true
		case "SAVE":
			r.Save = true
		default:
			p.Fail("There is no return option %.40s", word)
		}
	})
	p.SP()
	if r == (Return{Given: true}) {
		r.All = true // RFC 4731, section 3.1: () is (ALL)
	}
	return r
}

// hasWord takes a word if it is next.
func (p *Parser) hasWord(word string) bool {
	if p.err != nil || len(p.line)-p.pos < len(word) || !strings.EqualFold(string(p.line[p.pos:p.pos+len(word)]), word) {
		return false
	}
	if end := p.pos + len(word); end < len(p.line) && isAtom(p.line[end]) {
		return false
	}
	p.pos += len(word)
	return true
}

// Criteria takes search keys to the end of the command.
func (p *Parser) Criteria() *Search {
	keys := 0
	root := &Search{Key: KeyAnd}
	for p.ok() {
		root.Args = append(root.Args, p.key(&keys))
		if !p.Accept(' ') {
			break
		}
	}
	return root
}

func flagKey(flag string) *Search { return &Search{Key: KeyFlag, Text: flag} }

func not(s *Search) *Search { return &Search{Key: KeyNot, Args: []*Search{s}} }

// plain are the keys without arguments.
var plain = map[string]func() *Search{
	"ALL":        func() *Search { return &Search{Key: KeyAnd} },
	"ANSWERED":   func() *Search { return flagKey(`\Answered`) },
	"DELETED":    func() *Search { return flagKey(`\Deleted`) },
	"DRAFT":      func() *Search { return flagKey(`\Draft`) },
	"FLAGGED":    func() *Search { return flagKey(`\Flagged`) },
	"SEEN":       func() *Search { return flagKey(`\Seen`) },
	"UNANSWERED": func() *Search { return not(flagKey(`\Answered`)) },
	"UNDELETED":  func() *Search { return not(flagKey(`\Deleted`)) },
	"UNDRAFT":    func() *Search { return not(flagKey(`\Draft`)) },
	"UNFLAGGED":  func() *Search { return not(flagKey(`\Flagged`)) },
	"UNSEEN":     func() *Search { return not(flagKey(`\Seen`)) },
	"RECENT":     func() *Search { return &Search{Key: KeyRecent} },
	"OLD":        func() *Search { return not(&Search{Key: KeyRecent}) },
	"NEW":        func() *Search { return &Search{Args: []*Search{{Key: KeyRecent}, not(flagKey(`\Seen`))}} },
}

var texts = map[string]Key{"BCC": KeyBcc, "BODY": KeyBody, "CC": KeyCc, "FROM": KeyFrom, "SUBJECT": KeySubject, "TEXT": KeyText, "TO": KeyTo,
	"EMAILID": KeyEmailID, "THREADID": KeyThreadID}

var dates = map[string]Key{"BEFORE": KeyBefore, "ON": KeyOn, "SINCE": KeySince, "SENTBEFORE": KeySentBefore, "SENTON": KeySentOn, "SENTSINCE": KeySentSince}

// key takes one search key.
func (p *Parser) key(keys *int) *Search {
	if *keys++; *keys > maxKeys {
		p.Fail("That search has too many keys")
	}
	switch c := p.Peek(); {
	case c == '(':
		all := &Search{Key: KeyAnd}
		p.List(func() { all.Args = append(all.Args, p.key(keys)) })
		if len(all.Args) == 0 {
			p.Fail("A list of search keys is empty")
		}
		return all
	case startsSet(c):
		return &Search{Key: KeySeq, Set: p.Set()}
	}
	word := p.Word()
	if fn := plain[word]; fn != nil {
		return fn()
	}
	p.SP()
	if key, ok := texts[word]; ok {
		return &Search{Key: key, Text: p.AString()}
	}
	if key, ok := dates[word]; ok {
		return &Search{Key: key, Date: p.Date()}
	}
	return p.otherKey(word, keys)
}

func (p *Parser) otherKey(word string, keys *int) *Search {
	switch word {
	case "NOT":
		return p.deeper(func() *Search { return not(p.key(keys)) })
	case "OR":
		return p.deeper(func() *Search {
			a := p.key(keys)
			p.SP()
			return &Search{Key: KeyOr, Args: []*Search{a, p.key(keys)}}
		})
	case "UID":
		return &Search{Key: KeyUID, Set: p.Set()}
	case "KEYWORD":
		return flagKey(p.Atom())
	case "UNKEYWORD":
		return not(flagKey(p.Atom()))
	case "LARGER":
		return &Search{Key: KeyLarger, Number: p.Number64()}
	case "SMALLER":
		return &Search{Key: KeySmaller, Number: p.Number64()}
	case "HEADER":
		s := &Search{Key: KeyHeader, Field: p.AString()}
		p.SP()
		s.Text = p.AString()
		return s
	case "MODSEQ":
		return p.modSeqKey()
	}
	p.Fail("There is no search key %.40s", word)
	return &Search{}
}

// deeper counts NOT and OR as nesting: they hold others without parentheses.
func (p *Parser) deeper(fn func() *Search) *Search {
	if p.depth++; p.depth > p.limits.Nesting {
		p.Fail("Search keys lie too deep in each other")
		return &Search{}
	}
	defer func() { p.depth-- }()
	return fn()
}

// modSeqKey takes MODSEQ. RFC 7162, section 3.1.5: the name of a flag and its type may precede
// the number; a server that keeps one modseq for all of a message's data ignores them.
func (p *Parser) modSeqKey() *Search {
	if p.Peek() == '"' {
		p.quoted()
		p.SP()
		if word := p.Word(); word != "PRIV" && word != "SHARED" && word != "ALL" {
			p.Fail("There is no such type of metadata")
		}
		p.SP()
	}
	return &Search{Key: KeyModSeq, Number: p.Number64()}
}

// Find returns the first node with one of the keys, nil if there is none.
func (s *Search) Find(keys ...Key) *Search {
	for _, k := range keys {
		if s.Key == k {
			return s
		}
	}
	for _, a := range s.Args {
		if found := a.Find(keys...); found != nil {
			return found
		}
	}
	return nil
}
