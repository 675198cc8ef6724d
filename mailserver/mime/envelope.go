package mime

// Envelope is what IMAP calls so (RFC 3501 section 7.4.2): the fields as they stand in the header, unfolded, still in their
// RFC 2047 encoding. nil means that the field is absent; a present and empty one is not nil. Of a field that occurs twice
// the first counts, but address fields are read as one list. Sender and ReplyTo are what the header says; AppendIMAP puts
// From in their place where they are empty.
type Envelope struct {
	Date, Subject                      []byte
	From, Sender, ReplyTo, To, Cc, Bcc []Address
	InReplyTo, MessageID               []byte
}

func (e *Envelope) lists() [6]*[]Address {
	return [6]*[]Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc}
}

// field takes one header field if it belongs to an envelope.
func (e *Envelope) field(name, value []byte, a *arena, budget *int) {
	switch len(name) {
	case 2:
		if foldedIs(name, "to") {
			e.To = parseAddresses(e.To, value, a, budget)
		} else if foldedIs(name, "cc") {
			e.Cc = parseAddresses(e.Cc, value, a, budget)
		}
	case 3:
		if foldedIs(name, "bcc") {
			e.Bcc = parseAddresses(e.Bcc, value, a, budget)
		}
	case 4:
		if foldedIs(name, "from") {
			e.From = parseAddresses(e.From, value, a, budget)
		} else if e.Date == nil && foldedIs(name, "date") {
			e.Date = a.unfolded(value, false)
		}
	case 6:
		if foldedIs(name, "sender") {
			e.Sender = parseAddresses(e.Sender, value, a, budget)
		}
	case 7:
		if e.Subject == nil && foldedIs(name, "subject") {
			e.Subject = a.unfolded(value, true)
		}
	case 8:
		if foldedIs(name, "reply-to") {
			e.ReplyTo = parseAddresses(e.ReplyTo, value, a, budget)
		}
	case 10:
		if e.MessageID == nil && foldedIs(name, "message-id") {
			e.MessageID = a.unfolded(value, false)
		}
	case 11:
		if e.InReplyTo == nil && foldedIs(name, "in-reply-to") {
			e.InReplyTo = a.unfolded(value, false)
		}
	}
}

// fixedFields is what the four texts of an envelope may take at most, with their lengths.
const fixedFields = 4 * (MaxValue + 4)

// append appends the encoding without a version. Address lists are cut where it would pass room bytes.
func (e *Envelope) append(dst []byte, room int) []byte {
	for _, s := range [4][]byte{e.Date, e.Subject, e.InReplyTo, e.MessageID} {
		dst = appendText(dst, s)
	}
	limit := len(dst) + room - fixedFields
	for _, list := range e.lists() {
		dst = appendAddresses(dst, *list, limit)
	}
	return dst
}

// appendAddresses appends the number of addresses that fit and then these.
func appendAddresses(dst []byte, list []Address, limit int) []byte {
	size, n := len(dst)+3, 0
	for _, x := range list {
		size += len(x.Name) + len(x.Route) + len(x.Mailbox) + len(x.Host) + 16
		if size > limit {
			break
		}
		n++
	}
	dst = appendUint(dst, uint64(n))
	for _, x := range list[:n] {
		dst = appendText(appendText(appendText(appendText(dst, x.Name), x.Route), x.Mailbox), x.Host)
	}
	return dst
}

// Encode returns the versioned encoding, at most MaxEnvelope bytes.
func (e *Envelope) Encode() []byte { return e.append([]byte{Version}, MaxEnvelope) }

// DecodeEnvelope reads what Encode wrote. The texts share memory with b. Any other bytes give ErrCorrupt or, for another
// version, ErrVersion.
func DecodeEnvelope(b []byte) (*Envelope, error) {
	d := decoder{b: b}
	if err := d.version(); err != nil {
		return nil, err
	}
	e := &Envelope{}
	d.envelope(e)
	return e, d.finish()
}

func (d *decoder) envelope(e *Envelope) {
	e.Date, e.Subject, e.InReplyTo, e.MessageID = d.text(), d.text(), d.text(), d.text()
	for _, list := range e.lists() {
		n := d.count(4)
		if n == 0 {
			continue
		}
		*list = make([]Address, n)
		for i := range *list {
			(*list)[i] = Address{d.text(), d.text(), d.text(), d.text()}
		}
	}
}
