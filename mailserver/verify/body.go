package verify

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	"github.com/postchi/postchi/mailserver/canon"
)

// buffers are for reading bodies.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// bodyForm is a canonical form of the body, cut to a length in bytes; -1 is all of it (l= of
// RFC 6376, section 3.5).
type bodyForm struct {
	form   canon.Form
	length int64
}

// bodyHash is the SHA-256 of a form.
type bodyHash struct {
	sum   [sha256.Size]byte
	total int64 // bytes of the form before it was cut
}

// cutHash is a bodyHash in the making.
type cutHash struct {
	canon.Cut
	hash hash.Hash
	to   *bodyHash
}

// bodyHashes computes all hashes that are wanted in one pass over the body. With none wanted
// the body is not read.
func bodyHashes(ctx context.Context, r io.Reader, wanted map[bodyForm]*bodyHash) error {
	cuts := map[canon.Form][]*cutHash{}
	for form, to := range wanted {
		h := sha256.New()
		cuts[form.form] = append(cuts[form.form], &cutHash{Cut: canon.Cut{W: h, Length: form.length}, hash: h, to: to})
	}
	if len(cuts) == 0 {
		return nil
	}
	var bodies []*canon.Body
	for form, hashes := range cuts {
		bodies = append(bodies, canon.NewBody(allOf(hashes), form))
	}
	if err := copyBody(ctx, bodies, r); err != nil {
		return err
	}
	for _, hashes := range cuts {
		for _, h := range hashes {
			h.hash.Sum(h.to.sum[:0])
			h.to.total = h.Total
		}
	}
	return nil
}

func copyBody(ctx context.Context, bodies []*canon.Body, r io.Reader) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(*buf)
		for _, b := range bodies {
			if _, err := b.Write((*buf)[:n]); err != nil {
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
	for _, b := range bodies {
		if err := b.Close(); err != nil {
			return err
		}
	}
	return nil
}

// allOf is a writer to several hashes, none of which fails.
type allOf []*cutHash

func (a allOf) Write(p []byte) (int, error) {
	for _, c := range a {
		_, _ = c.Cut.Write(p)
	}
	return len(p), nil
}
