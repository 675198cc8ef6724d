package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Sessions keeps the log-in sessions of the panel in the form that scs wants (its Store and
// CtxStore). A token is kept as its SHA-256 alone: who reads the database cannot log in.
type Sessions struct {
	store *Store
	user  func(context.Context) models.ID
}

// Sessions returns the table of sessions. user tells from the context of a request whose
// session is saved, so that all sessions of a user can be ended; nil = nobody's.
func (s *Store) Sessions(user func(context.Context) models.ID) *Sessions {
	if user == nil {
		user = func(context.Context) models.ID { return 0 }
	}
	return &Sessions{store: s, user: user}
}

func tokenHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

// FindCtx returns the data of a session that has not expired.
func (t *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = t.store.row(ctx, "SELECT data FROM sessions WHERE token_hash = ? AND expires_at > ?",
		[]any{tokenHash(token), models.At(t.store.d.Now())}, &data)
	err = failed("session", err)
	if models.Is(err, models.NotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// CommitCtx adds or replaces a session.
func (t *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	user := t.user(ctx)
	return t.store.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, upsert(tx.Dialect(), "sessions", "token_hash", "user_id", "data", "expires_at"),
			tokenHash(token), user, data, models.At(expiry))
		return failed("save session", err)
	})
}

// DeleteCtx ends a session; one that is not there is no error.
func (t *Sessions) DeleteCtx(ctx context.Context, token string) error {
	return t.exec(ctx, "DELETE FROM sessions WHERE token_hash = ?", tokenHash(token))
}

// DeleteUser ends the sessions of a user but the one with the token keep ("" = none).
func (t *Sessions) DeleteUser(ctx context.Context, user models.ID, keep string) error {
	return t.exec(ctx, "DELETE FROM sessions WHERE user_id = ? AND token_hash <> ?", user, tokenHash(keep))
}

// Sweep removes the sessions that have expired.
func (t *Sessions) Sweep(ctx context.Context) error {
	return t.exec(ctx, "DELETE FROM sessions WHERE expires_at <= ?", models.At(t.store.d.Now()))
}

func (t *Sessions) exec(ctx context.Context, query string, args ...any) error {
	return t.store.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		return failed("sessions", t.store.on(ctx).Exec(query, args...).Error)
	})
}

// Find is FindCtx without a context, for scs.
func (t *Sessions) Find(token string) ([]byte, bool, error) {
	return t.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context, for scs.
func (t *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return t.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context, for scs.
func (t *Sessions) Delete(token string) error { return t.DeleteCtx(context.Background(), token) }
