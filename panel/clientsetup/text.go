package clientsetup

import (
	"strconv"
	"strings"
)

// Words are the labels of the text form in one language.
type Words struct {
	Address, Username, FullAddress string
	Incoming, Outgoing             string
	Host, Port, Security           string
	SendingNeedsLogin              string
	ImportCA                       string // before the file's name
	Broken                         string
}

// English are the words of the command line.
var English = Words{
	Address: "Address", Username: "User name", FullAddress: "User name is the full address",
	Incoming: "Incoming server", Outgoing: "Outgoing server",
	Host: "Server", Port: "Port", Security: "Security",
	SendingNeedsLogin: "Sending needs the same user name and password",
	ImportCA:          "Trial certificate: import this file into the mail client first",
	Broken:            "The server's certificate does not fit its name yet; no client should be set up before it does.",
}

// Text returns the settings as lines of "label: value" without any mark of direction, ready
// to be copied into a message.
func (s *Settings) Text(w Words) string {
	var b strings.Builder
	line := func(label, value string) { b.WriteString(label + ": " + value + "\n") }
	line(w.Address, s.Address)
	line(w.Username, s.Username)
	for _, l := range s.Lines {
		title := w.Incoming
		if l.Direction == Outgoing {
			title = w.Outgoing
		}
		b.WriteString("\n" + title + " (" + strings.ToUpper(string(l.Protocol)) + ")\n")
		line(w.Host, l.Host)
		line(w.Port, strconv.Itoa(l.Port))
		line(w.Security, l.Security.Words())
		line(w.Username, l.Username)
	}
	b.WriteString("\n")
	if s.Broken {
		b.WriteString(w.Broken + "\n")
		return b.String()
	}
	b.WriteString(w.FullAddress + "\n")
	if len(s.Outgoing()) > 0 {
		b.WriteString(w.SendingNeedsLogin + "\n")
	}
	if s.ImportCA != "" {
		line(w.ImportCA, s.ImportCA)
	}
	return b.String()
}
