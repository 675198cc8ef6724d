package mime

import (
	"bytes"
	"strconv"
)

// AppendIMAP appends the envelope as IMAP has it, parentheses included. RFC 3501 section 7.4.2: an absent Sender or Reply-To
// is From; a missing local part or domain gets the words that other servers use, since NIL would mean a group.
func (e *Envelope) AppendIMAP(dst []byte) []byte {
	dst = append(dst, '(')
	dst = append(appendNString(dst, e.Date), ' ')
	dst = append(appendNString(dst, e.Subject), ' ')
	sender, replyTo := e.Sender, e.ReplyTo
	if len(sender) == 0 {
		sender = e.From
	}
	if len(replyTo) == 0 {
		replyTo = e.From
	}
	for _, list := range [6][]Address{e.From, sender, replyTo, e.To, e.Cc, e.Bcc} {
		dst = append(appendAddressList(dst, list), ' ')
	}
	dst = append(appendNString(dst, e.InReplyTo), ' ')
	return append(appendNString(dst, e.MessageID), ')')
}

func appendAddressList(dst []byte, list []Address) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range list {
		x := &list[i]
		dst = append(appendNString(append(dst, '('), x.Name), ' ')
		dst = append(appendNString(dst, x.Route), ' ')
		dst = append(appendOr(dst, x.Mailbox, "MISSING_MAILBOX"), ' ')
		dst = append(appendOr(dst, x.Host, "MISSING_DOMAIN"), ')')
	}
	return append(dst, ')')
}

// appendOr appends s, or other if s is present but empty.
func appendOr(dst, s []byte, other string) []byte {
	if s != nil && len(s) == 0 {
		return append(append(append(dst, '"'), other...), '"')
	}
	return appendNString(dst, s)
}

// appendNString appends nstring of RFC 3501 section 9: NIL, a quoted string, or a literal where a quoted string cannot hold
// the bytes. NUL, which no string may hold, becomes U+FFFD.
func appendNString(dst, s []byte) []byte {
	if s == nil {
		return append(dst, "NIL"...)
	}
	for _, c := range s {
		if c < ' ' || c >= 0x7f {
			return appendLiteral(dst, s)
		}
	}
	dst = append(dst, '"')
	for {
		i := bytes.IndexAny(s, `"\`)
		if i < 0 {
			return append(append(dst, s...), '"')
		}
		dst = append(append(append(dst, s[:i]...), '\\'), s[i])
		s = s[i+1:]
	}
}

func appendLiteral(dst, s []byte) []byte {
	nuls := bytes.Count(s, []byte{0})
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, int64(len(s)+2*nuls), 10)
	dst = append(dst, "}\r\n"...)
	for ; nuls > 0; nuls-- {
		i := bytes.IndexByte(s, 0)
		dst = append(append(dst, s[:i]...), "\ufffd"...)
		s = s[i+1:]
	}
	return append(dst, s...)
}

// AppendBodyStructure appends BODYSTRUCTURE, or BODY without the extension data, of the tree below p, as IMAP4rev1 has it
// (RFC 3501 section 7.4.2).
func (p *Part) AppendBodyStructure(dst []byte, extended bool) []byte {
	return bodyStructure{extended: extended}.append(dst, p)
}

// AppendBodyStructureRev2 does the same for a client that enabled IMAP4rev2: message/global has envelope and structure
// like message/rfc822 (RFC 9051 section 7.5.2), which an older client would not expect.
func (p *Part) AppendBodyStructureRev2(dst []byte, extended bool) []byte {
	return bodyStructure{extended: extended, rev2: true}.append(dst, p)
}

type bodyStructure struct{ extended, rev2 bool }

func (s bodyStructure) append(dst []byte, p *Part) []byte {
	dst = append(dst, '(')
	if p.kind == multipart {
		dst = s.appendMultipart(dst, p)
	} else {
		dst = s.appendSingle(dst, p)
	}
	return append(dst, ')')
}

// emptyText stands for the part that a multipart without any must show: the grammar wants one.
const emptyText = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0`

func (s bodyStructure) appendMultipart(dst []byte, p *Part) []byte {
	for _, c := range p.Children {
		dst = s.append(dst, c)
	}
	if len(p.Children) == 0 {
		dst = append(dst, emptyText...)
		if s.extended {
			dst = append(dst, " NIL NIL NIL NIL"...)
		}
		dst = append(dst, ')')
	}
	dst = appendNString(append(dst, ' '), p.Subtype)
	if !s.extended {
		return dst
	}
	dst = appendParamList(append(dst, ' '), p.Params, false)
	return appendExtension(dst, p)
}

func (s bodyStructure) appendSingle(dst []byte, p *Part) []byte {
	text := foldedIs(p.Type, "text")
	dst = append(appendNString(dst, p.Type), ' ')
	dst = append(appendNString(dst, p.Subtype), ' ')
	dst = append(appendParamList(dst, p.Params, text), ' ')
	dst = append(appendNString(dst, p.ID), ' ')
	dst = append(appendNString(dst, p.Description), ' ')
	if len(p.Encoding) == 0 {
		dst = append(dst, `"7bit" `...)
	} else {
		dst = append(appendNString(dst, p.Encoding), ' ')
	}
	dst = strconv.AppendInt(dst, p.Size, 10)
	switch {
	case p.kind == message && (s.rev2 || foldedIs(p.Subtype, "rfc822")):
		dst = p.Envelope.AppendIMAP(append(dst, ' '))
		dst = s.append(append(dst, ' '), p.Children[0])
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	case text:
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	}
	if !s.extended {
		return dst
	}
	dst = appendNString(append(dst, ' '), p.MD5)
	return appendExtension(dst, p)
}

// appendParamList appends body-fld-param. A text without charset is said to be us-ascii (RFC 2046 section 4.1.2).
func appendParamList(dst []byte, params []Param, text bool) []byte {
	if text {
		_, given := lookup(params, "charset")
		text = !given
	}
	if len(params) == 0 && !text {
		return append(dst, "NIL"...)
	}
	sep := byte('(')
	for _, x := range params {
		dst = append(appendNString(append(dst, sep), x.Name), ' ')
		dst = appendNString(dst, x.Value)
		sep = ' '
	}
	if text {
		dst = append(append(dst, sep), `"charset" "us-ascii"`...)
	}
	return append(dst, ')')
}

// appendExtension appends disposition, language and location, each after a space.
func appendExtension(dst []byte, p *Part) []byte {
	if p.Disposition == nil {
		dst = append(dst, " NIL"...)
	} else {
		dst = append(appendNString(append(dst, " ("...), p.Disposition), ' ')
		dst = append(appendParamList(dst, p.DispositionParams, false), ')')
	}
	if len(p.Language) == 0 {
		dst = append(dst, " NIL"...)
	} else {
		sep := " ("
		for _, s := range p.Language {
			dst = appendNString(append(dst, sep...), s)
			sep = " "
		}
		dst = append(dst, ')')
	}
	return appendNString(append(dst, ' '), p.Location)
}
