// Package filter asks others whether a message is welcome: lists of addresses in the DNS
// (DNSBL, RFC 5782) and rspamd over HTTP. Each filter is one implementation of Filter; a Chain
// runs them all, each with its own time and its own answer to the question what happens when
// it fails. Greylisting, milters and virus scanners plug in here as further implementations.
package filter

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Message is what filters see: a message that has come whole and is not yet accepted.
type Message struct {
	ID         string          // of the message here, for logs of both sides
	Remote     netip.Addr      // of the client
	HELO       string          // as the client said it
	Sender     address.Address // of MAIL FROM; zero for <>
	Recipients []string        // of RCPT
	Body       io.ReaderAt     // the message as it came, header included
	Size       int64           // of Body
	Verify     *verify.Result  // nil if nothing was verified
}

// Verdict is what is to be done with a message.
type Verdict struct {
	Junk    bool          // into the Junk folder
	Refuse  *models.Error // not nil = refused at once: kind Denied for good (550), Limited for now (451)
	Fields  []byte        // header fields to put in front of the message, CRLF ended
	Summary string        // "dnsbl=listed rspamd=12.3", for events; "" if nothing was asked
}

// Filter is one opinion.
type Filter interface {
	// Name is one word, for logs and summaries.
	Name() string
	// Check gives an opinion. An error means that there is none, whatever its kind.
	Check(ctx context.Context, m *Message) (Verdict, error)
}

// Entry is a filter in a chain.
type Entry struct {
	Filter  Filter
	Timeout time.Duration // 0 = 10 s
	Closed  bool          // without an opinion the message is put off (451); else it goes on
}

// Chain is a list of filters. The zero value asks nobody. Its methods may be called from any
// number of goroutines.
type Chain struct {
	Entries []Entry
	Log     *slog.Logger // nil = none
}
