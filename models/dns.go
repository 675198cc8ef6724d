package models

import "time"

// DNSVerdict is what a look at the DNS says of one record.
type DNSVerdict string

// The verdicts.
const (
	DNSOK        DNSVerdict = "ok"
	DNSMissing   DNSVerdict = "missing"
	DNSWrong     DNSVerdict = "wrong"      // something else is there
	DNSExtra     DNSVerdict = "extra"      // ours is there, and more than ought to be
	DNSPending   DNSVerdict = "pending"    // saved, but resolvers still know the old answer
	DNSUnknown   DNSVerdict = "unknown"    // could not be asked; says nothing about the record
	DNSNotNeeded DNSVerdict = "not_needed" // does not matter now
)

// DNSRecord is a record that a domain ought to have.
type DNSRecord struct {
	Purpose  string   `json:"purpose"` // key of the words under "dns.purpose."
	Group    string   `json:"group"`   // "proof", "receive", "trust", "setup" or "host"
	Type     string   `json:"type"`    // MX, TXT, CNAME, SRV, PTR
	Name     string   `json:"name"`    // relative to the domain; "@" = the domain itself
	FullName string   `json:"full_name"`
	Value    string   `json:"value"`             // on one line; of TXT the text without quotes
	Strings  []string `json:"strings,omitempty"` // of TXT: the text in pieces of at most 255 bytes
	Optional bool     `json:"optional,omitempty"`
	NotYet   bool     `json:"not_yet,omitempty"`  // of use only once the server has a certificate for the name
	Operator bool     `json:"operator,omitempty"` // belongs to the server, not to the domain
}

// DNSResult is a record and what is published now.
type DNSResult struct {
	DNSRecord
	Verdict DNSVerdict        `json:"verdict"`
	Found   []string          `json:"found,omitempty"` // what is published instead, or besides
	Notes   []string          `json:"notes,omitempty"` // keys of words under "dns.note."
	Args    map[string]string `json:"args,omitempty"`  // the values in those words
	TTL     int64             `json:"ttl,omitempty"`   // of pending: seconds until caches ask again

	CheckedAt Micros `json:"checked_at,omitempty"` // of this row alone, after the report; 0 = with it
}

// Needed reports whether the result keeps a domain from being all right.
func (r *DNSResult) Needed() bool {
	return !r.Optional && !r.Operator && !r.NotYet && r.Verdict != DNSNotNeeded
}

// DNSHealth sums a report up.
type DNSHealth string

// The states of a domain's DNS.
const (
	DNSHealthOK      DNSHealth = "ok"      // everything needed is right
	DNSHealthBad     DNSHealth = "bad"     // something needed is missing or wrong
	DNSHealthPending DNSHealth = "pending" // right, but not yet everywhere
	DNSHealthUnknown DNSHealth = "unknown" // never asked, or no answer
)

// DNSReport is all records of a domain with the verdicts of one look.
type DNSReport struct {
	Domain    string      `json:"domain"`
	Health    DNSHealth   `json:"health"`
	CheckedAt Micros      `json:"checked_at,omitempty"` // 0 = never
	Results   []DNSResult `json:"records"`
}

// Find returns the row of a record, nil if there is none.
func (r *DNSReport) Find(kind, fullName string) *DNSResult {
	for i := range r.Results {
		if row := &r.Results[i]; row.Type == kind && row.FullName == fullName {
			return row
		}
	}
	return nil
}

// Sum returns the health that the results amount to. What is wrong outweighs what could not
// be asked.
func (r *DNSReport) Sum() DNSHealth {
	health := DNSHealthOK
	for i := range r.Results {
		if !r.Results[i].Needed() {
			continue
		}
		switch r.Results[i].Verdict {
		case DNSMissing, DNSWrong, DNSExtra:
			return DNSHealthBad
		case DNSUnknown, "": // "" = not looked at yet
			health = DNSHealthUnknown
		case DNSPending:
			if health == DNSHealthOK {
				health = DNSHealthPending
			}
		}
	}
	return health
}

// DNSCheck is the last report of a domain as it is kept.
type DNSCheck struct {
	DomainID  ID        `gorm:"column:domain_id;primaryKey;autoIncrement:false"`
	Health    DNSHealth `gorm:"column:health"`
	Body      string    `gorm:"column:body"` // the report as JSON; "" = none yet
	CheckedAt Micros    `gorm:"column:checked_at"`
	DueAt     Micros    `gorm:"column:due_at"`  // when a job looks again
	Since     Micros    `gorm:"column:since"`   // of this health
	ToldAt    Micros    `gorm:"column:told_at"` // the owner was told that all is right; 0 = not since it was wrong
}

// TableName names the table.
func (DNSCheck) TableName() string { return "dns_checks" }

// NextDNSCheck returns when a domain is looked at again: every minute for 15 minutes after its
// health changed, then hourly for 2 days, then daily; daily too once all is right.
func NextDNSCheck(health DNSHealth, since, now Micros) Micros {
	wait := 24 * time.Hour
	if age := now.Time().Sub(since.Time()); health != DNSHealthOK {
		switch {
		case age < 15*time.Minute:
			wait = time.Minute
		case age < 48*time.Hour:
			wait = time.Hour
		}
	}
	return At(now.Time().Add(wait))
}
