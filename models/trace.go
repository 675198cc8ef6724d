package models

// TraceQuery asks where messages are. What is set must fit; the zero value asks for the latest.
// At most one of Address, Domain, MessageID and ID is set.
type TraceQuery struct {
	Address   string // of the sender or a recipient; without a +tag those with one are found too
	Domain    string // of the sender or a recipient, A-label
	MessageID string // without angle brackets
	ID        ID     // of the envelope, of the item in the queue, or the one in our 250
	Subject   string // a part of it, in any writing
	MailboxID ID
	Direction string // "in", "out" or "" = both
	From, To  Micros // only events of From <= at < To; 0 = open
	Before    Micros // goes on where an earlier answer ended (Traces.Until)
	Limit     int    // messages; 0 = 20, at most 100
}

// Trace is what happened to one message, as far as the viewer may see it; or one refused attempt,
// with EnvelopeID 0.
type Trace struct {
	EnvelopeID ID      `json:"envelope_id,omitempty"`
	Events     []Event `json:"events"`         // oldest first
	More       bool    `json:"more,omitempty"` // there are more steps than are listed
}

// Traces are messages, the latest first.
type Traces struct {
	Items []Trace `json:"items"`
	// Until says how far back was looked: there may be more before it. 0 = nothing was left out.
	Until Micros `json:"until,omitempty"`
	// Oldest is the moment of the first event that is kept, of whoever; 0 = none, or it was not
	// asked for.
	Oldest Micros `json:"-"`
}
