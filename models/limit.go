package models

// SendingLimits are how many recipients outside this server may be written to, by the hour and
// the day of UTC. 0 = no limit.
type SendingLimits struct {
	MailboxHour, MailboxDay int64
	DomainHour, DomainDay   int64
}

// Period is the span that a limit counts.
type Period string

// The periods of limits; their names are in the database.
const (
	PeriodHour Period = "hour"
	PeriodDay  Period = "day"
)

// Micros returns the period's length.
func (p Period) Micros() Micros {
	if p == PeriodDay {
		return 24 * 3600 * 1e6
	}
	return 3600 * 1e6
}

// Start returns the beginning of the period that a moment is in.
func (p Period) Start(at Micros) Micros { return at - at%p.Micros() }

// LimitUse is one sending limit with what of it is used.
type LimitUse struct {
	Subject string `json:"subject"` // "mailbox" or "domain"
	ID      ID     `json:"-"`
	Period  Period `json:"period"`
	Limit   int64  `json:"limit"` // 0 = none
	Used    int64  `json:"used"`
	Resets  Micros `json:"resets"` // when Used is 0 again
}

// Key names the limit in words and settings: mailbox_hour, mailbox_day, domain_hour, domain_day.
func (u *LimitUse) Key() string { return u.Subject + "_" + string(u.Period) }

// Room reports whether n more recipients fit.
func (u *LimitUse) Room(n int64) bool { return u.Limit == 0 || u.Used+n <= u.Limit }

// Sent is how many recipients outside this server domains wrote to since the day of UTC began.
type Sent struct {
	Today   int64 `json:"today"`   // all of them
	Busiest int64 `json:"busiest"` // the domain with the most
}

// Uses returns the limits of a mailbox and its domain at a moment, nothing used, in the order in
// which they are always counted.
func (l SendingLimits) Uses(mailbox, domain ID, now Micros) []LimitUse {
	uses := []LimitUse{
		{Subject: "mailbox", ID: mailbox, Period: PeriodHour, Limit: l.MailboxHour},
		{Subject: "mailbox", ID: mailbox, Period: PeriodDay, Limit: l.MailboxDay},
		{Subject: "domain", ID: domain, Period: PeriodHour, Limit: l.DomainHour},
		{Subject: "domain", ID: domain, Period: PeriodDay, Limit: l.DomainDay},
	}
	for i := range uses {
		uses[i].Resets = uses[i].Period.Start(now) + uses[i].Period.Micros()
	}
	return uses
}

// Limited is the error of a limit that n more recipients would pass: it names the limit, what is
// used and when it will do.
func (u *LimitUse) Limited() *Error {
	who := "This mailbox"
	if u.Subject == "domain" {
		who = "The domain of this mailbox"
	}
	reset := u.Resets.Time().UTC().Format("15:04 on 2 January")
	return Errorf(Limited, "limit."+u.Key(), "%s may write to %d recipients outside this server in one %s; %d are counted already. Try again after %s (UTC).",
		who, u.Limit, u.Period, u.Used, reset).With("limit", u.Limit).With("used", u.Used).With("reset", u.Resets)
}
