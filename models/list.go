package models

// Scope is what a viewer may see. The zero value sees nothing. Every query of the store that
// answers a person takes one.
type Scope struct {
	all      bool
	customer ID
	mailbox  ID
}

// Everything is the scope of administrators, of the command line and of jobs.
func Everything() Scope { return Scope{all: true} }

// OfCustomer is the scope of one customer's users; id 0 sees nothing.
func OfCustomer(id ID) Scope { return Scope{customer: id} }

// OfMailbox is the scope of a mailbox's owner; id 0 sees nothing. A query that knows nothing
// of mailboxes finds nothing in it: Customer is 0.
func OfMailbox(id ID) Scope { return Scope{mailbox: id} }

// All reports whether the scope has no limit.
func (s Scope) All() bool { return s.all }

// Customer returns the customer the scope is limited to; 0, which no customer has, when the
// scope sees nothing.
func (s Scope) Customer() ID { return s.customer }

// Mailbox returns the mailbox the scope is limited to; 0 if it is not limited to one.
func (s Scope) Mailbox() ID { return s.mailbox }

// Sees reports whether what belongs to this customer is in the scope.
func (s Scope) Sees(customer ID) bool { return s.all || s.customer != 0 && s.customer == customer }

// The sizes of pages of lists.
const (
	PageSize    = 50  // when a query names none
	MaxPageSize = 500 // more is cut to this
)

// Query asks for one page of a list. The zero value is its first page in its usual order.
type Query struct {
	Search     string // words that must all occur, without regard to case and to forms of letters
	Sort       string // name of a column; what a list does not know is its usual order
	Desc       bool
	Page, Size int // from 1; 0 = 1 and PageSize
	CustomerID ID  // 0 = all in the viewer's scope
	DomainID   ID  // 0 = all
	Bin        bool
	State      MailboxState // of mailboxes; "" = all
}

// Window returns size and offset of the page asked for.
func (q Query) Window() (size, offset int) {
	size = q.Size
	if size <= 0 {
		size = PageSize
	}
	size = min(size, MaxPageSize)
	return size, (max(q.Page, 1) - 1) * size
}

// MailboxState is a filter of the list of mailboxes.
type MailboxState string

// The states that can be filtered for.
const (
	StateActive    MailboxState = "active"    // no switch is off
	StateSuspended MailboxState = "suspended" // at least one switch is off
	StateFull      MailboxState = "full"      // no byte or message is left
)

// Page is one page of a list.
type Page[T any] struct {
	Items []T   `json:"items"`
	Total int64 `json:"total"` // over all pages
	Page  int   `json:"page"`  // from 1
	Size  int   `json:"size"`  // of a full page
	Pages int   `json:"pages"` // 0 when nothing matches
}

// NewPage makes the page that q asked for.
func NewPage[T any](q Query, items []T, total int64) Page[T] {
	size, _ := q.Window()
	return Page[T]{Items: items, Total: total, Page: max(q.Page, 1), Size: size, Pages: int((total + int64(size) - 1) / int64(size))}
}

// DomainRow is a domain as lists show it.
type DomainRow struct {
	Domain
	Customer  string `json:"customer"`  // name
	Mailboxes int64  `json:"mailboxes"` // bin not included
	Used      int64  `json:"used"`      // bytes, bin not included
	Allocated int64  `json:"allocated"` // bytes of quotas given out, bin included

	DNS DNSHealth `gorm:"-" json:"dns"` // at the last look
}

// MailboxRow is a mailbox as lists show it.
type MailboxRow struct {
	Mailbox
	Usage        MailboxUsage `json:"usage"`
	LastLogin    Micros       `json:"last_login,omitempty"` // last that succeeded; 0 = never
	LastProtocol Protocol     `json:"last_protocol,omitempty"`
	Domain       string       `json:"domain"`   // name
	Customer     string       `json:"customer"` // name
}

// Full reports whether nothing more can be delivered.
func (r *MailboxRow) Full() bool {
	return r.QuotaBytes > 0 && r.Usage.Bytes >= r.QuotaBytes || r.QuotaMessages > 0 && r.Usage.Messages >= r.QuotaMessages
}

// EventQuery asks for the trace, newest first.
type EventQuery struct {
	MailboxID ID     // 0 = all in the viewer's scope
	Before    Micros // only older ones; 0 = from now
	Limit     int    // 0 = PageSize, at most MaxPageSize
}

// Totals add up what a viewer has.
type Totals struct {
	Customers int64 `json:"customers"`
	Domains   int64 `json:"domains"`
	Mailboxes int64 `json:"mailboxes"` // bin not included
	Bin       int64 `json:"bin"`
	Used      int64 `json:"used"`      // bytes, bin included
	Allocated int64 `json:"allocated"` // bytes of quotas given out, bin included
}

// BlockedMailbox is a network that may not try a mailbox's passwords now.
type BlockedMailbox struct {
	Address string
	Network string
	Until   Micros `gorm:"column:blocked_until"`
}
