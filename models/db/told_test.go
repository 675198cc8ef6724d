package db_test

import (
	"context"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestAfterToldNobodyUsesWhatWasReadBefore(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		command := dbtest.Open(t, config)
		config.Kind, config.PollEvery = "server", 1<<40 // never told
		server := dbtest.Open(t, config)
		value := 1
		recent := db.NewRecent[models.ID, int](server)
		read := func() (int, error) { return value, nil }
		if v, _ := recent.Get(7, read); v != 1 {
			t.Fatal(v)
		}
		err := command.Write(t.Context(), func(_ context.Context, tx *db.Tx) error {
			tx.Changed(db.ChangedMailbox, 7)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		value = 2
		command.Told(t.Context())
		if v, _ := recent.Get(7, read); v != 2 {
			t.Error("the value from before the change is still used")
		}
	})
}
