package mime

import "bytes"

// entity reads a header and a body into p and returns what ended it. env is where the fields of an envelope go, nil for a
// mere part. digest makes message/rfc822 the default type (RFC 2046 section 5.1.5).
func (b *builder) entity(p *Part, env *Envelope, budget *int, digest bool, depth int) (hit, error) {
	b.parts++
	p.Offset = b.pos
	h, ended, err := b.header(p, env, budget, digest)
	if err != nil {
		return h, err
	}
	p.HeaderLen = b.pos - p.Offset
	if ended {
		p.HeaderLen = h.start - p.Offset
	}
	before := b.lines
	b.open(p, depth)
	switch {
	case ended && p.kind == message:
		b.enclose(p) // with nothing inside
	case ended:
	case p.kind == multipart:
		h, err = b.multipart(p, depth)
	case p.kind == message:
		b.inside++
		h, err = b.entity(b.enclose(p), p.Envelope, &b.enclosed, false, depth+1)
		b.inside--
	default:
		b.candidate(p)
		h, err = b.scan()
	}
	if err == nil {
		p.close(h, before)
	}
	return h, err
}

// enclose gives a message part its message.
func (b *builder) enclose(p *Part) *Part {
	p.Envelope = &Envelope{}
	c := &Part{Offset: p.Body()}
	c.setType(text, plain)
	p.Children = []*Part{c}
	return c
}

var text, plain, rfc822, octets = []byte("text"), []byte("plain"), []byte("rfc822"), []byte("octet-stream")

func (p *Part) setType(typ, subtype []byte) { p.Type, p.Subtype, p.Params = typ, subtype, nil }

// open decides whether p is looked into. What is too deep, or the last part allowed, is not: it is shown as bytes.
func (b *builder) open(p *Part, depth int) {
	switch {
	case foldedIs(p.Type, "multipart"):
		p.kind = multipart
	case p.Is("message", "rfc822"), p.Is("message", "global") && identity(p.transferEncoding()):
		p.kind = message
	default:
		return
	}
	boundary, _ := lookup(p.Params, "boundary")
	if depth >= MaxDepth || b.parts >= MaxParts || len(boundary) > MaxBoundary {
		p.kind = leaf
		p.setType([]byte("application"), octets)
	}
}

func identity(encoding string) bool {
	return encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}

// multipart reads the parts of p. Without a boundary parameter it has none.
func (b *builder) multipart(p *Part, depth int) (hit, error) {
	boundary, given := lookup(p.Params, "boundary")
	if !given {
		return b.scan()
	}
	level := len(b.bounds.stack)
	b.bounds.push(boundary)
	digest := foldedIs(p.Subtype, "digest")
	h, err := b.scan() // the preamble
	for err == nil && h.level == level && !h.closing {
		if b.parts >= MaxParts-1 {
			b.bounds.cut(0) // the last part is all that is left
		}
		c := &Part{}
		p.Children = append(p.Children, c)
		h, err = b.entity(c, nil, nil, digest, depth+1)
	}
	b.bounds.cut(level)
	if err == nil && h.level == level {
		return b.scan() // the epilogue
	}
	return h, err
}

// close sets the size of p, which ended at h. The line end before a boundary belongs to the boundary, even if it is the
// empty line after the header.
func (p *Part) close(h hit, before int64) {
	body, end := p.Body(), max(h.start-h.eol, p.Offset)
	if end <= body {
		p.clip(end)
		return
	}
	p.Size, p.Lines = end-body, h.lines-before
	if h.eol > 0 {
		p.Lines--
	}
	if n := len(p.Children); n > 0 && p.Children[n-1].End() > end { // an empty last part, past the line end that is not ours
		p.Children[n-1].clip(end)
	}
}

// clip lets p end at end, before the end of its header, and what it encloses be empty there.
func (p *Part) clip(end int64) {
	p.Offset = min(p.Offset, end)
	p.HeaderLen, p.Size, p.Lines = end-p.Offset, 0, 0
	for _, c := range p.Children {
		c.Offset = min(c.Offset, end)
		c.clip(end)
	}
}

