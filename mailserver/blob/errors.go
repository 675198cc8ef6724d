package blob

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/postchi/postchi/models"
)

var (
	// ErrDamaged is in the tree of every error that says that stored bytes are not what was
	// written. Such an error is of kind Unavailable with key store.damaged.
	ErrDamaged = errors.New("blob is damaged")

	// ErrMissing is in the tree of every error that says that there is nothing where a blob
	// should be. Such an error is of kind Unavailable with key store.missing.
	ErrMissing = errors.New("blob is missing")

	// ErrLocked says that a segment is in use by a process, this one included.
	ErrLocked = errors.New("segment is in use")
)

// Damaged returns an ErrDamaged with the place for the log.
func Damaged(format string, args ...any) error {
	return &models.Error{
		Kind: models.Unavailable, Key: "store.damaged", Msg: "The stored message is damaged.",
		Err: fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...)),
	}
}

// Missing returns an ErrMissing with the place for the log.
func Missing(format string, args ...any) error {
	return &models.Error{
		Kind: models.Unavailable, Key: "store.missing", Msg: "The stored message is missing.",
		Err: fmt.Errorf("%w: %s", ErrMissing, fmt.Sprintf(format, args...)),
	}
}

// Failed turns the error of a file operation into a *models.Error of kind Unavailable: key
// store.full when space or quota is used up, store.unavailable for anything else.
func Failed(doing string, err error) error {
	cause := fmt.Errorf("%s: %w", doing, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &models.Error{Kind: models.Unavailable, Key: "store.full", Msg: "There is no space for the message at the moment.", Err: cause}
	}
	return &models.Error{Kind: models.Unavailable, Key: "store.unavailable", Msg: "The message store does not work at the moment.", Err: cause}
}
