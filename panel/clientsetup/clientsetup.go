// Package clientsetup holds the one settings model of a mailbox: which host, port, security
// and user name a mail client needs. The set-up page, the settings command in text and JSON,
// and later autoconfig, profiles and QR codes are all renderings of it, so that they cannot
// disagree. No number of a port is written anywhere else.
package clientsetup

import (
	"cmp"
	"slices"
)

// Protocol is what a client speaks on a line.
type Protocol string

// The protocols of mail clients, in the order in which they are offered.
const (
	IMAP Protocol = "imap"
	POP3 Protocol = "pop3"
	SMTP Protocol = "smtp"
)

// Security is how a connection is protected. There is no name for "not at all": such a line
// is never offered.
type Security string

// The two ways. Implicit TLS is offered first (RFC 8314, section 3).
const (
	TLS      Security = "tls"      // from the first byte
	StartTLS Security = "starttls" // after a command in clear
)

// Words returns the label that mail clients themselves use in their dialogues; it is the
// same in every language.
func (s Security) Words() string {
	if s == TLS {
		return "SSL/TLS"
	}
	return "STARTTLS"
}

// Listener is a door of the server that exists, is switched on and answers.
type Listener struct {
	Protocol Protocol
	Security Security
	Port     int // the port a client must use, as it is bound now
}

// Trust says what a mail client will think of the server's certificate.
type Trust int

// The states of a certificate.
const (
	TrustPublic Trust = iota // valid for Host: in date, complete chain to an authority that clients know
	TrustTrial               // of the development authority: clients must import CAFile first
	TrustBroken              // not valid for Host; settings with this name would not work
)

// Server is what the running server offers to mail clients.
type Server struct {
	Host      string // as in the certificate, an A-label
	Listeners []Listener
	Trust     Trust
	CAFile    string // with TrustTrial: the file to import, for example "data/ca.pem"
}

// Input is all that the settings of one mailbox follow from.
type Input struct {
	Server
	Address string // of the mailbox, normalized; it is the user name too
}

// Direction tells the two halves of every client's dialogue apart.
type Direction string

// The directions.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// Line is one way to reach the server.
type Line struct {
	Direction Direction `json:"direction"`
	Protocol  Protocol  `json:"protocol"`
	Host      string    `json:"host"`
	Port      int       `json:"port"`
	Security  Security  `json:"security"`
	Username  string    `json:"username"`
	Preferred bool      `json:"preferred"` // the first of its direction
}

// ID names the line within its settings: "pop3-tls".
func (l Line) ID() string { return string(l.Protocol) + "-" + string(l.Security) }

// Settings are what a mail client needs to know of a mailbox, but for the password.
type Settings struct {
	Address  string `json:"address"`
	Username string `json:"username"` // the full address, always
	Lines    []Line `json:"servers"`
	// SendingNeedsLogin: sending asks for the same user name and password as reading. It is
	// true of every line there is, and said because many clients leave it out.
	SendingNeedsLogin bool   `json:"sending_needs_login"`
	ImportCA          string `json:"import_ca,omitempty"` // file of the trial authority that clients must import
	// Broken: the certificate does not fit the host name. Lines is empty then, since a
	// client that follows them would be refused or taught to click warnings away.
	Broken bool `json:"certificate_broken,omitempty"`
}

// New returns the settings of a mailbox: IMAP before POP3, incoming before outgoing, implicit
// TLS before STARTTLS, each listener once.
func New(in Input) *Settings {
	s := &Settings{Address: in.Address, Username: in.Address, Lines: []Line{}, SendingNeedsLogin: true}
	switch in.Trust {
	case TrustTrial:
		s.ImportCA = in.CAFile
	case TrustBroken:
		s.Broken = true
		return s
	}
	for _, l := range in.Listeners {
		s.Lines = append(s.Lines, Line{
			Direction: direction(l.Protocol), Protocol: l.Protocol, Host: in.Host,
			Port: l.Port, Security: l.Security, Username: in.Address,
		})
	}
	slices.SortStableFunc(s.Lines, compare)
	s.Lines = slices.Compact(s.Lines)
	for i := range s.Lines {
		s.Lines[i].Preferred = i == 0 || s.Lines[i-1].Direction != s.Lines[i].Direction
	}
	return s
}

// Incoming returns the lines for reading mail.
func (s *Settings) Incoming() []Line { return s.of(Incoming) }

// Outgoing returns the lines for sending mail.
func (s *Settings) Outgoing() []Line { return s.of(Outgoing) }

func (s *Settings) of(d Direction) []Line {
	var lines []Line
	for _, l := range s.Lines {
		if l.Direction == d {
			lines = append(lines, l)
		}
	}
	return lines
}

func direction(p Protocol) Direction {
	if p == SMTP {
		return Outgoing
	}
	return Incoming
}

var (
	protocolOrder = []Protocol{IMAP, POP3, SMTP}
	securityOrder = []Security{TLS, StartTLS}
)

func compare(a, b Line) int {
	return cmp.Or(
		cmp.Compare(slices.Index(protocolOrder, a.Protocol), slices.Index(protocolOrder, b.Protocol)),
		cmp.Compare(slices.Index(securityOrder, a.Security), slices.Index(securityOrder, b.Security)),
		cmp.Compare(a.Port, b.Port),
	)
}
