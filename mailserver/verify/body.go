package verify

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"
)

// buffers are for reading a body, and for its canonical forms.
var buffers = sync.Pool{New: func() any { b := make([]byte, 2*maxOut); return &b }}

// bodyForm is a canonical form of the body, cut to a length in bytes; -1 is all of it (l= of
// RFC 6376, section 3.5).
type bodyForm struct {
	relaxed bool
	length  int64
}

// bodyHash is the SHA-256 of a form.
type bodyHash struct {
	sum   [sha256.Size]byte
	total int64 // bytes of the form before it was cut
}

// bodyHashes computes all hashes that are wanted in one pass over the body. With none wanted
// the body is not read.
func bodyHashes(ctx context.Context, r io.Reader, wanted map[bodyForm]*bodyHash) error {
	cuts := map[bool][]*cutHash{}
	for form := range wanted {
		cuts[form.relaxed] = append(cuts[form.relaxed], &cutHash{form: form, hash: sha256.New()})
	}
	if len(cuts) == 0 {
		return nil
	}
	var writers []io.WriteCloser
	for relaxed, hashes := range cuts {
		out := buffers.Get().(*[]byte)
		defer buffers.Put(out)
		writers = append(writers, &bodyWriter{w: allOf(hashes), relaxed: relaxed, out: (*out)[:0]})
	}
	if err := copyBody(ctx, writers, r); err != nil {
		return err
	}
	for _, hashes := range cuts {
		for _, h := range hashes {
			h.hash.Sum(wanted[h.form].sum[:0])
			wanted[h.form].total = h.total
		}
	}
	return nil
}

func copyBody(ctx context.Context, writers []io.WriteCloser, r io.Reader) error {
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	buf := (*pooled)[:maxOut]
	for {
		n, err := r.Read(buf)
		for _, w := range writers {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

// cutHash hashes the beginning of what it is given, and counts all of it.
type cutHash struct {
	form  bodyForm
	hash  hash.Hash
	total int64
}

func (c *cutHash) Write(p []byte) (int, error) {
	n := len(p)
	if left := c.form.length - c.total; c.form.length >= 0 && left < int64(n) {
		p = p[:max(left, 0)]
	}
	c.total += int64(n)
	c.hash.Write(p)
	return n, nil
}

// allOf is a writer to several hashes, none of which fails.
type allOf []*cutHash

func (a allOf) Write(p []byte) (int, error) {
	for _, c := range a {
		c.Write(p)
	}
	return len(p), nil
}
