package blob

import (
	"context"
	"io"
)

// Prepared is a message that has an id and has been read, and that Flush makes durable. It belongs
// to one goroutine at a time.
type Prepared struct {
	Staged          // its Ref is complete after Flush; id and length are known before
	pending Pending // nil = durable, or failed, or dropped
	err     error
}

// Err is why Flush could not make the message durable, nil if it could.
func (p *Prepared) Err() error { return p.err }

// Prepare reads exactly size bytes of r, so that Flush can make them durable together with others.
// A large message, or one for a driver that is no Batcher, is durable when Prepare returns. Errors
// are those of Put. Whoever prepares calls Flush or Drop, and after Flush what follows on Put.
func (b *Blobs) Prepare(ctx context.Context, r io.Reader, size int64) (*Prepared, error) {
	if batcher, ok := b.cfg.Drivers[0].(Batcher); ok {
		id := b.cfg.DB.IDs().New()
		pending, err := batcher.Prepare(ctx, id, r, size)
		if err != nil {
			return nil, err
		}
		if pending != nil {
			return &Prepared{Staged: Staged{ID: id, Ref: Ref{Length: size}}, pending: pending}, nil
		}
	}
	staged, err := b.Put(ctx, r, size)
	if err != nil {
		return nil, err
	}
	return &Prepared{Staged: staged}, nil
}

// Flush makes messages durable that are not yet, all at once; Err of each says whether it is.
func (b *Blobs) Flush(ctx context.Context, all []*Prepared) {
	batch := make([]*Prepared, 0, len(all))
	pending := make([]Pending, 0, len(all))
	for _, p := range all {
		if p.pending != nil {
			batch, pending = append(batch, p), append(pending, p.pending)
			p.pending = nil
		}
	}
	if len(batch) == 0 {
		return
	}
	for i, w := range b.cfg.Drivers[0].(Batcher).PutAll(pending) {
		p := batch[i]
		if p.err = w.Err; w.Err == nil {
			p.Ref = w.Ref
			b.stage(ctx, p.Staged)
		}
	}
}

// Drop gives up a message: one that was not flushed is forgotten, one that is durable is discarded.
func (b *Blobs) Drop(p *Prepared) {
	switch {
	case p.pending != nil:
		p.pending.Drop()
		p.pending = nil
	case p.err == nil:
		b.Discard(p.Staged)
	}
}
