package wire

import "strings"

// StatusItem is a data item of STATUS.
type StatusItem uint16

// The items: RFC 9051, section 6.3.11, RFC 3501 (RECENT), RFC 7162, RFC 7889, RFC 8438, RFC 8474,
// RFC 9208.
const (
	StatusMessages StatusItem = 1 << iota
	StatusRecent
	StatusUIDNext
	StatusUIDValidity
	StatusUnseen
	StatusDeleted
	StatusSize
	StatusHighestModSeq
	StatusMailboxID
	StatusAppendLimit
	StatusDeletedStorage
)

// StatusNames are the items in the order in which they are answered.
var StatusNames = []struct {
	Item StatusItem
	Name string
}{
	{StatusMessages, "MESSAGES"}, {StatusRecent, "RECENT"}, {StatusUIDNext, "UIDNEXT"}, {StatusUIDValidity, "UIDVALIDITY"},
	{StatusUnseen, "UNSEEN"}, {StatusDeleted, "DELETED"}, {StatusSize, "SIZE"}, {StatusHighestModSeq, "HIGHESTMODSEQ"},
	{StatusMailboxID, "MAILBOXID"}, {StatusAppendLimit, "APPENDLIMIT"}, {StatusDeletedStorage, "DELETED-STORAGE"},
}

// StatusItems takes the parenthesized items of STATUS.
func (p *Parser) StatusItems() (items StatusItem) {
	p.List(func() {
		word := p.Word()
		for _, s := range StatusNames {
			if s.Name == word {
				items |= s.Item
				return
			}
		}
		p.Fail("STATUS has no item %.40s", word)
	})
	if items == 0 {
		p.Fail("STATUS needs an item")
	}
	return items
}

// List is the arguments of LIST: RFC 9051, section 6.3.9, RFC 5258, RFC 5819, RFC 6154.
type List struct {
	// What is selected.
	Subscribed, Remote, RecursiveMatch, SpecialUse bool
	// What is returned besides.
	ReturnSubscribed, ReturnChildren, ReturnSpecialUse bool
	Status                                             StatusItem // 0 = none

	Extended  bool // the form is not that of RFC 3501
	Reference string
	Patterns  []string
}

// maxPatterns is the most patterns of one LIST.
const maxPatterns = 100

// ListCommand takes the arguments of LIST, behind the space.
func (p *Parser) ListCommand() *List {
	l := &List{}
	if p.Peek() == '(' {
		l.Extended = true
		p.List(func() { p.selectOption(l) })
		if l.RecursiveMatch && !l.Subscribed && !l.SpecialUse {
			p.Fail("RECURSIVEMATCH needs another option") // RFC 5258, section 3.1
		}
		p.SP()
	}
	l.Reference = p.Mailbox()
	p.SP()
	if p.Peek() == '(' {
		l.Extended = true
		p.List(func() { l.Patterns = append(l.Patterns, p.ListMailbox()) })
		if len(l.Patterns) > maxPatterns {
			p.Fail("That is too many patterns")
		}
	} else {
		l.Patterns = []string{p.ListMailbox()}
	}
	if p.Accept(' ') {
		l.Extended = true
		if !strings.EqualFold(p.Atom(), "RETURN") {
			p.Fail("RETURN was expected")
		}
		p.SP()
		p.List(func() { p.returnOption(l) })
	}
	return l
}

func (p *Parser) selectOption(l *List) {
	switch word := p.Word(); word {
	case "SUBSCRIBED":
		l.Subscribed, l.ReturnSubscribed = true, true
	case "REMOTE":
		l.Remote = true
	case "RECURSIVEMATCH":
		l.RecursiveMatch = true
	case "SPECIAL-USE":
		l.SpecialUse, l.ReturnSpecialUse = true, true
	default:
		p.Fail("LIST has no selection option %.40s", word)
	}
}

func (p *Parser) returnOption(l *List) {
	switch word := p.Word(); word {
	case "SUBSCRIBED":
		l.ReturnSubscribed = true
	case "CHILDREN":
		l.ReturnChildren = true
	case "SPECIAL-USE":
		l.ReturnSpecialUse = true
	case "STATUS":
		p.SP()
		l.Status = p.StatusItems()
	default:
		p.Fail("LIST has no return option %.40s", word)
	}
}

// Select is the parameters of SELECT and EXAMINE (RFC 7162).
type Select struct {
	CondStore bool
	QResync   *QResync
}

// QResync is what a client knows of a mailbox: RFC 7162, section 3.2.5.
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	Known       []Range // UIDs; nil = all
	SeqMatch    bool    // message numbers with their UIDs follow
	Seqs, UIDs  []Range
}

// SelectParameters takes the parameters behind the name, if there are any.
func (p *Parser) SelectParameters() (s Select) {
	if !p.Accept(' ') {
		return s
	}
	p.List(func() {
		switch word := p.Word(); word {
		case "CONDSTORE":
			s.CondStore = true
		case "QRESYNC":
			p.SP()
			s.QResync = p.qresync()
		default:
			p.Fail("SELECT has no parameter %.40s", word)
		}
	})
	return s
}

func (p *Parser) qresync() *QResync {
	q := &QResync{}
	p.Open()
	q.UIDValidity = p.NzNumber()
	p.SP()
	q.ModSeq = p.Number64()
	if p.Accept(' ') && p.Peek() != '(' {
		q.Known = p.KnownUIDs()
		if !p.Accept(' ') {
			p.Close()
			return q
		}
	}
	if p.Peek() == '(' {
		p.Open()
		q.SeqMatch = true
		q.Seqs = p.KnownUIDs()
		p.SP()
		q.UIDs = p.KnownUIDs()
		p.Close()
	}
	p.Close()
	return q
}

// Store is the arguments of STORE behind the set.
type Store struct {
	Mode           StoreMode
	Silent         bool
	Conditional    bool // there is an UNCHANGEDSINCE
	UnchangedSince uint64
	Flags          []string
}

// StoreMode says what STORE does with the flags it names.
type StoreMode uint8

// The modes.
const (
	StoreAdd StoreMode = iota
	StoreRemove
	StoreReplace
)

// Store takes the arguments of STORE behind the set and its space.
func (p *Parser) Store() (s Store) {
	if p.Peek() == '(' {
		p.List(func() {
			if p.Word() != "UNCHANGEDSINCE" {
				p.Fail("STORE has no such modifier")
			}
			p.SP()
			s.Conditional, s.UnchangedSince = true, p.Number64()
		})
		p.SP()
	}
	switch {
	case p.Accept('+'):
		s.Mode = StoreAdd
	case p.Accept('-'):
		s.Mode = StoreRemove
	default:
		s.Mode = StoreReplace
	}
	switch p.Word() {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Silent = true
	default:
		p.Fail("STORE has no such item")
	}
	p.SP()
	s.Flags = p.StoreFlags()
	return s
}
