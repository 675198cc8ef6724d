package dsn

import (
	"regexp"
	"strings"
)

// named is the address of a recipient as the sender knows it: ORCPT if there is one, which is what
// he has written to, also where somebody has led the message on since.
func (p *Recipient) named() string {
	kind, address, _ := strings.Cut(p.Original, ";")
	if address = strings.TrimSpace(address); address == "" || !strings.EqualFold(strings.TrimSpace(kind), "rfc822") {
		return p.Address
	}
	return address
}

// ledOn reports whether the message went on to an address that is not the sender's business. RFC
// 3461, section 5.2.7.4; RFC 3464, section 2.3.2: a report speaks of the recipient as the message
// came for him.
func (p *Recipient) ledOn() bool { return !p.Direct && !strings.EqualFold(p.named(), p.Address) }

// concealed is a recipient for the eyes of the sender: of one that was led on without the address
// and the host it went to, also where the other server's answer repeats them.
func (p *Recipient) concealed() *Recipient {
	if !p.ledOn() {
		return p
	}
	c := *p
	c.Address, c.Host = p.named(), ""
	var secrets []string
	for _, s := range []string{p.Address, p.Address[strings.LastIndexByte(p.Address, '@')+1:], p.Host} {
		if s = strings.ToValidUTF8(s, ""); s != "" { // a pattern must be UTF-8
			secrets = append(secrets, regexp.QuoteMeta(s))
		}
	}
	c.Text = regexp.MustCompile("(?i)"+strings.Join(secrets, "|")).ReplaceAllStringFunc(p.Text, func(said string) string {
		if strings.EqualFold(said, p.Address) {
			return c.Address
		}
		return "..."
	})
	return &c
}
