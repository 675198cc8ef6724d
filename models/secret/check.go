package secret

import (
	"context"

	"github.com/postchi/postchi/models"
)

// checkName is the setting with a value that only the right key opens.
const checkName = "secrets.check"

// Settings keeps values under names. Setting is NotFound where there is none, AddSetting
// Conflict where there is one.
type Settings interface {
	Setting(ctx context.Context, name string) (string, error)
	AddSetting(ctx context.Context, name, value string) error
}

// Used reports whether a database has secrets of any key already.
func Used(ctx context.Context, settings Settings) (bool, error) {
	_, err := settings.Setting(ctx, checkName)
	if models.Is(err, models.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Check reports with Conflict secret.wrong_key, in words, that the database's secrets were
// sealed with another key than the box has. A database without secrets takes the box's key
// for its own.
func (b *Box) Check(ctx context.Context, settings Settings, file string) error {
	value, err := settings.Setting(ctx, checkName)
	if models.Is(err, models.NotFound) {
		if value, err = b.Seal([]byte("postchi"), checkName); err != nil {
			return err
		}
		if err = settings.AddSetting(ctx, checkName, value); models.Is(err, models.Conflict) {
			value, err = settings.Setting(ctx, checkName) // another process was first
		}
	}
	if err != nil {
		return err
	}
	if _, err := b.Unseal(value, checkName); err != nil {
		return models.Errorf(models.Conflict, "secret.wrong_key",
			"The key file %s is not the one that this database's secrets were sealed with. Put the right one in its place (it is not in the database's backup), or name it in [secrets] key_file.", file).Because(err)
	}
	return nil
}

// Missing is the error for a key file that is gone while the database has secrets.
func Missing(file string) error {
	return models.Errorf(models.Conflict, "secret.no_key",
		"The database has secrets (DKIM keys, passwords of relays), but the key file %s that opens them does not exist. Put it back from where you keep it (it is not in the database's backup), or name it in [secrets] key_file.", file)
}
