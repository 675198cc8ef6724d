package mime

// Encode returns the versioned encoding of the tree below p, which is a whole message. It is nil if it would pass
// MaxStructure bytes.
func (p *Part) Encode() []byte { return p.appendEncoded(nil) }

func (p *Part) appendEncoded(dst []byte) []byte {
	start := len(dst)
	dst, ok := p.append(append(dst, Version), p.Offset, start+MaxStructure)
	if !ok {
		return nil
	}
	return dst
}

// append appends one part: its kind, its distance from base (where its parent's body begins or the part before it ends),
// lengths, texts, and what it contains. False: past limit.
func (p *Part) append(dst []byte, base int64, limit int) ([]byte, bool) {
	dst = append(dst, byte(p.kind))
	for _, n := range [4]int64{p.Offset - base, p.HeaderLen, p.Size, p.Lines} {
		dst = appendUint(dst, uint64(n))
	}
	for _, s := range p.texts() {
		dst = appendText(dst, *s)
	}
	dst = appendParams(dst, p.Params)
	dst = appendParams(dst, p.DispositionParams)
	dst = appendUint(dst, uint64(len(p.Language)))
	for _, s := range p.Language {
		dst = appendText(dst, s)
	}
	switch p.kind {
	case message:
		dst = p.Envelope.append(dst, MaxEnvelope)
	case multipart:
		dst = appendUint(dst, uint64(len(p.Children)))
	}
	ok := len(dst) <= limit
	at := p.Body()
	for i := 0; ok && i < len(p.Children); i++ {
		dst, ok = p.Children[i].append(dst, at, limit)
		at = p.Children[i].End()
	}
	return dst, ok
}

func (p *Part) texts() [8]*[]byte {
	return [8]*[]byte{&p.Type, &p.Subtype, &p.ID, &p.Description, &p.Encoding, &p.MD5, &p.Disposition, &p.Location}
}

func appendParams(dst []byte, params []Param) []byte {
	dst = appendUint(dst, uint64(len(params)))
	for _, x := range params {
		dst = appendText(appendText(dst, x.Name), x.Value)
	}
	return dst
}

// DecodeStructure reads what Encode wrote. The texts share memory with b. Whatever the bytes, a tree that is returned is
// sound: no deeper than Build makes it, and every part lies within its parent and after the one before it. Other bytes give ErrCorrupt or, for another
// version, ErrVersion.
func DecodeStructure(b []byte) (*Part, error) {
	d := decoder{b: b}
	if err := d.version(); err != nil {
		return nil, err
	}
	p := &Part{}
	d.part(p, 0, 1<<50, 0)
	if err := d.finish(); err != nil {
		return nil, err
	}
	return p, nil
}

// smallestPart is the number of bytes that the encoding of a part takes at least.
const smallestPart = 1 + 4 + 8 + 3

// part reads one part, which must lie between base and end. After an error its tree is not to be used.
func (d *decoder) part(p *Part, base, end int64, depth int) {
	if len(d.b) < smallestPart || depth > MaxDepth || d.b[0] > byte(message) {
		d.fail()
		return
	}
	p.kind = kind(d.b[0])
	d.b = d.b[1:]
	p.Offset = base + d.offset()
	p.HeaderLen, p.Size, p.Lines = d.offset(), d.offset(), d.offset()
	for _, s := range p.texts() {
		*s = d.text()
	}
	p.Params, p.DispositionParams, p.Language = d.params(), d.params(), d.texts()
	if p.Type == nil || p.Subtype == nil || p.End() > end || p.Lines > p.Size {
		d.fail()
	}
	n := 0
	switch {
	case d.err != nil:
		return
	case p.kind == message:
		p.Envelope = &Envelope{}
		d.envelope(p.Envelope)
		n = 1
	case p.kind == multipart:
		n = d.count(smallestPart)
	}
	d.children(p, n, depth)
}

func (d *decoder) children(p *Part, n, depth int) {
	if n == 0 || d.err != nil {
		return
	}
	parts, at := make([]Part, n), p.Body()
	p.Children = make([]*Part, n)
	for i := range parts {
		p.Children[i] = &parts[i]
		if d.part(&parts[i], at, p.End(), depth+1); d.err != nil {
			return
		}
		at = parts[i].End()
	}
}

func (d *decoder) params() []Param {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make([]Param, n)
	for i := range out {
		out[i] = Param{d.text(), d.text()}
	}
	return out
}

func (d *decoder) texts() [][]byte {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = d.text()
	}
	return out
}
