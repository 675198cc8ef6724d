package models

// Route is where mail for one address goes now: the leaves that its aliases, groups and forwards
// lead to, each once. It is shared by those who ask at the same time and must not be changed.
type Route struct {
	Address    string // normalized, as given, plus tag included
	DomainID   ID     // of the address
	CustomerID ID     // of that domain
	DMARCObey  DMARCObey

	Local  []Recipient // mailboxes here
	Remote []Remote    // addresses elsewhere
	Steps  []RouteStep // how it was found; filled for explanations only
}

// MaxRouteDepth and MaxRouteTargets bound what one address may lead to.
const (
	MaxRouteDepth   = 10    // aliases behind aliases
	MaxRouteTargets = 1_000 // targets looked at
)

// RemoteKind says who leads mail to an address elsewhere.
type RemoteKind string

// The kinds of addresses elsewhere.
const (
	RemoteDirect  RemoteKind = "direct"  // the sender has named it
	RemoteAlias   RemoteKind = "alias"   // an alias; the sender hears of failures
	RemoteGroup   RemoteKind = "group"   // a group; its domain's postmaster hears of failures
	RemoteForward RemoteKind = "forward" // a mailbox
	RemoteReturn  RemoteKind = "return"  // a bounce goes on to whom we have forwarded for (SRS)
)

// Remote is an address on another server that mail goes on to.
type Remote struct {
	Address string // as in RCPT, local part quoted where needed
	Domain  string // A-label
	Kind    RemoteKind

	// Who leads there; zero values for RemoteDirect.
	Via        string // address of the alias or mailbox
	ViaDomain  string
	MailboxID  ID // of RemoteForward
	DomainID   ID
	CustomerID ID
	Language   string // of the words to its owner

	Optional bool // a member of a group: without it the message still goes to the others
}

// RouteStepKind says what was found at one address.
type RouteStepKind string

// The kinds of steps.
const (
	StepMailbox     RouteStepKind = "mailbox"      // To is the mailbox's own address
	StepForwardOnly RouteStepKind = "forward_only" // a mailbox that keeps nothing of what it forwards
	StepAlias       RouteStepKind = "alias"
	StepGroup       RouteStepKind = "group"
	StepDomainAlias RouteStepKind = "domain_alias" // To is the address in the other domain
	StepRole        RouteStepKind = "role"         // postmaster or abuse; To is who reads it
	StepCatchAll    RouteStepKind = "catch_all"    // To is where it goes
	StepOutside     RouteStepKind = "outside"      // goes to another server
	StepUnverified  RouteStepKind = "unverified"   // would, but its owner has not agreed: left out
	StepOff         RouteStepKind = "off"          // an alias or mailbox that takes no mail, with Reason
	StepUnknown     RouteStepKind = "unknown"      // there is no such address: left out
	StepSeen        RouteStepKind = "seen"         // was met before: a loop or a second way, left out
	StepTooMuch     RouteStepKind = "too_much"     // over MaxRouteDepth or MaxRouteTargets
)

// RouteStep is one line of the explanation of a route.
type RouteStep struct {
	Depth   int           `json:"depth"` // 0 = the address asked for
	Address string        `json:"address"`
	Kind    RouteStepKind `json:"kind"`
	To      string        `json:"to,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}