// candidate remembers p if its text may be the preview.
func (b *builder) candidate(p *Part) {
	switch {
	case b.inside > 0 || p.Attachment():
	case b.plain == nil && p.Is("text", "plain"):
		b.plain = p
	case b.html == nil && p.Is("text", "html"):
		b.html = p
	}
}

// header reads a header block and takes its fields. ended says that a boundary line, or the end of the message, came before
// the empty line; then h is where.
func (b *builder) header(p *Part, env *Envelope, budget *int, digest bool) (h hit, ended bool, err error) {
	p.setType(text, plain)
	if digest {
		p.setType([]byte("message"), rfc822)
	}
	start := b.pos
	block, state, err := b.headerBlock(start)
	if err != nil {
		return h, false, err
	}
	b.fields(block, p, env, budget)
	b.pos += int64(len(block))
	b.lines += int64(bytes.Count(block, newline))
	if state == headerCut {
		if state, err = b.restOfHeader(); err != nil {
			return h, false, err
		}
	}
	switch state {
	case headerBoundary:
		h, err = b.scan() // stands at the boundary line
		return h, true, err
	case headerEOF:
		return b.atEnd(), true, nil
	}
	return h, false, nil
}

type headerState uint8

const (
	headerWhole    headerState = iota // with the empty line
	headerBoundary                    // up to a boundary line
	headerEOF                         // up to the end of the message
	headerCut                         // up to MaxHeaderBlock
)

// headerBlock returns the header block at start, at most MaxHeaderBlock bytes of it, cut at the end of a line if there is one.
func (b *builder) headerBlock(start int64) ([]byte, headerState, error) {
	at, want := 0, 1
	for {
		data, err := b.win.from(start, min(want, MaxHeaderBlock+lookahead))
		if err != nil {
			return nil, 0, err
		}
		last := start+int64(len(data)) == b.win.size
		for {
			line := data[at:]
			n := bytes.IndexByte(line, '\n')
			if n < 0 && !last || len(line) < lookahead && !last && len(b.bounds.stack) > 0 && mayBeBoundary(line) {
				break
			}
			if level, _ := b.bounds.match(line); level >= 0 {
				return data[:at], headerBoundary, nil
			}
			if n < 0 {
				return data, headerEOF, nil
			}
			if at += n + 1; n == 0 || n == 1 && line[0] == '\r' {
				return data[:at], headerWhole, nil
			}
			if at == len(data) && last {
				return data, headerEOF, nil
			}
			if at >= MaxHeaderBlock {
				return data[:at], headerCut, nil
			}
		}
		if len(data) >= MaxHeaderBlock+lookahead {
			if at == 0 {
				at = len(data)
			}
			return data[:at], headerCut, nil
		}
		want = max(2*len(data), len(data)+lookahead)
	}
}

func mayBeBoundary(line []byte) bool {
	return len(line) == 0 || line[0] == '-' && (len(line) == 1 || line[1] == '-')
}

// restOfHeader passes over what of a header comes after MaxHeaderBlock. The builder stands at the beginning of a line, or
// inside a line longer than all that is looked at.
func (b *builder) restOfHeader() (headerState, error) {
	fresh := b.win.eolBefore(b.pos) > 0
	for {
		line, err := b.win.from(b.pos, lookahead)
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return headerEOF, nil
		}
		if fresh {
			if level, _ := b.bounds.match(line); level >= 0 {
				return headerBoundary, nil
			}
		}
		empty := fresh && (line[0] == '\n' || len(line) > 1 && line[0] == '\r' && line[1] == '\n')
		n := bytes.IndexByte(line, '\n')
		if fresh = n >= 0; !fresh {
			b.pos += int64(len(line))
			continue
		}
		b.pos += int64(n) + 1
		b.lines++
		if empty {
			return headerWhole, nil
		}
	}
}
