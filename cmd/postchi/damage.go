package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/store"
)

const (
	// damageSetting keeps the blobs that could not be read, as JSON, until doctor --store looks
	// again at all of them.
	damageSetting = "store.damaged"
	// mostDamage is how many are kept: beyond that the number says nothing new.
	mostDamage = 100
)

// damage gathers which messages cannot be read any more, so that the panel can tell an
// administrator.
type damage struct {
	store *store.Store
	log   *slog.Logger
	found chan bad
}

// bad is a blob that could not be read, and why.
type bad struct {
	blob models.ID
	err  error
}

func newDamage(s *store.Store, log *slog.Logger) *damage {
	return &damage{store: s, log: log, found: make(chan bad, mostDamage)}
}

// note takes a blob down for run. It does not block: one that is left out is found again when
// somebody reads it again.
func (d *damage) note(id models.ID, err error) {
	select {
	case d.found <- bad{id, err}:
	default:
	}
}

// run keeps what was noted until ctx ends.
func (d *damage) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-d.found:
			if err := d.add(ctx, b); err != nil && ctx.Err() == nil {
				d.log.Warn("damaged message not taken down", "blob", b.blob, "err", err)
			}
		}
	}
}

// add keeps one unless it is known. A client asks for such a message again and again, so that is
// found out without writing.
func (d *damage) add(ctx context.Context, b bad) error {
	known, err := d.known(ctx)
	if err != nil || full(known, b.blob) {
		return err
	}
	d.log.Error("a message cannot be read any more; run postchi doctor --store", "blob", b.blob, "err", reason(b.err))
	return d.store.Write(ctx, func(ctx context.Context) error {
		known, err := d.known(ctx)
		if err != nil || full(known, b.blob) {
			return err
		}
		return d.set(ctx, append(known, b.blob))
	})
}

// full reports whether a blob is known, or no more need be.
func full(known []models.ID, id models.ID) bool {
	return len(known) >= mostDamage || slices.Contains(known, id)
}

func (d *damage) known(ctx context.Context) (ids []models.ID, err error) {
	value, err := d.store.Setting(ctx, damageSetting)
	if models.Is(err, models.NotFound) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(value), &ids)
	}
	return ids, err
}

// replace keeps what somebody has found who looked at everything.
func (d *damage) replace(ctx context.Context, ids []models.ID) error {
	known, err := d.known(ctx)
	if err != nil || len(known) == 0 && len(ids) == 0 {
		return err
	}
	return d.set(ctx, ids)
}

func (d *damage) set(ctx context.Context, ids []models.ID) error {
	value, err := json.Marshal(ids[:min(len(ids), mostDamage)])
	if err != nil {
		return err
	}
	return d.store.SetSetting(ctx, damageSetting, string(value))
}

// count returns how many messages are known to be damaged and have not been removed since.
func (d *damage) count(ctx context.Context, blobs *blob.Blobs) (int, error) {
	known, err := d.known(ctx)
	if err != nil || len(known) == 0 {
		return 0, err
	}
	return blobs.Referred(ctx, known...)
}
